"""The kinds of windows, as frozen values.

Law: a window is half open, `[start, end)`, in microseconds of event time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventide.instants import LONGEST, Duration, microseconds, non_negative_us, positive_us

CalendarUnit = Literal["1d", "1w", "1mo", "1q", "1y"]


@dataclass(frozen=True, slots=True)
class Sliding:
    """Windows of `size_us` that begin every `slide_us`, shifted by `offset_us` from 1970-01-01 UTC.

    An event belongs to every window that covers it: none, one or many. Tumbling windows have slide = size.
    """

    size_us: int
    slide_us: int
    offset_us: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.size_us <= LONGEST and 0 < self.slide_us <= LONGEST):
            raise ValueError(f"size={self.size_us} us and slide={self.slide_us} us must be longer than zero")

    @property
    def slice_us(self) -> int:
        """The length of a slice: every window is a whole number of slices, so a row is added to one place only."""
        return math.gcd(self.size_us, self.slide_us)

    def windows_of(self, time: int) -> list[tuple[int, int]]:
        """The windows that cover an event time, earliest first.

        >>> Sliding(10, 5).windows_of(12)
        [(5, 15), (10, 20)]
        """
        last = (time - self.offset_us) // self.slide_us * self.slide_us + self.offset_us
        starts = range(last, time - self.size_us, -self.slide_us)
        return [(start, start + self.size_us) for start in reversed(starts)]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Windows aligned to the calendar of a time zone: days, weeks (from Monday), months, quarters or years.

    Their length follows the calendar: a day in Europe/Helsinki has 23 hours when summer time begins.
    """

    unit: CalendarUnit
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.unit not in ("1d", "1w", "1mo", "1q", "1y"):
            raise ValueError(f"calendar windows last 1d, 1w, 1mo, 1q or 1y, not {self.unit!r}")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, TypeError):
            raise ValueError(f'timezone={self.timezone!r} is unknown: use a name such as "Europe/Helsinki"') from None


@dataclass(frozen=True, slots=True)
class Session:
    """Windows that last while events of a key follow each other with at most `gap_us` between them.

    A session's end is its last event + gap. Sessions belong to one key of one log: an event joins only sessions of its
    own log, which is what makes the answer independent of how logs are interleaved.
    """

    gap_us: int

    def __post_init__(self) -> None:
        if not 0 < self.gap_us <= LONGEST:
            raise ValueError(f"gap={self.gap_us} us must be longer than zero")


@dataclass(frozen=True, slots=True)
class Count:
    """Windows of `size` consecutive events of a key, in order of event time, then log, then offset.

    With `timeout_us`, a window also ends that long after its first event. A window's start is its first event's time;
    its end is the instant behind its last event when it is full, first event + timeout when it timed out. An event
    behind the watermark of its log has lost its place in the order and is late.
    """

    size: int
    timeout_us: int | None = None

    def __post_init__(self) -> None:
        given: object = self.size
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise ValueError(f"size={given!r} must be a whole number of at least 1 event")
        if self.timeout_us is not None and not 0 < self.timeout_us <= LONGEST:
            raise ValueError(f"timeout={self.timeout_us} us must be longer than zero")


@dataclass(frozen=True, slots=True)
class Global:
    """One window a key over all time. It ends when the input ends; until then only early results come out."""


Window: TypeAlias = Sliding | Calendar | Session | Count | Global
"""Any window specification."""


def tumbling(size: Duration, *, offset: Duration = "0s", timezone: str | None = None) -> Sliding | Calendar:
    """Windows that follow each other without overlap.

    `size` is a length ("5m"), or with `timezone` one of "1d", "1w", "1mo", "1q", "1y" for windows aligned to that
    zone's calendar. `offset` shifts the windows from 1970-01-01 UTC.

    >>> tumbling("5m").size_us
    300000000
    >>> tumbling("1d", timezone="Europe/Helsinki")
    Calendar(unit='1d', timezone='Europe/Helsinki')
    """
    if timezone is not None or size in ("1mo", "1q", "1y"):
        if microseconds(offset, "offset"):
            raise ValueError("offset= cannot go with calendar windows: they begin where the calendar says")
        return Calendar(size, timezone or "UTC")  # type: ignore[arg-type] # Calendar itself refuses other sizes
    length = positive_us(size, "size")
    return Sliding(length, length, microseconds(offset, "offset") % length)


def sliding(size: Duration, slide: Duration, *, offset: Duration = "0s") -> Sliding:
    """Windows of `size` that begin every `slide`; they overlap when the slide is shorter than the size.

    >>> sliding("1m", "5s").slice_us
    5000000
    """
    step = positive_us(slide, "slide")
    return Sliding(positive_us(size, "size"), step, microseconds(offset, "offset") % step)


def session(gap: Duration) -> Session:
    """Windows that end when nothing came for `gap`. An event exactly one gap later still belongs to the session."""
    return Session(positive_us(gap, "gap"))


def count_window(size: int, *, timeout: Duration | None = None) -> Count:
    """Windows of `size` events of a key in event-time order, closed after `timeout` at the latest."""
    return Count(size, None if timeout is None else positive_us(timeout, "timeout"))


def global_window() -> Global:
    """One window over everything, for running totals with `early=`."""
    return Global()


def lateness_us(lateness: Duration) -> int:
    """The allowed lateness in microseconds."""
    return non_negative_us(lateness, "lateness")
