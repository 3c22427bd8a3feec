"""Slices: the rows of a batch as partial states by slice and key.

Law: a row is added to one slice whatever the number of windows over it; how rows are grouped is a matter of speed only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from eventide.engine.aggregates import TIME, AggregateState, stack
from eventide.engine.clocks import CommonProgress
from eventide.engine.keys import CODE, KeyCount
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.results import FIRST

SLICE: Final = "_slice"
WINDOW: Final = "_window"

_GROUP = "_group"
_PACKED_MOST = 2**62
_SMALL = 2**32


@dataclass(frozen=True)
class Slicer:
    """Puts rows into the slices of a grid."""

    grid: Grid
    keys: KeyCount
    state: AggregateState

    def partial(self, rows: pl.DataFrame, passed: pl.Series | None) -> pl.DataFrame:
        """The states of the rows by slice and key; the rows where `passed` is true are left out.

        The group is one integer where it can be, of 32 bits where it can be: grouping is the dearest step of all.
        """
        times = rows.get_column(TIME)
        low, high = self.grid.slice_at(times.min()), self.grid.slice_at(times.max())  # type: ignore[arg-type] # integers
        cells = (high - low + 1) * self.keys.size
        if cells >= _PACKED_MOST:
            kept = rows if passed is None else rows.filter(~passed)
            return self.state.partial(kept.with_columns(self.grid.slice(pl.col(TIME)).alias(SLICE)), [SLICE, CODE])
        packed = pl.UInt32() if cells <= _SMALL else pl.Int64()
        if low == high and passed is None:  # a few events lie in one slice, and need not wake the query engine
            ready = rows.hstack([rows.get_column(CODE).cast(packed).alias(_GROUP)])
        else:
            group = (self.grid.slice(pl.col(TIME)) - low) * self.keys.size + pl.col(CODE)
            if passed is not None:
                group = pl.when(~pl.lit(passed)).then(group)
            ready = rows.with_columns(group.cast(packed).alias(_GROUP))
        grouped = self.state.partial(ready, [_GROUP])
        if passed is not None:
            grouped = grouped.filter(pl.col(_GROUP).is_not_null())
        number = grouped.get_column(_GROUP).cast(pl.Int64)
        slices = number * 0 if low == high else number // self.keys.size
        codes = number - slices * self.keys.size
        states = [column for column in grouped.get_columns() if column.name != _GROUP]
        return pl.DataFrame([(slices + low).alias(SLICE), codes.alias(CODE), *states])

    def late(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Late rows as places with the bounds of their last window."""
        window = self.grid.last(pl.col(TIME))
        start, end = self.grid.start(window), self.grid.end(window)
        return rows.select(PLACE, start.alias("window_start"), end.alias("window_end"))

    def out(self, due: pl.DataFrame) -> pl.DataFrame:
        """Windows that are due, with `place`, as first and final results."""
        return due.with_columns_seq(
            self.grid.start(pl.col(WINDOW)).alias("window_start"),
            self.grid.end(pl.col(WINDOW)).alias("window_end"),
            pl.lit(FIRST, dtype=pl.Int64).alias("phase"),
            pl.lit(0, dtype=pl.Int64).alias("revision"),
            pl.lit(True).alias("final"),
        )

    def ends_before(self, windows: list[int], progress: CommonProgress) -> list[int]:
        """The ends of the windows in front of these, where the watermark passes them on its way."""
        numbers = pl.Series([*dict.fromkeys(windows)], dtype=pl.Int64).to_frame("w")
        ends = numbers.select(self.grid.end(pl.col("w") - 1)).to_series()
        return [end for end in ends if progress.before < end < progress.least]

    def merged(self, parts: pl.DataFrame) -> pl.DataFrame:
        """One row for each window and key."""
        return self.state.merge(parts, [WINDOW, CODE])


def split(frame: pl.DataFrame, bound: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The states of slices below a bound, and the others."""
    slices = frame.get_column(SLICE)
    if not frame.height or slices.max() < bound:  # type: ignore[operator] # integers
        return frame, frame.clear()
    if slices.min() >= bound:  # type: ignore[operator] # integers
        return frame.clear(), frame
    below = slices < bound
    return frame.filter(below), frame.filter(~below)


def joined(state: AggregateState, old: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """States of two frames, each with one row for a slice and key, as one; only slices that lie in the range of the
    old ones need a merge.
    """
    if not fresh.height:
        return old
    slices = old.get_column(SLICE)
    inside = fresh.get_column(SLICE).is_between(slices.min(), slices.max())
    merged = state.merge(stack([old, fresh.filter(inside)]), [SLICE, CODE])
    return stack([fresh.filter(~inside), merged])
