"""Tables of databases as sinks.

Law: names are quoted, values are bound, rows are upserted by their identity.
"""
