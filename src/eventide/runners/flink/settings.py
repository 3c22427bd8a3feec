"""Event time and windows as the job reads them.

Law: durations are whole microseconds; what is not set is null.
"""

from __future__ import annotations

from typing import Any

from eventide.plan import WindowedAggregate
from eventide.semantics.eventtime import Adaptive, Ascending, Bounded, EventTime, KeyClock, Punctuated
from eventide.semantics.lateness import EveryChange, EveryInterval
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding, Window


def event_time_tree(settings: EventTime) -> dict[str, Any]:
    """Strategy, clock and guards."""
    clock = settings.clock if isinstance(settings.clock, KeyClock) else None
    return {
        "column": settings.column,
        **_strategy(settings),
        "clock_key": None if clock is None else clock.key,
        "cap_us": None if clock is None else clock.cap_us,
        "max_future_us": settings.max_future_us,
        "max_age_us": settings.max_age_us,
        "idle_after_us": settings.idle_after_us,
        "close_when_idle": settings.close_when_idle,
    }


def _strategy(settings: EventTime) -> dict[str, Any]:
    match settings.strategy:
        case Ascending():
            return {"strategy": "ascending"}
        case Bounded(delay_us):
            return {"strategy": "bounded", "delay_us": delay_us}
        case Punctuated(column):
            return {"strategy": "punctuated", "marker": column}
        case Adaptive(late_rate, min_us, max_us):
            return {"strategy": "adaptive", "late_rate": late_rate, "min_us": min_us, "max_us": max_us}
    raise AssertionError("a strategy with gaps is not compiled")


def window_tree(query: WindowedAggregate) -> dict[str, Any]:
    """Keys, window, lateness and early results."""
    return {
        "keys": list(query.keys),
        **_window(query.window),
        "policy": query.lateness.policy,
        "late_us": query.lateness.allowed_us,
        "early": {EveryChange: "on_change", EveryInterval: "every"}.get(type(query.early)),
        "fill": query.fill_empty,
        "every_us": query.early.period_us if isinstance(query.early, EveryInterval) else None,
    }


def _window(window: Window) -> dict[str, Any]:
    match window:
        case Sliding(size_us, slide_us, offset_us):
            return {"kind": "sliding", "size_us": size_us, "slide_us": slide_us, "offset_us": offset_us}
        case Calendar(unit, timezone):
            return {"kind": "calendar", "unit": unit, "timezone": timezone}
        case Session(gap_us):
            return {"kind": "session", "gap_us": gap_us}
        case Count(size, timeout_us):
            return {"kind": "count", "count": size, "timeout_us": timeout_us}
        case Global():
            return {"kind": "global"}
