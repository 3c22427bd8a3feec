"""RabbitMQ: queues and streams as sources, exchanges as sinks.

Law: a message is acknowledged when it is on our disk, or comes again by its offset; a password is never in a plan, a
message or a log.
"""
