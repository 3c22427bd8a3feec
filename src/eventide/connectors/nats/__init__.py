"""NATS JetStream: streams as sources and sinks.

Law: a message's sequence in its stream is its offset; a password is never in a plan, a message or a log.
"""
