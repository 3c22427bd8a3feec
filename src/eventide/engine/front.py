"""The row-wise steps in front of detection among events, where a copy is left out or a side input looked up.

Law: they see rows as they come, log by log, behind the door; what waits for its order behind them keeps the rows'
places, so that late rows are shown as they came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from eventide.engine.accounting import Account
from eventide.engine.aggregates import TIME
from eventide.engine.steps.door import Admitted
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.rows import RowSteps
from eventide.plan import Plan


@dataclass(frozen=True)
class Front:
    """The steps, at work."""

    steps: RowSteps

    def pass_on(self, log: str, admitted: Admitted, reached: int, account: Account) -> Admitted:
        """The admitted rows behind the steps."""
        came = marked(admitted)
        stages = self.steps.head(log, came, reached, account)
        rows = self.steps.tail(log, stages[-1], account)
        return replace(
            admitted,
            rows=rows.drop(TIME, BEFORE, PLACE),
            times=rows.get_column(TIME),
            before=rows.get_column(BEFORE),
            came=came,
            places=rows.get_column(PLACE),
        )


def marked(admitted: Admitted) -> pl.DataFrame:
    """The admitted rows with what the steps behind the door need to know of each."""
    places = admitted.places
    if places is None:
        places = pl.int_range(admitted.rows.height, dtype=pl.Int64, eager=True)
    return admitted.rows.hstack([admitted.times.alias(TIME), admitted.before.alias(BEFORE), places.alias(PLACE)])


def came_of(admitted: Admitted, rows: pl.DataFrame) -> pl.DataFrame:
    """All rows as they came, by their places; `rows` are they where no step left any out."""
    return rows if admitted.came is None else admitted.came


def behind_front(plan: Plan) -> Plan:
    """The plan behind those steps."""
    front = len(plan.front)
    if not front:
        return plan
    branches = plan.branches
    if plan.aggregate is None:
        branches = tuple(replace(branch, steps=branch.steps[front:]) for branch in branches)
    return replace(plan, after=plan.after[front:], branches=branches)
