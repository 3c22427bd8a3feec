"""Results: from merged states of windows that are due to the rows that go out, in the order of decision 0004.

Law: the order and the columns are the same for every kind of window; keys are values again only here.
"""

from __future__ import annotations

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
        values = self.aggregates.results(ordered)
        window = ordered.select(
            _instant("window_start"),
            _instant("window_end"),
            *(name for name in self.extras if name in ("log", "window_number")),
        )
        marks = ordered.select("revision", "final", *(name for name in self.extras if name in ("early", "op")))
        return pl.concat([self.keys.decode(ordered.get_column(CODE)), window, values, marks], how="horizontal")

    def _in_order(self, due: pl.DataFrame) -> pl.DataFrame:
        by = [
            "window_end",
            "_rank",
            "window_start",
            *(name for name in ("log", "window_number") if name in self.extras),
        ]
        ranked = due.with_columns(self._rank(due.get_column(CODE)).alias("_rank"))
        return ranked.sort(["place", "phase", *by])

    def _rank(self, codes: pl.Series) -> pl.Series:
        """The place of each key in the order of the key values."""
        size = self.keys.size
        if self._ranks.len() == size:
            return self._ranks.gather(codes)
        distinct = codes.unique() if codes.len() < size else pl.int_range(0, size, dtype=pl.Int64, eager=True)
        values = self.keys.decode(distinct).with_columns(distinct.alias(CODE))
        ordered = values.sort(self.keys.names) if self.keys.names else values
        ranks = pl.Series([0], dtype=pl.Int64).new_from_index(0, size)
        ranks = ranks.scatter(ordered.get_column(CODE), pl.int_range(0, ordered.height, dtype=pl.Int64, eager=True))
        if distinct.len() == size:
            self._ranks = ranks
        return ranks.gather(codes)


def _instant(name: str) -> pl.Expr:
    """A window's bound as an instant; null for the global window."""
    column = pl.col(name)
    return pl.when(pl.col("window_start") > EARLIEST).then(column).cast(INSTANT).alias(name)
