"""Kafka: topics as sources, a log for each partition, and as sinks, a transaction for each epoch.

Law: offsets are Kafka's own; what was deleted before it was read is told, never passed over.
"""
