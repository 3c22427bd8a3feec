"""Building a pipeline: from a checked plan to its steps, clocks, windows and detection.

Law: what is built depends on the plan alone; what it may use of the machine changes no answer.
"""

from __future__ import annotations

from eventide.engine.clocks import clocks_for
from eventide.engine.columns import enrichments, rows_schema
from eventide.engine.detection import detection_of
from eventide.engine.front import Front, behind_front
from eventide.engine.keys import key_table
from eventide.engine.means import Means
from eventide.engine.memory import limit_of
from eventide.engine.monitor import monitor_for
from eventide.engine.pipeline import Pipeline
from eventide.engine.steps.door import Door
from eventide.engine.steps.rows import RowSteps
from eventide.engine.steps.shape import shaped_schema
from eventide.engine.steps.sides import SideTables
from eventide.engine.steps.windows import window_step
from eventide.engine.trace import Trace
from eventide.flow import WallClock
from eventide.plan import Plan
from eventide.semantics.eventtime import EventTime, KeyClock


def pipeline_of(plan: Plan, workers: int, clock: WallClock | None, means: Means) -> Pipeline:
    """The pipeline of a checked plan; arguments as in `Pipeline.of`."""
    if plan.derived is not None:
        from eventide.engine.derived import derived_pipeline

        return derived_pipeline(plan, workers, clock, means)
    made = Pipeline(plan, rows_schema(plan))
    made.memory = means.memory
    _build_steps(made, clock)
    if plan.event_time is not None:
        _build_keys_and_windows(made, plan.event_time, workers, means)
        _build_door(made, plan.event_time, means)
        made.trace = Trace.of(plan, made.schema)
    return made


def _build_steps(made: Pipeline, clock: WallClock | None) -> None:
    """The row-wise steps: those in front of detection, and those behind the door."""
    plan = made.plan
    made.lookups = SideTables(enrichments(plan), clock)
    column = plan.event_time.column if plan.event_time else None
    inner = shaped_schema(made.schema, plan.front)
    if plan.front:
        made.front = Front(RowSteps(plan.front, made.lookups, made.schema, column, made.memory))
    steps = behind_front(plan).after if plan.event_time else plan.before
    made.steps = RowSteps(steps, made.lookups, inner, column, made.memory)


def _build_keys_and_windows(made: Pipeline, settings: EventTime, workers: int, means: Means) -> None:
    whose, query, behind = settings.clock, made.plan.aggregate, behind_front(made.plan)
    inner = shaped_schema(made.schema, made.plan.front)
    if isinstance(whose, KeyClock):
        made.clock_keys = key_table((whose.key,), made.schema)
    made.detection = detection_of(behind, inner)
    if query is None:
        return
    inside = shaped_schema(inner, behind.after)
    same = isinstance(whose, KeyClock) and query.keys == (whose.key,)
    made.keys = made.clock_keys if same else key_table(query.keys, inside)
    assert made.keys is not None
    made.windows = window_step(made.plan, inside, made.keys, workers, means)


def _build_door(made: Pipeline, settings: EventTime, means: Means) -> None:
    query = made.plan.aggregate
    ordered = made.detection is not None and made.detection.orders
    clocks = clocks_for(settings, made.clock_keys, query.keys if query is not None and not ordered else ())
    monitor = monitor_for(settings, query.keys if query else (), made.schema)
    monitor.shares = None if made.windows is None else made.windows.shares
    made.door = Door(settings, clocks, made.reach_us, monitor)
    made.door.limit = limit_of(means, made.clock_keys)
    made.limit = None if made.keys is made.clock_keys else limit_of(means, made.keys)
