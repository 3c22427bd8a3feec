"""MQTT 5: topics as a source with a journal of its own, and as a sink.

Law: a message is acknowledged to the broker when it is on the disk; a password is never in a plan, a message or a log.
"""
