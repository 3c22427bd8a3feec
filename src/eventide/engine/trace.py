"""The trace of a run: for each log the event that moved its clock last, and a bounded sample of its events.

Law: a trace is a function of the log, not of its batches, and its size does not grow with the log; nothing of it
decides an answer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import polars as pl

from eventide.engine.clocks import Clock
from eventide.engine.keys import CODE
from eventide.engine.steps.door import Admitted
from eventide.flow import ARRIVAL, INSTANT, LOG, OFFSET
from eventide.instants import NO_WATERMARK
from eventide.plan import Plan
from eventide.semantics.eventtime import KeyClock

POINTS_MOST = 1_024
"""So many sampled events a log are kept at most; beyond it every second one goes and the stride doubles."""

_FLOORS_MOST = 1_024
_GIVEN_MOST = 262_144
_ONE_BY_ONE = 16
_GIVEN: dict[str, pl.DataType] = {LOG: pl.String(), OFFSET: pl.Int64(), CODE: pl.Int64(), "floor": pl.Int64()}

SAMPLE_SCHEMA: dict[str, pl.DataType] = {
    LOG: pl.String(),
    OFFSET: pl.Int64(),
    "arrival": INSTANT,
    "time": INSTANT,
    "watermark": INSTANT,
    "key": pl.String(),
}
"""A sampled event: when it arrived, when it happened, the watermark of its clock in front of it (null: none yet)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An accepted event of a log: its offset, its event time and when it arrived (microseconds; None: not known)."""

    offset: int
    time_us: int
    arrival_us: int | None


@dataclass
class LogTrace:
    """What is remembered of one log.

    `moved` is the event that moved the watermark last (for key clocks: the front of the log), `moved_by` what did it.
    `floors` are (first offset behind, floor): where the log was given a watermark from outside, coming back from
    idleness. `stride` is how many events lie between two sampled ones.
    """

    events: int = 0
    last: Mark | None = None
    moved: Mark | None = None
    moved_by: Literal["event", "heartbeat", "floor"] = "event"
    watermark: int = NO_WATERMARK
    floor: int = NO_WATERMARK
    floors: list[tuple[int, int]] = field(default_factory=list)
    stride: int = 1
    columns: tuple[array[int], ...] = field(default_factory=lambda: tuple(array("q") for _ in range(4)))
    keys: list[str] = field(default_factory=list)

    def see(self, clock: Clock, admitted: Admitted, heartbeat: int | None, labels: Sequence[str]) -> None:
        """Look at the events of a batch that the door let in, behind their clock."""
        size = admitted.times.len()
        if not size:
            return
        offsets = admitted.rows.get_column(OFFSET)
        arrivals = admitted.rows.get_column(ARRIVAL).cast(pl.Int64)
        if arrivals.null_count():
            arrivals = arrivals.fill_null(NO_WATERMARK)
        if clock.floor > self.floor:
            self.floor = clock.floor
            self.floors = [*self.floors, (int(offsets[0]), clock.floor)][-_FLOORS_MOST:]
        series = (offsets, arrivals, admitted.times, admitted.before)
        place = self._mover(clock, admitted, heartbeat)
        if place is not None:
            self.moved = _mark(series, place)
        self.last = _mark(series, size - 1)
        self._sample(series, admitted.rows, labels)

    def _mover(self, clock: Clock, admitted: Admitted, heartbeat: int | None) -> int | None:
        """The place of the event that moved the clock last; None where none in this batch did."""
        if isinstance(clock.settings.clock, KeyClock):
            if clock.front <= self.watermark:
                return None
            self.watermark, self.moved_by = clock.front, "event"
            return int(admitted.times.arg_max() or 0)
        if clock.watermark <= self.watermark:
            return None
        self.watermark = clock.watermark
        # the watermarks in front of the events never go back, so the mover is found by bisection
        behind = bisect_left(admitted.before, clock.watermark)
        if clock.floor == clock.watermark:
            self.moved_by = "floor"
        else:
            self.moved_by = "heartbeat" if heartbeat == clock.watermark else "event"
        return max(behind - 1, 0)

    def _sample(self, series: tuple[pl.Series, ...], rows: pl.DataFrame, labels: Sequence[str]) -> None:
        size = rows.height
        begun, self.events = self.events, self.events + size
        while -(-self.events // self.stride) > POINTS_MOST:
            self.stride *= 2
            self.columns = tuple(column[::2] for column in self.columns)
            self.keys = self.keys[::2]
        places = range(-begun % self.stride, size, self.stride)
        if not places:
            return
        for column, values in zip(self.columns, series, strict=True):
            column.extend(_at(values, places))
        if labels:
            self.keys.extend(_texts([_at(rows.get_column(name), places) for name in labels]))

    def sample(self, log: str) -> pl.DataFrame:
        """The sampled events in the order of the log, with the columns of `SAMPLE_SCHEMA`."""
        offset, arrival, time, before = (pl.Series(column, dtype=pl.Int64) for column in self.columns)
        keys = pl.Series(self.keys or [None] * offset.len(), dtype=pl.String)
        frame = pl.DataFrame({OFFSET: offset, "arrival": arrival, "time": time, "watermark": before, "key": keys})
        known = [
            pl.when(pl.col(name) > NO_WATERMARK).then(pl.col(name)).cast(INSTANT).alias(name)
            for name in ("arrival", "time", "watermark")
        ]
        return frame.with_columns(*known, pl.lit(log).alias(LOG)).select(*SAMPLE_SCHEMA)


@dataclass
class Trace:
    """The traces of all logs; `labels` are the columns that name whose event a sampled one is. `given` are the floors
    of single keys' clocks, with the first offset behind them (null: that row is still to come).
    """

    labels: Sequence[str] = ()
    logs: dict[str, LogTrace] = field(default_factory=dict)
    given: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_GIVEN))

    @classmethod
    def of(cls, plan: Plan, columns: Mapping[str, pl.DataType]) -> Trace:
        """The trace of a plan whose rows have these columns at the door."""
        clock = plan.event_time.clock if plan.event_time is not None else None
        keys = (clock.key,) if isinstance(clock, KeyClock) else plan.aggregate.keys if plan.aggregate else ()
        return cls(tuple(name for name in keys if name in columns))

    def of_log(self, log: str) -> LogTrace:
        """The trace of a log."""
        return self.logs.setdefault(log, LogTrace())

    def see(self, log: str, clock: Clock, admitted: Admitted, heartbeat: int | None) -> None:
        """Look at the events of a batch."""
        self.of_log(log).see(clock, admitted, heartbeat, self.labels)
        self.note(log, clock)
        if self.given.height and admitted.rows.height and self.given.get_column(OFFSET).null_count():
            mine = pl.col(OFFSET).is_null() & (pl.col(LOG) == log)
            here = pl.when(mine).then(admitted.rows.get_column(OFFSET)[0]).otherwise(OFFSET)
            self.given = self.given.with_columns(here.alias(OFFSET))

    def note(self, log: str, clock: Clock) -> None:
        """Note down the floors that the keys of a log were given."""
        if clock.given is not None:
            new = clock.given.select(pl.lit(log).alias(LOG), pl.lit(None, pl.Int64).alias(OFFSET), CODE, "floor")
            self.given = pl.concat([self.given, new]).tail(max(_GIVEN_MOST, new.height))
            clock.given = None

    def given_to(self, log: str) -> pl.DataFrame:
        """The floors of single keys' clocks in a log, in its order."""
        return self.given.filter((pl.col(LOG) == log) & pl.col(OFFSET).is_not_null())

    def floor_of_key(self, log: str, code: int, offset: int) -> int:
        """The largest floor that the clock of a key was given in front of an offset."""
        mine = self.given_to(log).filter((pl.col(CODE) == code) & (pl.col(OFFSET) <= offset))
        return max(mine.get_column("floor"), default=NO_WATERMARK)

    @property
    def sample(self) -> pl.DataFrame:
        """The sampled events of all logs."""
        parts = [trace.sample(log) for log, trace in self.logs.items()]
        return pl.concat([pl.DataFrame(schema=SAMPLE_SCHEMA), *parts])

    def dump(self) -> Any:
        """The trace as plain values."""
        return {log: msgspec.to_builtins(_Saved.of(trace)) for log, trace in self.logs.items()}

    def frames(self) -> dict[str, pl.DataFrame]:
        """What of it is kept as frames."""
        return {"given": self.given} if self.given.height else {}

    def load(self, saved: object, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a saved trace back."""
        self.given = frames.get("given", self.given)
        found = msgspec.convert(saved, dict[str, _Saved])
        self.logs = {log: one.trace() for log, one in found.items()}


class _Saved(msgspec.Struct):
    """The plain values of a log's trace."""

    events: int
    last: Mark | None
    moved: Mark | None
    moved_by: Literal["event", "heartbeat", "floor"]
    watermark: int
    floor: int
    floors: list[tuple[int, int]]
    stride: int
    columns: list[list[int]]
    keys: list[str]

    @classmethod
    def of(cls, trace: LogTrace) -> _Saved:
        values = {name: getattr(trace, name) for name in cls.__struct_fields__ if name not in ("columns", "keys")}
        return cls(**values, columns=[column.tolist() for column in trace.columns], keys=list(trace.keys))

    def trace(self) -> LogTrace:
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name != "columns"}
        return LogTrace(**values, columns=tuple(array("q", column) for column in self.columns))


def _mark(series: tuple[pl.Series, ...], place: int) -> Mark:
    arrival_us = series[1][place]
    return Mark(series[0][place], series[2][place], arrival_us if arrival_us > NO_WATERMARK else None)


def _at(values: pl.Series, places: range) -> list[Any]:
    """The values at these places. Single ones are quicker taken one by one than by a gather."""
    if len(places) <= _ONE_BY_ONE:
        return [values[place] for place in places]
    return values.gather(list(places)).to_list()


def _texts(columns: list[list[Any]]) -> list[str]:
    """Keys as texts, the values of several columns one behind the other."""
    if len(columns) == 1:
        return [value if isinstance(value, str) else str(value) for value in columns[0]]
    return [", ".join(map(str, values)) for values in zip(*columns, strict=True)]
