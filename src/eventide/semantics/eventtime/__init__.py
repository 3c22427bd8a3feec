"""Event time: strategies, clocks and guards, as values.

Law: `semantics` holds no state and reads no clock; the engine's door and the reference both act by these values.
"""

from eventide.semantics.eventtime.specs import Clock, EventTime, KeyClock, LogClock, per_key
from eventide.semantics.eventtime.strategies import (
    Adaptive,
    Ascending,
    Bounded,
    OwnStrategy,
    Perfect,
    Punctuated,
    Strategy,
    adaptive,
    ascending,
    bounded,
    perfect,
    punctuated,
)

__all__ = [
    "Adaptive",
    "Ascending",
    "Bounded",
    "Clock",
    "EventTime",
    "KeyClock",
    "LogClock",
    "OwnStrategy",
    "Perfect",
    "Punctuated",
    "Strategy",
    "adaptive",
    "ascending",
    "bounded",
    "per_key",
    "perfect",
    "punctuated",
]
