"""Schema registry: where the schemas of messages are, asked through Confluent's client.

Law: a schema has one id for ever, so what was asked once is not asked again.
"""
