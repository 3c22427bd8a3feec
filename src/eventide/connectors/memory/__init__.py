"""Frames, Python rows, feeds and functions: sources and sinks inside the process.

Law: they hold nothing that a checkpoint could write down.
"""
