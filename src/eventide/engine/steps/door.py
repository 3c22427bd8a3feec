"""The door: guards and clocks. Every row passes here once and gets the watermark that judges it.

Law: a refused row never touches a clock; `W_before` of a row comes from the rows before it in its own log only.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from eventide.engine.clocks import Clocks, Progress
from eventide.engine.memory import KeyLimit
from eventide.engine.monitor import Monitor
from eventide.flow import ARRIVAL, OFFSET, first_reason, no_refused, rows_as_text
from eventide.instants import EARLIEST, END_OF_TIME
from eventide.semantics.eventtime import EventTime


@dataclass(frozen=True, slots=True)
class Admitted:
    """The rows that passed the guards, their event times, the watermark before each, and how the closing watermark
    moved. Where steps have left rows out since: `places` of the others among all that `came`.
    """

    rows: pl.DataFrame
    times: pl.Series
    before: pl.Series
    progress: Progress
    came: pl.DataFrame | None = None
    places: pl.Series | None = None


class Door:
    """Guards, then clocks, then the monitor. `reach_us` is how far a window may stretch behind an event time.

    The monitor (None: nothing is measured) changes no answer.
    """

    def __init__(self, settings: EventTime, clocks: Clocks, reach_us: int, monitor: Monitor | None = None) -> None:
        self._settings = settings
        self.set_reach(reach_us)
        self.clocks = clocks
        self.monitor = monitor
        self.limit: KeyLimit | None = None
        """How many keys clocks may know."""

    def set_reach(self, reach_us: int) -> None:
        """Say how far what follows looks behind an event time: no instant of it may lie behind the end of time."""
        self._latest = END_OF_TIME - reach_us

    def admit(self, log: str, rows: pl.DataFrame, heartbeat: int | None) -> tuple[Admitted, pl.DataFrame]:
        """Judge the rows of one batch: those admitted, and the refused ones as dead letters."""
        rows, times, bad = self._guard(rows)
        beyond = None if self.limit is None else self.limit.refused(rows)
        unknown = None if beyond is None else rows.filter(beyond)
        if beyond is not None:
            rows, times = rows.filter(~beyond), times.filter(~beyond)
        seen = self.clocks.observe(log, rows, times, heartbeat)
        if self.monitor is not None:
            self.monitor.see(log, rows, times, seen.before)
            if bad is not None:
                self.monitor.see_refused(log, bad)
        refused = no_refused() if bad is None else self._as_refused(bad)
        if unknown is not None and self.limit is not None:
            refused = pl.concat([refused, self.limit.as_refused(unknown)]).sort(OFFSET)
        return Admitted(rows, times, seen.before, seen.progress), refused

    def admissible(self, rows: pl.DataFrame) -> pl.Series:
        """The event times of the rows that the guards let pass; no clock moves."""
        return self._guard(rows)[1]

    def _guard(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series, pl.DataFrame | None]:
        """The rows that may pass, their event times, and the others with their reasons (None: all pass)."""
        times = rows.get_column(self._settings.column).cast(pl.Int64)
        if self._all_pass(times, rows.get_column(ARRIVAL).cast(pl.Int64)):
            return rows, times, None
        time, arrival = pl.col(self._settings.column).cast(pl.Int64), pl.col(ARRIVAL).cast(pl.Int64)
        reasons = [
            (time.is_null(), pl.lit("event time is missing")),
            ((time < EARLIEST) | (time > self._latest), pl.lit("event time is out of range")),
        ]
        if self._settings.max_future_us is not None:
            ahead = time > arrival + self._settings.max_future_us
            reasons.append((ahead, pl.lit("event time is too far in the future")))
        if self._settings.max_age_us is not None:
            old = time < arrival - self._settings.max_age_us
            reasons.append((old, pl.lit("event time is too old")))
        judged = rows.with_columns(first_reason(reasons).alias("_reason"))
        good = judged.get_column("_reason").is_null()
        return rows.filter(good), times.filter(good), judged.filter(~good)

    def _all_pass(self, times: pl.Series, arrivals: pl.Series) -> bool:
        """True when the extremes alone show that no guard refuses any row, as they nearly always do."""
        if times.null_count():
            return False
        bounds = _span(times)
        if bounds is None:
            return True
        if bounds[0] < EARLIEST or bounds[1] > self._latest:
            return False
        arrived = _span(arrivals)
        if arrived is None:
            return True
        future_us, age_us = self._settings.max_future_us, self._settings.max_age_us
        is_early = future_us is not None and bounds[1] > arrived[0] + future_us
        return not is_early and (age_us is None or bounds[0] >= arrived[1] - age_us)

    def _as_refused(self, bad: pl.DataFrame) -> pl.DataFrame:
        return bad.select(
            OFFSET,
            ARRIVAL,
            pl.col("_reason").alias("reason"),
            pl.lit(self._settings.column).alias("field"),
            rows_as_text(bad),
        )


def _span(instants: pl.Series) -> tuple[int, int] | None:
    """The smallest and the largest instant; None where there is none."""
    low, high = instants.min(), instants.max()
    return None if low is None else (int(low), int(high))  # type: ignore[arg-type] # integers
