"""Window grids: fixed windows numbered by integers, and the slices they share.

Law: window `w` is `[start(w), end(w))`; the windows that cover an instant are those from `first(t)` to `last(t)`; a
slice lies wholly inside or outside any window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from eventide.flow import INSTANT
from eventide.instants import EARLIEST, END_OF_TIME
from eventide.semantics.windows import Calendar, Global, Sliding


class Grid(Protocol):
    """Numbered windows over event time. Expressions take and give `Int64` microseconds or numbers."""

    @property
    def slices_per_slide(self) -> int: ...

    @property
    def slices_per_window(self) -> int: ...

    @property
    def reach_us(self) -> int: ...

    def slice(self, time: pl.Expr) -> pl.Expr: ...

    def first(self, time: pl.Expr) -> pl.Expr: ...

    def last(self, time: pl.Expr) -> pl.Expr: ...

    def start(self, window: pl.Expr) -> pl.Expr: ...

    def end(self, window: pl.Expr) -> pl.Expr: ...

    def first_open(self, watermark: pl.Expr) -> pl.Expr:
        """The first window whose end lies behind the watermark."""

    def slice_at(self, instant_us: int) -> int:
        """`slice` of one instant."""

    def first_open_at(self, watermark_us: int) -> int:
        """`first_open` of one watermark."""


@dataclass(frozen=True)
class SlidingGrid:
    """Tumbling and sliding windows."""

    spec: Sliding

    @property
    def slices_per_slide(self) -> int:
        return self.spec.slide_us // self.spec.slice_us

    @property
    def slices_per_window(self) -> int:
        return self.spec.size_us // self.spec.slice_us

    @property
    def reach_us(self) -> int:
        return self.spec.size_us

    def slice(self, time: pl.Expr) -> pl.Expr:
        return (time - self.spec.offset_us) // self.spec.slice_us

    def first(self, time: pl.Expr) -> pl.Expr:
        return (time - (self.spec.offset_us + self.spec.size_us)) // self.spec.slide_us + 1

    def last(self, time: pl.Expr) -> pl.Expr:
        return (time - self.spec.offset_us) // self.spec.slide_us

    def start(self, window: pl.Expr) -> pl.Expr:
        return window * self.spec.slide_us + self.spec.offset_us

    def end(self, window: pl.Expr) -> pl.Expr:
        return window * self.spec.slide_us + (self.spec.offset_us + self.spec.size_us)

    def first_open(self, watermark: pl.Expr) -> pl.Expr:
        return self.first(watermark)

    def slice_at(self, instant_us: int) -> int:
        return (instant_us - self.spec.offset_us) // self.spec.slice_us

    def first_open_at(self, watermark_us: int) -> int:
        return (watermark_us - (self.spec.offset_us + self.spec.size_us)) // self.spec.slide_us + 1


_FIRST_CALENDAR_YEAR_US = -62_135_596_800_000_000  # 0001-01-01
_LAST_CALENDAR_YEAR_US = 253_370_764_800_000_000  # 9999-01-01: calendars end with four-digit years
_QUARTERS_OF_AN_HOUR = range(0, 25)


@dataclass(frozen=True)
class CalendarGrid:
    """Days, weeks, months, quarters or years of a time zone, numbered from year 0 or from 1970-01-01."""

    spec: Calendar
    slices_per_slide: int = 1
    slices_per_window: int = 1
    reach_us: int = END_OF_TIME - _LAST_CALENDAR_YEAR_US

    def slice(self, time: pl.Expr) -> pl.Expr:
        local = time.cast(INSTANT).dt.convert_time_zone(self.spec.timezone)
        days = local.dt.date().cast(pl.Int32).cast(pl.Int64)
        year, month = local.dt.year().cast(pl.Int64), local.dt.month().cast(pl.Int64)
        match self.spec.unit:
            case "1d":
                return days
            case "1w":
                return (days + 3) // 7
            case "1mo":
                return year * 12 + month - 1
            case "1q":
                return year * 4 + (month - 1) // 3
            case "1y":
                return year

    def first(self, time: pl.Expr) -> pl.Expr:
        return self.slice(time)

    def last(self, time: pl.Expr) -> pl.Expr:
        return self.slice(time)

    def start(self, window: pl.Expr) -> pl.Expr:
        match self.spec.unit:
            case "1d":
                day = window.cast(pl.Int32).cast(pl.Date)
            case "1w":
                day = (window * 7 - 3).cast(pl.Int32).cast(pl.Date)
            case "1mo":
                day = pl.date(window // 12, window % 12 + 1, 1)
            case "1q":
                day = pl.date(window // 4, window % 4 * 3 + 1, 1)
            case "1y":
                day = pl.date(window, 1, 1)
        return _first_instant(day, self.spec.timezone)

    def end(self, window: pl.Expr) -> pl.Expr:
        return self.start(window + 1)

    def end_at(self, instant_us: int) -> int:
        """The end of the window of an instant."""
        return _number(lambda time: self.end(self.slice(time)), instant_us)

    def first_open(self, watermark: pl.Expr) -> pl.Expr:
        return self.slice(watermark.clip(_FIRST_CALENDAR_YEAR_US, _LAST_CALENDAR_YEAR_US))

    def slice_at(self, instant_us: int) -> int:
        return _number(self.slice, instant_us)

    def first_open_at(self, watermark_us: int) -> int:
        return _number(self.first_open, watermark_us)


def _first_instant(day: pl.Expr, timezone: str) -> pl.Expr:
    """The first instant of a local day: midnight, or where the clocks jump to if they jump over midnight."""
    midnight = day.cast(pl.Datetime("us"))
    tried = [
        (midnight + pl.duration(minutes=15 * quarter)).dt.replace_time_zone(
            timezone, ambiguous="earliest", non_existent="null"
        )
        for quarter in _QUARTERS_OF_AN_HOUR
    ]
    return pl.coalesce(tried).dt.convert_time_zone("UTC").cast(pl.Int64)


@dataclass(frozen=True)
class GlobalGrid:
    """One window over all time."""

    slices_per_slide: int = 1
    slices_per_window: int = 1
    reach_us: int = 1

    def slice(self, time: pl.Expr) -> pl.Expr:
        return time * 0

    def first(self, time: pl.Expr) -> pl.Expr:
        return time * 0

    def last(self, time: pl.Expr) -> pl.Expr:
        return time * 0

    def start(self, window: pl.Expr) -> pl.Expr:
        return window * 0 + EARLIEST

    def end(self, window: pl.Expr) -> pl.Expr:
        return window * 0 + END_OF_TIME

    def first_open(self, watermark: pl.Expr) -> pl.Expr:
        return watermark * 0

    def slice_at(self, instant_us: int) -> int:
        return 0

    def first_open_at(self, watermark_us: int) -> int:
        return 0


def _number(found: Callable[[pl.Expr], pl.Expr], instant_us: int) -> int:
    return int(pl.select(found(pl.lit(instant_us, dtype=pl.Int64))).item())


def grid_of(window: Sliding | Calendar | Global) -> Grid:
    """The grid of a fixed window specification."""
    match window:
        case Sliding():
            return SlidingGrid(window)
        case Calendar():
            return CalendarGrid(window)
        case Global():
            return GlobalGrid()
