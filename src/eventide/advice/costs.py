"""Who costs most: for each key, what bound the others would need without it.

Law: leaving a key out is played, not guessed: its events are taken out of the recording and the fronts found anew.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from eventide.advice.bounds import late_by
from eventide.advice.recording import Recording, with_fronts
from eventide.flow import LOG

_LENGTH: Final = pl.Duration("us")
_TRIED = 8


def costs(recording: Recording, late_rate: float) -> pl.DataFrame:
    """Keys (or, without a key, logs) by what they cost: `who`, `events`, `late` (events late by the bound that all need
    together), `bound` (what the log clock needs for the late rate) and `bound_without` (what it would need without
    them).
    """
    events = recording.events.with_columns(pl.col(LOG if recording.key is None else "key").cast(pl.String).alias("who"))
    bound_us = needed_us(events, late_rate)
    late = (pl.col("log_front") - pl.col("end") >= bound_us).fill_null(False)
    counted = events.group_by("who").agg(
        pl.len().cast(pl.Int64).alias("events"),
        late.sum().cast(pl.Int64).alias("late"),
        (pl.col("log_front") - pl.col("end")).clip(lower_bound=0).sum().alias("behind"),
    )
    worst = counted.sort("late", "behind", "who", descending=[True, True, False]).head(_TRIED)
    without = [
        needed_us(with_fronts(events.filter(~pl.col("who").eq_missing(pl.lit(who)))), late_rate)
        for who in worst.get_column("who")
    ]
    made = worst.with_columns(
        pl.lit(bound_us).cast(_LENGTH).alias("bound"),
        pl.Series("bound_without", without, dtype=pl.Int64).cast(_LENGTH),
    )
    return made.drop("behind").sort("bound_without", "late", "who", descending=[False, True, False])


def needed_us(events: pl.DataFrame, late_rate: float) -> int:
    """The shortest bound, to the microsecond, that leaves at most a share of the events late by their log's clock."""
    ordered = late_by(events, "log_front")
    allowed = int(late_rate * events.height)
    if allowed >= ordered.len():
        return 0
    return max(int(ordered[-1 - allowed]) + 1, 0)
