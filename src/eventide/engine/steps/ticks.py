"""Ticks: the places at which the closing watermark passes a multiple of a period, for early results at intervals.

Law: a tick is a place in a log, not a moment of the wall clock, so a replay has the same ones.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE


def next_ticks(period_us: int, codes: pl.Series, places: pl.Series, progress: Progress) -> pl.Series:
    """Where the watermark of each code passes the next multiple of the period, seen from before the row at each place.

    Null where that does not happen in this batch.
    """
    reached = progress.before_rows(codes, places)
    multiples = reached.to_frame("w").select((pl.col("w") // period_us + 1) * period_us).to_series()
    return progress.place(codes, multiples).alias("tick")


def with_ticks(pairs: pl.DataFrame, period_us: int, progress: Progress) -> pl.DataFrame:
    """Rows of windows not closed before them, with the place and kind of the entry that they belong to.

    `gives` is true where an early result comes out: at a tick in front of the window's first result. Rows behind the
    last tick wait (`place` null) or are taken in by the first result itself.
    """
    ticks = next_ticks(period_us, pairs.get_column(CODE), pairs.get_column("_place"), progress)
    closes = pl.col("closes")
    gives = pl.col("tick").is_not_null() & (closes.is_null() | (pl.col("tick") < closes))
    return pairs.with_columns(ticks).with_columns(
        gives.alias("gives"), pl.when(gives).then(pl.col("tick")).otherwise(closes).alias("place")
    )
