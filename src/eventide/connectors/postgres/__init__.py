"""PostgreSQL: tables as sinks and as sources.

Law: names are composed and values are bound by the driver; a password is never in a plan, a message or a log.
"""
