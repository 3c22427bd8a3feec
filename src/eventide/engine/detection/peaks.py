"""Peaks: single values that stand out between two neighbours of their key which agree.

Law: a row waits until its next neighbour is known, at most `within` of event time, so every row has its mark for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from eventide.engine.detection.order import Order
from eventide.engine.detection.past import Past
from eventide.engine.detection.stage import AT, Codes, Frames, Taken, earlier
from eventide.engine.keys import CODE
from eventide.plan import Peaks


class PeakMarks:
    """The stage that marks peaks; rows come out `within` of event time later than they came."""

    def __init__(self, peaks: Peaks, schema: Mapping[str, pl.DataType]) -> None:
        self._peaks = peaks
        self._codes = Codes(peaks.by, schema)
        self._held = Order([AT])
        self._past = Past(1, {"t": pl.Int64(), "x": pl.Float64()})
        self._schema = {**schema, peaks.name: pl.Boolean()}

    def take(self, given: Taken) -> Taken:
        self._held.add(given.rows)
        reached = earlier(given.reached, self._peaks.within_us)
        ready = self._held.release(reached)
        if ready is None:
            return replace(given, rows=_unmarked(given.rows.clear(), self._peaks.name), reached=reached, waiting=None)
        marks = self._marks(ready)
        return replace(given, rows=ready.with_columns(marks.alias(self._peaks.name)), reached=reached, waiting=None)

    def _marks(self, ready: pl.DataFrame) -> pl.Series:
        new = self._values(ready)
        stacked = self._past.stacked(new)
        held = self._held.waiting
        ahead = self._values(held.sort(AT, maintain_order=True)) if held is not None else new.clear()
        following = ahead.select(CODE, "t", "x", pl.lit(-1, dtype=pl.Int64).alias("pos"))
        table = pl.concat([stacked.select(following.columns), following]).sort(CODE, maintain_order=True)
        table = table.with_columns(
            *(pl.col(name).shift(1).over(CODE).alias(f"{name}_before") for name in ("t", "x")),
            *(pl.col(name).shift(-1).over(CODE).alias(f"{name}_after") for name in ("t", "x")),
        )
        found = table.filter((pl.col("pos") >= 0) & _is_peak(self._peaks)).get_column("pos")
        none = pl.Series([False]).new_from_index(0, ready.height)
        return none.scatter(found.cast(pl.UInt32), True)

    def _values(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Time and value of the rows that have one, with their places."""
        value = pl.col(self._peaks.column).cast(pl.Float64)
        usable = rows.select(value.is_finite().fill_null(False)).to_series()
        used = rows.filter(usable)
        places = pl.int_range(rows.height, dtype=pl.Int64, eager=True).filter(usable).alias("pos")
        return used.select(pl.col(AT).alias("t"), value.alias("x")).with_columns(self._codes.of(used), places)

    def snapshot(self) -> Frames:
        held = {} if self._held.waiting is None else {"held": self._held.waiting}
        return {**held, **self._past.snapshot(), **self._codes.snapshot()}

    def restore(self, frames: Frames) -> None:
        self._held.waiting = frames.get("held")
        self._past.restore(frames)
        self._codes.restore(frames)


def _is_peak(peaks: Peaks) -> pl.Expr:
    up, down = pl.col("x") - pl.col("x_before"), pl.col("x") - pl.col("x_after")
    alone = pl.min_horizontal(up, down) > peaks.jump
    alone |= pl.max_horizontal(up, down) < -peaks.jump
    calm = (pl.col("x_after") - pl.col("x_before")).abs() < peaks.jump / 2
    near = (pl.col("t") - pl.col("t_before") <= peaks.within_us) & (pl.col("t_after") - pl.col("t") <= peaks.within_us)
    both = pl.col("x_before").is_not_null() & pl.col("x_after").is_not_null()
    return (alone & calm & near & both).fill_null(False)


def _unmarked(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, dtype=pl.Boolean).alias(name))
