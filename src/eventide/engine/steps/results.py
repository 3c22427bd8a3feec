"""Results: from merged states of windows that are due to the rows that go out, in the order of decision 0004.

Law: the order and the columns are the same for every kind of window; keys are values again only here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from eventide.engine.aggregates import Aggregates
from eventide.engine.keys import CODE, KeyTable
from eventide.flow import INSTANT
from eventide.instants import EARLIEST

RETRACTION: Final = 0
REVISION: Final = 1
EARLY: Final = 2
FIRST: Final = 3
CLOSING: Final = 4
"""The phases of one place in a log, in the order in which their rows go out."""

_PACKED_MOST = 2**62

MARKS: Final = {"place": pl.Int64(), "phase": pl.Int64(), "revision": pl.Int64(), "final": pl.Boolean()}
"""What every row on its way out carries besides its window and its state."""


@dataclass
class ResultRows:
    """Makes result rows. `extras` are further columns that the plan's results have: log, window_number, early, op."""

    keys: KeyTable
    aggregates: Aggregates
    extras: tuple[str, ...] = ()
    _ranks: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.Int64))

    def make(self, due: pl.DataFrame) -> pl.DataFrame:
        """The rows of merged states that have `_code`, `window_start`, `window_end` (microseconds), the marks and the
        extras.
        """
        ordered = self._in_order(due)
        keys = self.keys.decode(ordered.get_column(CODE))
        values = self.aggregates.results(ordered)
        before = [name for name in self.extras if name in ("log", "window_number")]
        behind = [name for name in self.extras if name in ("early", "op", "completeness")]
        return pl.DataFrame(
            [
                *(column.alias(name) for column, name in zip(keys, self.keys.names, strict=True)),
                *_bounds(ordered),
                *(ordered.get_column(name) for name in before),
                *values.get_columns(),
                *(ordered.get_column(name) for name in ("revision", "final", *behind)),
            ]
        )

    def _in_order(self, due: pl.DataFrame) -> pl.DataFrame:
        if due.height < 2:
            return due
        codes = due.get_column(CODE)
        if not self.extras and codes.len() < self.keys.size and self._ranks.len() < self.keys.size:
            numbers = self.keys.ordinals(codes)
            if numbers is not None:
                return due[_places(due, numbers)]
        ranked = due.with_columns(self._rank(codes).alias("_rank"))
        if not self.extras:
            return _sorted(ranked, _ORDER)
        further = [name for name in ("log", "window_number") if name in self.extras]
        return ranked.sort(*_ORDER, "window_start", *further)

    def _rank(self, codes: pl.Series) -> pl.Series:
        """The place of each key in the order of the key values."""
        size = self.keys.size
        if self._ranks.len() == size:
            return self._ranks.gather(codes)
        distinct = codes.unique() if codes.len() < size else pl.int_range(0, size, dtype=pl.Int64, eager=True)
        values = self.keys.decode(distinct).with_columns(distinct.alias(CODE))
        # one thread sorts texts in half the time that several take
        ordered = values.sort(self.keys.names, multithreaded=False) if self.keys.names else values
        ranks = pl.Series([0], dtype=pl.Int64).new_from_index(0, size)
        ranks = ranks.scatter(ordered.get_column(CODE), pl.int_range(0, ordered.height, dtype=pl.Int64, eager=True))
        if distinct.len() == size:
            self._ranks = ranks
        return ranks.gather(codes)


_ORDER = ("place", "phase", "window_end", "_rank")


def _places(due: pl.DataFrame, numbers: pl.Series) -> pl.Series:
    """The places of the rows in their order, `numbers` being that of the keys. Narrow columns are sorted, so that the
    rows themselves move only once.
    """
    packed = _packed(due, _ORDER[:-1])
    marks = due.select(_ORDER[:-1]) if packed is None else pl.DataFrame([packed.alias("_order")])
    places = pl.int_range(due.height, dtype=pl.UInt32, eager=True)
    narrow = marks.hstack([numbers.alias("_rank"), places.alias("_at")]).sort("_rank", multithreaded=False)
    return narrow.sort(marks.columns, maintain_order=True, multithreaded=False).get_column("_at")


def _sorted(due: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The rows by these columns; rows that are equal in them stay in their order."""
    packed = _packed(due, by)
    if packed is None:
        return due.sort(by, maintain_order=True)
    return due.with_columns(packed.alias("_order")).sort("_order", maintain_order=True, multithreaded=False)


def _packed(due: pl.DataFrame, by: Sequence[str]) -> pl.Series | None:
    """The order of the rows as one integer, several times faster to sort by; None where it does not fit."""
    packed, size = None, 1
    for name in reversed(by):
        column = due.get_column(name)
        low, high = int(column.min()), int(column.max())  # type: ignore[arg-type] # integers
        if low == high:
            continue
        part = (column - low) * size
        packed = part if packed is None else packed + part
        size *= high - low + 1
        if size >= _PACKED_MOST:
            return None
    return packed


def _bounds(due: pl.DataFrame) -> list[pl.Series]:
    """The window's bounds as instants; null for the global window."""
    start, end = due.get_column("window_start"), due.get_column("window_end")
    if due.height and int(start.min()) > EARLIEST:  # type: ignore[arg-type] # integers
        return [start.cast(INSTANT), end.cast(INSTANT)]
    within = start > EARLIEST
    nothing = pl.Series([None], dtype=INSTANT).new_from_index(0, due.height)
    return [bound.zip_with(within, bound).cast(INSTANT).zip_with(within, nothing) for bound in (start, end)]
