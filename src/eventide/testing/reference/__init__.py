"""The slow obvious reference: what every runner's answers are compared with.

Law: it is written from the law, not from the engine.
"""

from eventide.testing.reference.entries import Answer, Entry, Event, Finished, Heartbeat, Idle, Query
from eventide.testing.reference.runner import reference

__all__ = ["Answer", "Entry", "Event", "Finished", "Heartbeat", "Idle", "Query", "reference"]
