"""The order of a replayed log: reversed, or by arrival time with a stated tie rule.

Law: the order is part of what the log is: offsets are places in the replayed order. A file must be read whole to be
put in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from eventide.flow import ARRIVAL, OFFSET, Batch, LogReader, LogSet, Position, ReadContext, Source

_READ_ROWS = 524_288


@dataclass(frozen=True, slots=True)
class ByArrival:
    """By arrival time; among equals by `tie`: "offset" (as it stands), "reversed", or a column, then as it stands."""

    tie: str = "offset"


Order = Literal["as_is", "reversed"] | ByArrival


def by_arrival(tie: str = "offset") -> ByArrival:
    """The order in which rows arrived; `tie` says how rows of one arrival time stand: "offset", "reversed" or a
    column.
    """
    return ByArrival(tie)


@dataclass(frozen=True, slots=True)
class Ordered:
    """A bounded source whose logs are replayed in another order."""

    source: Source
    order: Order

    def __post_init__(self) -> None:
        if not self.source.bounded:
            raise ValueError(
                "order= puts a log in order once it was read whole, and this source never ends: leave it out"
            )
        if not isinstance(self.order, ByArrival) and self.order != "reversed":
            raise ValueError(f"order={self.order!r} is not an order: use as_is, reversed or et.by_arrival()")
        if isinstance(self.order, ByArrival):
            if getattr(self.source, "arrival", None) is None:
                raise ValueError(
                    "order=by_arrival() needs arrival times that stand in the rows: name their column with arrival="
                )
            if self.order.tie not in ("offset", "reversed", *self.source.columns):
                raise ValueError(
                    f"by_arrival(tie={self.order.tie!r}) is not a column: use offset, reversed or one of "
                    f"{', '.join(self.source.columns)}"
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
        return True

    @property
    def arrival(self) -> str | None:
        return getattr(self.source, "arrival", None)

    @property
    def schema(self) -> object:
        return getattr(self.source, "schema", None)

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> OrderedLogs:
        return OrderedLogs(self.source.open(context, {}), self.order, positions)


@dataclass
class OrderedLogs:
    """The logs of an ordered source."""

    inner: LogSet
    order: Order
    positions: Mapping[str, Position]
    may_grow: bool = False
    given: list[LogReader] = field(default_factory=list)

    def discover(self) -> Sequence[LogReader]:
        made = [
            OrderedReader(reader, self.order, self.positions.get(reader.log, {})) for reader in self.inner.discover()
        ]
        self.given.extend(made)
        return made

    def close(self) -> None:
        self.inner.close()


class OrderedReader:
    """One log, read whole, put in order and handed out in pieces."""

    def __init__(self, inner: LogReader, order: Order, position: Position) -> None:
        self.log = inner.log
        self._next = int(position.get("offset") or 0)
        self._rows, self._refused = _in_order(inner, order)

    @property
    def finished(self) -> bool:
        return self._next >= self._rows.height + self._refused.height

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        start, self._next = self._next, min(self._next + rows_max, self._rows.height + self._refused.height)
        return Batch(self.log, _between(self._rows, start, self._next), _between(self._refused, start, self._next))

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._next = self._rows.height + self._refused.height


def _between(frame: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    offsets = frame.get_column(OFFSET)
    low, high = int(offsets.search_sorted(start)), int(offsets.search_sorted(end))
    return frame.slice(low, high - low)


def _in_order(inner: LogReader, order: Order) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All rows and refused rows with their places in the order as offsets. Refused rows come last when ordered by
    arrival.
    """
    batches: list[Batch] = []
    while not inner.finished:
        batch = inner.read(_READ_ROWS)
        if batch is not None:
            batches.append(batch)
    if not batches:
        return pl.DataFrame(schema={OFFSET: pl.Int64()}), pl.DataFrame(schema={OFFSET: pl.Int64()})
    rows = pl.concat([batch.rows for batch in batches])
    refused = pl.concat([batch.refused for batch in batches])
    if not isinstance(order, ByArrival):
        last = max(int(frame.get_column(OFFSET).max() or 0) for frame in (rows, refused) if frame.height)  # type: ignore[arg-type]
        turned = (last - pl.col(OFFSET)).alias(OFFSET)
        return rows.with_columns(turned).reverse(), refused.with_columns(turned).reverse()
    if order.tie in ("offset", "reversed"):
        ordered = rows.sort([ARRIVAL, OFFSET], descending=[False, order.tie == "reversed"])
    else:
        ordered = rows.sort([ARRIVAL, order.tie, OFFSET])
    places = pl.int_range(pl.len(), dtype=pl.Int64).alias(OFFSET)
    return ordered.with_columns(places), refused.with_columns(places + rows.height)
