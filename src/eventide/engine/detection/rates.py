"""The rate of alerts: how many were raised within a span, and whether that is critical.

Law: the count is a step function of event time, one up where an alert is raised and one down a span later; its steps
are taken in order, those of one instant together, as far as time has come.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from eventide.engine.detection.order import Order
from eventide.engine.detection.stage import AT, Frames
from eventide.flow import INSTANT
from eventide.instants import END_OF_TIME
from eventide.plan import AlertRate

RATE_SCHEMA: Final = {
    "at": INSTANT,
    "condition": pl.String(),
    "severity": pl.String(),
    "state": pl.String(),
    "count": pl.Int64(),
    "since": INSTANT,
}
"""Columns of the output of a rate."""


class Rates:
    """One critical condition over the alerts of a stream."""

    def __init__(self, rate: AlertRate) -> None:
        self._rate = rate
        self._steps = Order([AT])
        self._count = 0
        self._since: int | None = None

    def take(self, alerts: pl.DataFrame, reached: int, front: int) -> pl.DataFrame:
        """The next alerts (any order at or behind the instant reached before), how far time has come, and the last
        instant of the stream.
        """
        raised = alerts.filter((pl.col("state") == "raised") & (pl.col("clock") == "event"))
        if self._rate.of:
            raised = raised.filter(pl.col("alert").is_in(list(self._rate.of)))
        times = raised.select(pl.col("at").cast(pl.Int64).alias(AT), pl.lit(1, dtype=pl.Int64).alias("step"))
        ends = times.select(pl.col(AT) + self._rate.within_us, pl.lit(-1, dtype=pl.Int64).alias("step"))
        self._steps.add(pl.concat([times, ends]))
        # the end of an input is no instant: what would clear behind the last row stays
        ready = self._steps.release(front + 1 if reached == END_OF_TIME else reached)
        return self._turns(ready) if ready is not None else pl.DataFrame(schema=RATE_SCHEMA)

    def _turns(self, ready: pl.DataFrame) -> pl.DataFrame:
        counts = ready.group_by(AT, maintain_order=True).agg(pl.col("step").sum())
        counts = counts.with_columns((pl.col("step").cum_sum() + self._count).alias("count"))
        is_up = (pl.col("count") >= self._rate.count).alias("up")
        counts = counts.with_columns(is_up)
        was_up = pl.col("up").shift(1, fill_value=self._since is not None)
        turns = counts.filter(pl.col("up") != was_up)
        since = pl.when("up").then(AT).forward_fill()
        turns = turns.with_columns(pl.coalesce(since, pl.lit(self._since, dtype=pl.Int64)).alias("since"))
        self._count = int(counts.get_column("count")[-1])
        if turns.height:
            self._since = int(turns.get_column("since")[-1]) if turns.get_column("up")[-1] else None
        return turns.select(
            pl.col(AT).cast(INSTANT).alias("at"),
            pl.lit(self._rate.name).alias("condition"),
            pl.lit(self._rate.severity).alias("severity"),
            pl.when("up").then(pl.lit("raised")).otherwise(pl.lit("cleared")).alias("state"),
            "count",
            pl.col("since").cast(INSTANT),
        )

    def snapshot(self) -> Frames:
        """Everything it remembers."""
        values = {"count": [self._count], "since": [self._since]}
        frames = {"values": pl.DataFrame(values, schema=dict.fromkeys(values, pl.Int64()))}
        return frames if self._steps.waiting is None else {**frames, "steps": self._steps.waiting}

    def restore(self, frames: Frames) -> None:
        """Take a snapshot."""
        row = frames["values"].row(0, named=True)
        self._count, self._since = row["count"], row["since"]
        self._steps.waiting = frames.get("steps")
