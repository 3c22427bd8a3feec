"""Servers that Eventide starts on this machine: their processes, and what is fetched for them once.

Law: what is fetched is kept below `EVENTIDE_SERVICES_DIR` (by default `~/.cache/eventide/services`).
"""
