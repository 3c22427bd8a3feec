"""The late output: every late row with the reason why it is late.

Law: the watermark shown is the one in front of the row, of its own clock; `late_by` is how far it had passed the
row's last window.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from eventide.engine.steps.judged import BEFORE
from eventide.flow import ARRIVAL, INSTANT, LOG, OFFSET
from eventide.plan import Plan
from eventide.semantics.eventtime import KeyClock

REASON: dict[str, pl.DataType] = {
    LOG: pl.String(),
    OFFSET: pl.Int64(),
    ARRIVAL: INSTANT,
    "window_start": INSTANT,
    "window_end": INSTANT,
    "watermark": INSTANT,
    "late_by": pl.Duration("us"),
    "clock": pl.String(),
}


def late_rows(plan: Plan, log: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Late rows (with W_before and the bounds of their last window, in microseconds) as the late output shows them."""
    assert plan.event_time is not None
    clock = plan.event_time.clock
    named = pl.lit("log") if not isinstance(clock, KeyClock) else pl.col(clock.key).cast(pl.String)
    user = [name for name in rows.columns if not name.startswith("_") and name not in REASON]
    return rows.select(
        *user,
        pl.lit(log).alias(LOG),
        OFFSET,
        ARRIVAL,
        pl.col("window_start").cast(INSTANT),
        pl.col("window_end").cast(INSTANT),
        pl.col(BEFORE).cast(INSTANT).alias("watermark"),
        (pl.col(BEFORE) - pl.col("window_end")).cast(pl.Duration("us")).alias("late_by"),
        named.alias("clock"),
    )


def late_schema(schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns of the late output."""
    user = {name: dtype for name, dtype in schema.items() if not name.startswith("_") and name not in REASON}
    return {**user, **REASON}
