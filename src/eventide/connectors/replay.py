"""Replay: a source paced by the arrival times of its rows.

Law: pacing changes when rows are handed out, never which or in what order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from eventide.flow import (
    ARRIVAL,
    OFFSET,
    Acknowledged,
    Batch,
    LogReader,
    LogSet,
    Position,
    ReadContext,
    Source,
    no_refused,
)

_FOREVER_US = 2**61
_FROM = "replay_from"


@dataclass(frozen=True, slots=True)
class Replay:
    """A source whose rows come at `speed` times the pace at which they arrived."""

    source: Source
    speed: float

    def __post_init__(self) -> None:
        given: object = self.speed
        if not isinstance(given, int | float) or not given > 0:
            raise ValueError(
                f"speed={self.speed!r} must be a number above zero: 60 plays an hour in a minute, math.inf all at once"
            )

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return self.source.columns

    @property
    def single_log(self) -> bool:
        return self.source.single_log

    @property
    def bounded(self) -> bool:
        return self.source.bounded

    @property
    def unpaced(self) -> Source:
        """The same rows without waiting for their time."""
        return self.source

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> ReplayLogs:
        inner = {log: _inner(position) for log, position in positions.items()}
        return ReplayLogs(self.source.open(context, inner), self.speed, context, positions)


@dataclass
class ReplayLogs:
    """The logs of a replay: all paced from the same first arrival."""

    inner: LogSet
    speed: float
    context: ReadContext
    positions: Mapping[str, Position]
    first_arrival_us: int | None = None
    began_us: int = 0

    @property
    def may_grow(self) -> bool:
        return self.inner.may_grow

    def discover(self) -> Sequence[LogReader]:
        return [ReplayReader(reader, self, self.positions.get(reader.log, {})) for reader in self.inner.discover()]

    def due_us(self) -> int:
        """The latest arrival time whose turn has come."""
        assert self.first_arrival_us is not None
        if math.isinf(self.speed):
            return _FOREVER_US
        passed_us = self.context.clock.now_us() - self.began_us
        return self.first_arrival_us + int(min(passed_us * self.speed, _FOREVER_US))

    def close(self) -> None:
        self.inner.close()


class ReplayReader:
    """Hands out the rows of a log when their time has come."""

    def __init__(self, inner: LogReader, logs: ReplayLogs, position: Position) -> None:
        self.log = inner.log
        self._inner = inner
        self._logs = logs
        self._waiting: Batch | None = None
        self._before = inner.position()
        self._next = int(position.get("offset") or 0) if _FROM in position else 0

    @property
    def finished(self) -> bool:
        return self._waiting is None and self._inner.finished

    def read(self, rows_max: int) -> Batch | None:
        if self._waiting is None:
            self._waiting = self._drawn(rows_max)
            if self._waiting is None:
                return None
        waiting = self._waiting
        arrivals = waiting.rows.get_column(ARRIVAL).cast(pl.Int64)
        if self._logs.first_arrival_us is None and arrivals.drop_nulls().len():
            self._logs.first_arrival_us, self._logs.began_us = (
                int(arrivals.drop_nulls()[0]),
                self._logs.context.clock.now_us(),
            )
        if self._logs.first_arrival_us is None:
            self._waiting = None
            return waiting
        early = (arrivals > self._logs.due_us()).fill_null(False)
        ready = int(early.arg_max() or 0) if early.any() else arrivals.len()
        return self._split(waiting, min(ready, rows_max))

    def _drawn(self, rows_max: int) -> Batch | None:
        """The next batch, without what was handed out before the position that reading goes on from."""
        while True:
            self._before = self._inner.position()
            batch = self._inner.read(rows_max)
            if batch is None or not self._next:
                return batch
            left = pl.col(OFFSET) >= self._next
            batch = replace(batch, rows=batch.rows.filter(left), refused=batch.refused.filter(left))
            if batch.received:
                self._next = 0
                return batch

    def _split(self, waiting: Batch, ready: int) -> Batch | None:
        if ready >= waiting.rows.height:
            self._waiting = None
            return waiting
        if ready == 0:
            return None
        last = int(waiting.rows.get_column(OFFSET)[ready - 1])
        now, later = pl.col(OFFSET) <= last, pl.col(OFFSET) > last
        self._waiting = replace(waiting, rows=waiting.rows.slice(ready), refused=waiting.refused.filter(later))
        return Batch(
            waiting.log,
            waiting.rows.head(ready),
            waiting.refused.filter(now) if waiting.refused.height else no_refused(),
            notes=waiting.notes,
        )

    def position(self) -> Position:
        if self._waiting is None:
            return self._inner.position() if not self._next else self._given()
        waiting = (frame.get_column(OFFSET) for frame in (self._waiting.rows, self._waiting.refused) if frame.height)
        return {**self._before, "offset": min(int(offsets[0]) for offsets in waiting), _FROM: self._before["offset"]}

    def _given(self) -> Position:
        before = self._inner.position()
        return {**before, "offset": self._next, _FROM: before["offset"]}

    def decided(self, position: Position, oldest: Position) -> None:
        if isinstance(self._inner, Acknowledged):
            self._inner.decided(_inner(position), _inner(oldest))

    def close(self) -> None:
        self._inner.close()


def _inner(position: Position) -> Position:
    """The position of the source below: where the batch begins that was being handed out."""
    if _FROM not in position:
        return position
    own = {name: value for name, value in position.items() if name != _FROM}
    return {**own, "offset": position[_FROM]}
