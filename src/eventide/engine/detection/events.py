"""The chain of events: they wait for the watermark and pass the steps in the order of event time.

Law: only events in front of their own log's watermark take part, so what comes out is the same sequence for every cut
and interleaving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.aggregates import LOG_NAME
from eventide.engine.detection.order import Order
from eventide.engine.detection.rows import EventRows
from eventide.engine.detection.stage import AT, JUDGED, ROW, Frames, Taken
from eventide.engine.detection.stages import line_of
from eventide.flow import OFFSET
from eventide.instants import NO_WATERMARK
from eventide.plan import Alert, Anomaly, Peaks, Plan, Trend


@dataclass(frozen=True, slots=True)
class Released:
    """What a chain of events gave: rows, rows of each branch, alerts, and from where to where time went."""

    rows: pl.DataFrame
    branches: Mapping[str, pl.DataFrame]
    alerts: tuple[pl.DataFrame, ...]
    before: int
    reached: int
    dropped: Mapping[str, int] = field(default_factory=dict)


class EventChain:
    """The steps behind event time, at work in order."""

    def __init__(self, plan: Plan, schema: Mapping[str, pl.DataType]) -> None:
        columns = {**schema, AT: pl.Int64(), LOG_NAME: pl.String(), JUDGED: pl.Boolean()}
        self._empty = pl.DataFrame(schema={**columns, ROW: pl.Int64()})
        self._order = Order([AT, LOG_NAME, OFFSET])
        self._line = line_of(plan.after, self._empty.schema, EventRows, 0)
        self._branches = {}
        self.orders = any(isinstance(step, Anomaly | Peaks | Trend) for step in plan.after)
        if self.orders and plan.aggregate is None:
            self._branches = {
                branch.name: line_of(branch.steps, self._empty.schema, EventRows, 0, watching=False)
                for branch in plan.branches
            }
        self._looks_back = any(isinstance(step, Alert) for step in plan.after)
        self.reached = NO_WATERMARK
        self.front = NO_WATERMARK

    @property
    def alert_keys(self) -> dict[str, pl.DataType]:
        """The key columns of alerts, with their types."""
        return self._line.alert_keys

    def add(self, log: str, rows: pl.DataFrame, times: pl.Series) -> None:
        """Take events that are on time."""
        marked = rows.with_columns(times.alias(AT), pl.lit(log).alias(LOG_NAME), pl.lit(True).alias(JUDGED))
        self._order.add(marked.select(name for name in self._empty.columns if name != ROW))

    def heard(self, rows: pl.DataFrame, now_us: int) -> list[pl.DataFrame]:
        """Events were received, on time or not: alerts of silence by the wall clock."""
        found = [silence.heard(rows, now_us) for silence in self._line.wall]
        return [alerts for alerts in found if alerts is not None]

    def clock_read(self, now_us: int) -> list[pl.DataFrame]:
        """The wall clock was read: alerts of silence by it."""
        found = [silence.passed(now_us) for silence in self._line.wall]
        return [alerts for alerts in found if alerts is not None]

    def release(self, watermark: int) -> Released:
        """The events before a watermark pass all steps."""
        found = self._order.release(watermark)
        numbered = (found if found is not None else self._empty.drop(ROW)).with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW)
        )
        if found is not None:
            self.front = int(found.get_column(AT)[-1])
        waiting = self._order.waiting if self._looks_back else None
        if waiting is not None:
            waiting = waiting.with_columns(pl.lit(-1, dtype=pl.Int64).alias(ROW))
        before = self.reached
        taken = self._line.take(Taken(numbered, watermark, waiting=waiting, front=self.front))
        self.reached = max(taken.reached, before)
        branches = {name: line.take(Taken(numbered, watermark)).rows for name, line in self._branches.items()}
        return Released(taken.rows, branches, taken.alerts, before, self.reached, taken.dropped)

    def snapshot(self) -> Frames:
        """Everything it remembers."""
        frames = {
            "reached": pl.DataFrame({"reached": [self.reached], "front": [self.front]}),
            **self._line.snapshot("main."),
        }
        for name, line in self._branches.items():
            frames |= line.snapshot(f"branch.{name}.")
        return frames if self._order.waiting is None else {**frames, "waiting": self._order.waiting}

    def restore(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot."""
        self.reached, self.front = frames["reached"].row(0)
        self._order.waiting = frames.get("waiting")
        self._line.restore("main.", frames)
        for name, line in self._branches.items():
            line.restore(f"branch.{name}.", frames)
