"""MongoDB: collections as sinks.

Law: names that would mean something to the server are refused; a password is never in a plan, a message or a log.
"""
