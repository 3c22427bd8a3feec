"""HTTP and WebSocket ingest: a server that takes events in, and confirms them when they are on the disk.

Law: an answer of 202 means kept; anything else leaves the event with its sender.
"""
