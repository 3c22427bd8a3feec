"""A Polars frame as a source: one log, its rows in order.

Law: nothing is copied but what a cast needs; offsets are row numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from eventide.connectors.one_log import OneLog
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, Position, ReadContext


@dataclass(frozen=True, slots=True)
class FrameSource:
    """The rows of a frame. `arrival` names the column of arrival times; without it rows arrive when they are read."""

    frame: pl.DataFrame = field(hash=False)
    name: str = "frame"
    arrival: str | None = None
    single_log: bool = True
    bounded: bool = True

    def __post_init__(self) -> None:
        if self.arrival is not None and self.arrival not in self.frame.columns:
            raise ValueError(f"arrival={self.arrival!r} is not a column of the frame: add it, or leave arrival= out")

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return dict(self.frame.schema)

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> OneLog:
        return OneLog(FrameReader(self, context, int(positions.get(self.name, {}).get("offset") or 0)))


class FrameReader:
    """Hands out slices of the frame."""

    def __init__(self, source: FrameSource, context: ReadContext, start: int) -> None:
        self.log = source.name
        self._source = source
        self._context = context
        self._next = start

    @property
    def finished(self) -> bool:
        return self._next >= self._source.frame.height

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        part = self._source.frame.slice(self._next, rows_max)
        offsets = pl.int_range(self._next, self._next + part.height, dtype=pl.Int64).alias(OFFSET)
        arrival = pl.col(self._source.arrival) if self._source.arrival else pl.lit(self._context.clock.now_us())
        self._next += part.height
        return Batch(self.log, part.with_columns(offsets, arrival.cast(INSTANT).alias(ARRIVAL)))

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._next = self._source.frame.height
