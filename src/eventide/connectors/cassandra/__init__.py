"""Apache Cassandra: tables as sinks.

Law: names are quoted, values are bound by the driver; a password is never in a plan, a message or a log.
"""
