"""What Flink cannot run of a plan, each with its reason.

Law: found before anything runs; what is not named here gives the same answer there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eventide.errors import ExpressionError
from eventide.expressions import Aggregation, OwnAggregate, result_type, type_of
from eventide.expressions import to_sql as printed
from eventide.plan import Filter, IntervalJoin, Plan, Select, Step, WindowedAggregate, WithColumns
from eventide.plan.types import type_name
from eventide.runners.flink import sql
from eventide.runners.flink.joins import join_gaps, joined_columns, key_gaps
from eventide.runners.flink.sinks import sink_gaps
from eventide.runners.flink.sources import named_logs, source_gaps
from eventide.runners.flink.steps import step_gaps
from eventide.semantics.eventtime import EventTime, OwnStrategy, Perfect


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a plan that Flink cannot run as the embedded engine does, and why."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


def gaps_of(plan: Plan) -> tuple[Gap, ...]:
    """Everything of a plan that Flink cannot run. The plan must have passed its check."""
    return tuple(Gap(where, why) for where, why in _found(plan))


def _found(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.derived is not None:
        yield from _derived_gaps(plan)
        return
    yield from _source_gaps(plan)
    columns = dict(_columns(plan))
    yield from _front_gaps(plan, columns)
    if plan.aggregate is not None:
        yield from _window_gaps(plan.aggregate, columns)
    else:
        yield from _row_gaps(plan, columns)
    yield from _output_gaps(plan)


def _front_gaps(plan: Plan, columns: Mapping[str, str], side: str = "") -> Iterator[tuple[str, str]]:
    """What cannot be done up to the door of a stream that is read, and in the steps behind it."""
    if plan.event_time is not None:
        yield from ((f"{side}{where}", why) for where, why in _event_time_gaps(plan.event_time))
    for one in plan.inputs:
        source = {name: type_name(kind) for name, kind in one.source.columns.items()}
        yield from step_gaps(f"{side}in front of event_time", (*one.steps, *plan.before), source)
    yield from step_gaps(f"{side}behind event_time", plan.after, columns)


def _derived_gaps(plan: Plan) -> Iterator[tuple[str, str]]:
    yield from join_gaps(plan)
    derived = plan.derived
    if not isinstance(derived, IntervalJoin) or any(side.derived is not None for side in derived.sides):
        return
    yield from _source_gaps(plan)
    left, right = (dict(_columns(side)) for side in derived.sides)
    yield from _front_gaps(derived.left, left, "left ")
    yield from _front_gaps(derived.right, right, "right ")
    yield from key_gaps(derived, left)
    columns = joined_columns(derived, left, right)
    yield from step_gaps("behind the join", plan.after, columns)
    columns = dict(_made(plan.after, columns))
    if plan.aggregate is not None:
        yield from _window_gaps(plan.aggregate, columns)
    else:
        yield from _row_gaps(plan, columns)
    yield from _output_gaps(plan)


def _source_gaps(plan: Plan) -> Iterator[tuple[str, str]]:
    found = False
    for one in plan.inputs:
        for why in source_gaps(one.source):
            found = True
            yield f"source {one.source.name}", why
    logs = [] if found else [log for one in plan.inputs for log in named_logs(one.source)]
    for log in sorted({log for log in logs if logs.count(log) > 1}):
        yield (
            "union" if plan.derived is None else "join",
            f"two sources have a log or topic {log!r}: its events would have no order of their own",
        )


def _row_gaps(plan: Plan, columns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a stream without windows has that cannot cross into Flink."""
    for branch in plan.branches:
        yield f"output {branch.name}", "a stream without windows has one output there beside late rows and dead letters"
    for name, kind in columns.items():
        if not sql.is_flat(kind):
            yield f"column {name}", f"it is a {kind}: only flat values cross into Flink"


def _columns(plan: Plan) -> Iterator[tuple[str, str]]:
    columns = {name: type_name(kind) for name, kind in plan.inputs[0].source.columns.items()}
    yield from _made((*plan.inputs[0].steps, *plan.before, *plan.after), columns)


def _made(steps: Sequence[Step], columns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The columns behind steps, with their types."""
    for step in steps:
        if isinstance(step, Select | WithColumns):
            made: dict[str, str] = {name: type_of(expression, columns) for name, expression in step.columns}
            columns = made if isinstance(step, Select) else {**columns, **made}
    yield from columns.items()


def _event_time_gaps(settings: EventTime) -> Iterator[tuple[str, str]]:
    match settings.strategy:
        case Perfect():
            yield "event_time", "perfect() reads its input twice, which only an embedded run does"
        case OwnStrategy():
            yield "event_time", f"{type(settings.strategy).__name__} is Python"


def _window_gaps(query: WindowedAggregate, columns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key in query.keys:
        if not sql.is_flat(columns.get(key, "null")):
            yield f"group_by {key}", f"it is a {columns.get(key)}: keys are flat values there"
    for name, aggregate in query.aggregates:
        yield from ((f"agg {name}", why) for why in _aggregate_gaps(aggregate, columns))
    if query.fill_empty and (query.lateness.allowed_us or query.early is not None):
        yield (
            "window",
            'fill="empty" with lateness= or early=: the door there holds windows at the last one with an event',
        )
    if query.completeness:
        yield "window", "completeness is measured by the embedded engine only"


def _aggregate_gaps(aggregate: Aggregation | OwnAggregate, columns: Mapping[str, str]) -> Iterator[str]:
    if isinstance(aggregate, OwnAggregate):
        yield "an aggregate of your own is made of Polars expressions"
        return
    if aggregate.of is None:
        return
    kind = type_of(aggregate.of, columns)
    if not sql.is_flat(kind):
        yield f"it takes a {kind}: only flat values cross into Flink"
    try:
        printed(aggregate.of, "flink")
        result_type(aggregate, columns)
    except ExpressionError as fault:
        yield str(fault)


def _output_gaps(plan: Plan) -> Iterator[tuple[str, str]]:
    query = plan.aggregate
    if plan.rates or plan.watched:
        yield "alerts", "detection runs embedded only"
    revised = query is not None and (bool(query.lateness.allowed_us) or query.early is not None)
    sections = [("results", plan.finish), *((f"output {one.name}", one.steps) for one in plan.branches)]
    for where, steps in sections:
        if revised and any(isinstance(step, Filter) for step in steps):
            yield where, "a filter of results that may be revised has to take rows back, which the job does not do"
        if query is not None:
            yield from step_gaps(where, steps, {})
    for write in plan.writes:
        yield from ((f"sink {write.sink.name}", why) for why in sink_gaps(plan, write))
