"""Windows, one event at a time: fixed windows, sessions and counts.

Law: decisions 0003 and 0004, step by step. Each kind answers `add` (judge an event and take it in) and `due` (what
comes out after the clocks have moved).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from eventide.instants import EARLIEST, END_OF_TIME
from eventide.semantics.lateness import EveryChange, EveryInterval
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding, Window
from eventide.testing.reference.entries import Event, Query

Key = tuple[object, ...]
Emit = Callable[["Content", Key, str, dict[str, object]], None]
Class = Literal["on_time", "corrected", "late"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Content:
    """A window: its bounds, its events, and what has come out of it."""

    start: int
    end: int
    events: list[tuple[int, str, int, dict[str, Any]]] = field(default_factory=list)
    next: int = 0
    out: bool = False
    closed: bool = False
    dirty: bool = False
    number: int = 0


class Kind(Protocol):
    """One kind of windows."""

    def add(self, event: Event, time: int, key: Key, before: int, closing: int) -> tuple[Class, int, int]:
        """The class of an event and the bounds of its last window; accepted events are taken in."""

    def due(self, closing: Callable[[Key], int]) -> None:
        """Give out what the watermarks have reached."""


def windows_of(window: Window, time: int) -> list[tuple[int, int]]:
    """The fixed windows that cover an instant."""
    match window:
        case Sliding():
            return window.windows_of(time)
        case Global():
            return [(EARLIEST, END_OF_TIME)]
        case Calendar(unit, timezone):
            return [_calendar(unit, ZoneInfo(timezone), time)]
    raise TypeError(f"{window!r} has no fixed windows")


def _calendar(unit: str, zone: ZoneInfo, time: int) -> tuple[int, int]:
    day = (
        (_EPOCH + timedelta(microseconds=time))
        .astimezone(zone)
        .replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    )
    if unit == "1d":
        start, end = day, day + timedelta(days=1)
    elif unit == "1w":
        start = day - timedelta(days=day.weekday())
        end = start + timedelta(days=7)
    else:
        months = {"1mo": 1, "1q": 3, "1y": 12}[unit]
        first = (day.year * 12 + day.month - 1) // months * months
        start, end = (datetime(m // 12, m % 12 + 1, 1) for m in (first, first + months))
    return tuple((moment.replace(tzinfo=zone) - _EPOCH) // timedelta(microseconds=1) for moment in (start, end))  # type: ignore[return-value]


class FixedWindows:
    """Tumbling, sliding, calendar and global windows."""

    def __init__(self, query: Query, emit: Emit) -> None:
        self._query = query
        self._emit = emit
        self._held: dict[tuple[Key, int], Content] = {}
        self._last_closing: dict[Key, int] = {}
        self._known: dict[Key, int] = {}
        self._top: int | None = None

    def add(self, event: Event, time: int, key: Key, before: int, closing: int) -> tuple[Class, int, int]:
        allowed = self._query.lateness.allowed_us
        windows = windows_of(self._query.window, time)
        taken = [(start, end) for start, end in windows if end > before - allowed]
        if windows and not taken:
            return "late", *windows[-1]
        self._last_closing.setdefault(key, closing)
        for start, end in sorted(taken, key=lambda window: window[1]):
            content = self._held.setdefault((key, start), Content(start, end))
            content.events.append((time, event.log, event.offset, dict(event.row)))
            if end <= closing:
                self._emit(content, key, "revision", {"early": False})
                content.closed = True
            elif isinstance(self._query.early, EveryChange):
                self._emit(content, key, "revision", {"early": True})
            content.dirty = end > closing
            self._known[key] = min(self._known.get(key, start), start)
            self._top = start if self._top is None else max(self._top, start)
        corrects = any(end <= before for _, end in taken)
        last = windows[-1] if windows else (time, time)
        return ("corrected" if corrects else "on_time"), *last

    def due(self, closing: Callable[[Key], int]) -> None:
        allowed = self._query.lateness.allowed_us
        if isinstance(self._query.early, EveryInterval):
            self._tick(self._query.early.period_us, closing)
        if self._query.fill_empty:
            self._fill(closing)
        for (key, _), content in self._sorted():
            if not content.closed and content.end <= closing(key):
                final = content.end + allowed <= closing(key) or closing(key) == END_OF_TIME
                self._emit(content, key, "first", {"final": final})
                content.closed = True
                if final:
                    del self._held[key, content.start]
        for (key, _), content in self._sorted():
            if content.closed and (content.end + allowed <= closing(key) or closing(key) == END_OF_TIME):
                self._emit(content, key, "closing", {"final": True})
                del self._held[key, content.start]

    def _tick(self, period_us: int, closing: Callable[[Key], int]) -> None:
        for (key, _), content in self._sorted():
            if (
                content.dirty
                and self._last_closing[key] // period_us < closing(key) // period_us
                and content.end > closing(key)
            ):
                self._emit(content, key, "revision", {"early": True})
                content.dirty = False
        self._last_closing = {key: closing(key) for key in self._last_closing}

    def _fill(self, closing: Callable[[Key], int]) -> None:
        for key, start in list(self._known.items()):
            following = start
            while self._top is not None and following <= self._top:
                window = next((w for w in windows_of(self._query.window, following) if w[0] == following), None)
                if window is None or window[1] > closing(key):
                    break
                self._held.setdefault((key, following), Content(*window))
                following = self._after(window)
            self._known[key] = following

    def _after(self, window: tuple[int, int]) -> int:
        if isinstance(self._query.window, Sliding):
            return window[0] + self._query.window.slide_us
        return window[1]

    def _sorted(self) -> list[tuple[tuple[Key, int], Content]]:
        return sorted(self._held.items(), key=lambda item: (item[1].end, order_of(item[0][0]), item[1].start))


class SessionWindows:
    """Sessions of each key of each log."""

    def __init__(self, query: Query, emit: Emit) -> None:
        assert isinstance(query.window, Session)
        self._gap = query.window.gap_us
        self._query = query
        self._emit = emit
        self._held: dict[tuple[str, Key], list[Content]] = {}

    def add(self, event: Event, time: int, key: Key, before: int, closing: int) -> tuple[Class, int, int]:
        allowed, gap = self._query.lateness.allowed_us, self._gap
        held = self._held.setdefault((event.log, key), [])
        touched = [s for s in held if s.start <= time + gap and s.end >= time and s.end + allowed > before]
        if not touched and time + gap + allowed <= before:
            return "late", time, time + gap
        start, end = min([time, *(s.start for s in touched)]), max([time + gap, *(s.end for s in touched)])
        merged = Content(start, end, [e for s in touched for e in s.events], max([0, *(s.next for s in touched)]))
        merged.events.append((time, event.log, event.offset, dict(event.row)))
        for old in sorted(touched, key=lambda s: s.start):
            held.remove(old)
            if old.out and (old.start, old.end) != (start, end):
                self._emit(old, key, "retract", {"log": event.log, "early": not old.closed})
        held.append(merged)
        merged.closed = end <= closing
        if merged.closed or self._query.early is not None:
            self._emit(merged, key, "revision", {"log": event.log, "early": not merged.closed})
        return ("corrected" if end <= before else "on_time"), start, end

    def due(self, closing: Callable[[Key], int]) -> None:
        allowed = self._query.lateness.allowed_us
        for (log, key), content in self._sorted():
            if not content.closed and content.end <= closing(key):
                final = content.end + allowed <= closing(key) or closing(key) == END_OF_TIME
                self._emit(content, key, "first", {"final": final, "log": log})
                content.closed = True
                if final:
                    self._held[log, key].remove(content)
        for (log, key), content in self._sorted():
            if content.closed and (content.end + allowed <= closing(key) or closing(key) == END_OF_TIME):
                self._emit(content, key, "closing", {"final": True, "log": log})
                self._held[log, key].remove(content)

    def _sorted(self) -> list[tuple[tuple[str, Key], Content]]:
        every = [(where, content) for where, held in self._held.items() for content in held]
        return sorted(every, key=lambda item: (item[1].end, order_of(item[0][1]), item[1].start, item[0][0]))


class CountWindows:
    """So many events of a key in event-time order."""

    def __init__(self, query: Query, emit: Emit) -> None:
        assert isinstance(query.window, Count)
        self._spec = query.window
        self._emit = emit
        self._waiting: dict[Key, list[tuple[int, str, int, dict[str, Any]]]] = {}
        self._numbers: dict[Key, int] = {}

    def add(self, event: Event, time: int, key: Key, before: int, closing: int) -> tuple[Class, int, int]:
        if time < before:
            return "late", time, time + 1
        self._waiting.setdefault(key, []).append((time, event.log, event.offset, dict(event.row)))
        return "on_time", time, time + 1

    def due(self, closing: Callable[[Key], int]) -> None:
        found: list[tuple[Key, Content]] = []
        for key, waiting in self._waiting.items():
            waiting.sort(key=lambda event: event[:3])
            while (content := self._next(waiting, closing(key))) is not None:
                content.number = self._numbers.get(key, 0)
                self._numbers[key] = content.number + 1
                del waiting[: len(content.events)]
                found.append((key, content))
        for key, content in sorted(
            found, key=lambda pair: (pair[1].end, order_of(pair[0]), pair[1].start, pair[1].number)
        ):
            self._emit(content, key, "first", {"final": True, "window_number": content.number})

    def _next(self, waiting: list[tuple[int, str, int, dict[str, Any]]], closing: int) -> Content | None:
        """The first window of the waiting events, if it is due."""
        released = [event for event in waiting if event[0] < closing]
        if not released:
            return None
        start = released[0][0]
        timeout = self._spec.timeout_us
        members = released[: self._spec.size]
        if timeout is not None:
            members = [event for event in members if event[0] < start + timeout]
        if len(members) == self._spec.size:
            return Content(start, members[-1][0] + 1, members)
        if timeout is not None and start + timeout <= closing:
            return Content(start, start + timeout, members)
        return Content(start, members[-1][0] + 1, members) if timeout is None and closing == END_OF_TIME else None


def order_of(key: Key) -> tuple[tuple[bool, object], ...]:
    """Keys in order of their values, nulls first."""
    return tuple((value is not None, value if value is not None else 0) for value in key)
