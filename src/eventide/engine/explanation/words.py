"""Words of explanations: what rules and events are called.

Law: each sentence names the log, the offset and the time that it speaks of, so that it can be looked up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventide.engine.trace import Mark
from eventide.instants import NO_WATERMARK, duration_text, instant_text
from eventide.plan.explain import strategy_text
from eventide.semantics.eventtime import EventTime, KeyClock

_SHORT_US = 1_000


def span(length_us: int) -> str:
    """A length of time, without its microseconds where it is long."""
    return duration_text(length_us if abs(length_us) < 1_000_000 else length_us // _SHORT_US * _SHORT_US)


def event_text(mark: Mark | None, log: str) -> str:
    """An event by its place: "event 12 of log 'a' (time 2026-01-01 10:00:00)"."""
    return "no event" if mark is None else f"event {mark.offset} of log {log!r} (time {instant_text(mark.time_us)})"


def place_text(mark: Mark) -> str:
    """An event of a log just named: "event 12 (time 2026-01-01 10:00:00)"."""
    return f"event {mark.offset} (time {instant_text(mark.time_us)}{arrived(mark)})"


def arrived(mark: Mark) -> str:
    """When an event arrived, if that is known."""
    return "" if mark.arrival_us is None else f", arrived {instant_text(mark.arrival_us)}"


def key_text(key: Mapping[str, object]) -> str:
    """A key as "sensor='a', place='b'"; nothing for a stream without keys."""
    return ", ".join(f"{name}={value!r}" for name, value in key.items())


def watermark_text(instant: int) -> str:
    """A watermark, or that there is none."""
    return "no watermark yet" if instant <= NO_WATERMARK else f"watermark {instant_text(instant)}"


def rule_text(settings: EventTime) -> str:
    """The rule by which an event moves a watermark."""
    return strategy_text(settings.strategy)


def own_rule_text(settings: EventTime) -> str:
    """The rule of a clock; for key clocks that of the key's own clock."""
    clock = settings.clock
    return f"{rule_text(settings)} of its {clock.key}" if isinstance(clock, KeyClock) else rule_text(settings)


def cap_rule_text(clock: KeyClock) -> str:
    """The rule by which the log moves a key's watermark."""
    return f"cap: no {clock.key} stays more than {duration_text(clock.cap_us)} behind the newest event of its log"


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
