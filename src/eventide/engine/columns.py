"""The columns of rows and outputs of a plan, known before anything runs.

Law: what is said here is what comes: every frame of an output has these columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from eventide.engine.outputs import visible
from eventide.engine.steps.lateness import late_schema
from eventide.engine.steps.shape import shaped_schema
from eventide.flow import ARRIVAL, DEAD_LETTER_SCHEMA, INSTANT, LOG, OFFSET
from eventide.plan import DEAD_LETTERS, LATE, Enrich, Plan

Types = dict[str, pl.DataType]


def rows_schema(plan: Plan) -> Types:
    """The columns of rows in front of the door."""
    return shaped_schema(_input_schema(plan, 0), plan.before)


def output_schema(plan: Plan, name: str, results: Types | None) -> Mapping[str, pl.DataType]:
    """The columns of an output; `results` are those of windows, if there are any."""
    if name == DEAD_LETTERS:
        return DEAD_LETTER_SCHEMA
    if name == LATE:
        return late_schema(rows_schema(plan))
    has_door = plan.event_time is not None
    start, section = (rows_schema(plan), plan.after) if has_door else (_input_schema(plan, 0), plan.before)
    for place, step in enumerate(section):
        if isinstance(step, Enrich) and step.misses == name:
            return {LOG: pl.String(), OFFSET: pl.Int64(), **_shown(shaped_schema(start, section[:place]))}
    branches = {branch.name: branch.steps for branch in plan.branches}
    if results is not None:
        return shaped_schema(results, branches.get(name, plan.finish))
    return _shown(shaped_schema(start, branches.get(name, section)))


def enrichments(plan: Plan) -> list[Enrich]:
    """All side inputs that the rows and results of a plan are looked up in."""
    sections = (plan.before, plan.after, plan.finish, *(branch.steps for branch in plan.branches))
    return [step for steps in sections for step in steps if isinstance(step, Enrich)]


def _shown(schema: Types) -> Types:
    return dict(visible(pl.DataFrame(schema=schema)).schema)


def _input_schema(plan: Plan, number: int) -> Types:
    one = plan.inputs[number]
    return shaped_schema({**one.source.columns, OFFSET: pl.Int64(), ARRIVAL: INSTANT}, one.steps)


def in_order_of_first(plan: Plan, number: int, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the source with this number, their columns in the order of the first one's."""
    return rows.select(list(_input_schema(plan, 0))) if number else rows
