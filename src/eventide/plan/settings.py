"""Event time, windows, lateness and early results as plain values and back.

Law: durations are text; a setting that has its default value is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.errors import PlanError
from eventide.instants import duration_text, microseconds, non_negative_us, positive_us
from eventide.plan.given import known, name_of, part_of
from eventide.semantics.eventtime import (
    Adaptive,
    Ascending,
    Bounded,
    EventTime,
    KeyClock,
    LogClock,
    OwnStrategy,
    Perfect,
    Punctuated,
    Strategy,
)
from eventide.semantics.lateness import Early, EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding, Window

Tree = dict[str, Any]


def event_time_to(settings: EventTime) -> Tree:
    """Event-time settings as plain values."""
    tree: Tree = {"column": settings.column, "strategy": _strategy_to(settings.strategy)}
    if isinstance(settings.clock, KeyClock):
        tree["clock"] = {"key": settings.clock.key, "cap": duration_text(settings.clock.cap_us)}
    tree["max_future"] = None if settings.max_future_us is None else duration_text(settings.max_future_us)
    for name, value in (("max_age", settings.max_age_us), ("idle_after", settings.idle_after_us)):
        if value is not None:
            tree[name] = duration_text(value)
    if settings.close_when_idle:
        tree["close_when_idle"] = True
    return tree


def event_time_from(tree: Mapping[str, Any]) -> EventTime:
    """Event-time settings of plain values."""
    known("event_time", tree, "column", "strategy", "clock", "max_future", "max_age", "idle_after", "close_when_idle")
    clock = tree.get("clock")
    if clock not in (None, "log"):
        clock = known("clock", clock, "key", "cap")
    future = tree.get("max_future", "1h")
    return EventTime(
        name_of(tree["column"], "column"),
        _strategy_from(tree["strategy"]),
        LogClock()
        if clock in (None, "log")
        else KeyClock(name_of(clock["key"], "key"), positive_us(clock["cap"], "cap")),
        None if future is None else non_negative_us(future, "max_future"),
        non_negative_us(tree["max_age"], "max_age") if "max_age" in tree else None,
        positive_us(tree["idle_after"], "idle_after") if "idle_after" in tree else None,
        bool(tree.get("close_when_idle", False)),
    )


def _strategy_to(strategy: Strategy) -> Any:
    match strategy:
        case Ascending():
            return "ascending"
        case Perfect():
            return "perfect"
        case Bounded(delay_us):
            return {"bounded": duration_text(delay_us)}
        case Punctuated(column):
            return {"punctuated": column}
        case Adaptive(late_rate, min_us, max_us):
            return {"adaptive": {"late_rate": late_rate, "min": duration_text(min_us), "max": duration_text(max_us)}}
        case OwnStrategy():
            name = type(strategy).__name__
            raise PlanError.of(
                "event_time", f"{name} is a Python object", "Plans as text know the built-in strategies only"
            )


def _strategy_from(tree: Any) -> Strategy:
    match tree:
        case "ascending":
            return Ascending()
        case "perfect":
            return Perfect()
        case {"bounded": str(delay)}:
            return Bounded(non_negative_us(delay, "bounded"))
        case {"punctuated": str(column)}:
            return Punctuated(column)
        case {"adaptive": {"late_rate": float(late_rate), "min": str(least), "max": str(most)}}:
            return Adaptive(late_rate, non_negative_us(least, "min"), non_negative_us(most, "max"))
        case _:
            raise ValueError(f"{tree!r} is not a strategy: write for example {{bounded: 2s}} or ascending")


def window_to(window: Window) -> Tree:
    """A window as plain values."""
    match window:
        case Sliding(size_us, slide_us, offset_us):
            kind = (
                {"tumbling": duration_text(size_us)}
                if size_us == slide_us
                else {"sliding": duration_text(size_us), "slide": duration_text(slide_us)}
            )
            return kind | ({"offset": duration_text(offset_us)} if offset_us else {})
        case Calendar(unit, timezone):
            return {"calendar": unit, "timezone": timezone}
        case Session(gap_us):
            return {"session": duration_text(gap_us)}
        case Count(size, timeout_us):
            return {"count": size} | ({} if timeout_us is None else {"timeout": duration_text(timeout_us)})
        case Global():
            return {"global": True}


def window_from(tree: Mapping[str, Any]) -> Window:
    """A window of plain values."""
    match dict(part_of(tree, "window")):
        case {"tumbling": str(size), **rest}:
            known("window", rest, "offset")
            length = positive_us(size, "tumbling")
            return Sliding(length, length, microseconds(rest.get("offset", "0s"), "offset") % length)
        case {"sliding": str(size), "slide": str(slide), **rest}:
            known("window", rest, "offset")
            step = positive_us(slide, "slide")
            return Sliding(positive_us(size, "sliding"), step, microseconds(rest.get("offset", "0s"), "offset") % step)
        case {"calendar": ("1d" | "1w" | "1mo" | "1q" | "1y") as unit, **rest}:
            known("window", rest, "timezone")
            return Calendar(unit, rest.get("timezone", "UTC"))
        case {"session": str(gap)}:
            return Session(positive_us(gap, "session"))
        case {"count": int(size), **rest}:
            known("window", rest, "timeout")
            return Count(size, positive_us(rest["timeout"], "timeout") if "timeout" in rest else None)
        case {"global": True}:
            return Global()
        case _:
            raise ValueError(f"{dict(tree)!r} is not a window: write for example {{tumbling: 5m}} or {{session: 30s}}")


def lateness_to(lateness: Lateness) -> Tree:
    """The late policy as plain values; empty for the default."""
    return {} if lateness == Lateness() else {"policy": lateness.policy, "allowed": duration_text(lateness.allowed_us)}


def lateness_from(tree: Mapping[str, Any]) -> Lateness:
    """The late policy of plain values."""
    known("lateness", tree, "policy", "allowed")
    allowed_us = non_negative_us(tree.get("allowed", "0s"), "allowed")
    return Lateness(tree.get("policy", "update" if allowed_us else "side"), allowed_us)


def early_to(early: Early | None) -> Any:
    """Early results as plain values."""
    match early:
        case None:
            return None
        case EveryChange():
            return "on_change"
        case EveryInterval(period_us):
            return {"every": duration_text(period_us)}


def early_from(tree: Any) -> Early | None:
    """Early results of plain values."""
    match tree:
        case None:
            return None
        case "on_change":
            return EveryChange()
        case {"every": str(period)}:
            return EveryInterval(positive_us(period, "every"))
        case _:
            raise ValueError(f"early: {tree!r} is not a choice: write on_change or {{every: 1s}}")
