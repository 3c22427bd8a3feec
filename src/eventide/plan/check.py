"""The check of a plan: every fault that can be known before a run, all at once, each with its remedy.

Law: what `check` lets pass does not fail for a reason that stood in the plan.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

from eventide.errors import ExpressionError, PlanError, Problem
from eventide.expressions import Aggregation, OwnAggregate, result_type, type_of
from eventide.plan.check_detection import columns_behind, detection_problems, step_problems
from eventide.plan.derived import Enrich
from eventide.plan.derived_check import deduplicate_problems, derived_columns, enriched_columns, horizon_problems
from eventide.plan.detection import ALERTS, Anomaly, Peaks, Trend, columns_added
from eventide.plan.nodes import (
    DEAD_LETTERS,
    LATE,
    RESULTS,
    Deduplicate,
    Filter,
    MapBatches,
    OrderedStep,
    Plan,
    Select,
    Step,
    WindowedAggregate,
    WithColumns,
)
from eventide.plan.types import type_name
from eventide.semantics.detection import HalfSpaceTrees
from eventide.semantics.eventtime import KeyClock, LogClock, OwnStrategy, Perfect, Punctuated, Strategy
from eventide.semantics.lateness import EveryInterval
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding

Columns = dict[str, str]

_MARKS = ("window_start", "window_end", "revision", "final", "early", "op", "log", "window_number", "completeness")
_OF_TIME = ("time_weighted_mean", "rate", "projection")


def check(plan: Plan) -> None:
    """Raise `PlanError` with all problems of a plan, if it has any."""
    problems = list(problems_of(plan))
    if problems:
        raise PlanError(problems)


def problems_of(plan: Plan) -> Iterator[Problem]:
    """Everything that is wrong with a plan."""
    columns, found = _front(plan)
    yield from found
    yield from horizon_problems(plan)
    if plan.aggregate is not None:
        yield from _windows(plan, plan.aggregate, columns)
        yield from _completeness(plan, plan.aggregate)
        if plan.derived is not None and isinstance(plan.aggregate.early, EveryInterval):
            what = "early results at intervals behind a join or captures would follow how its streams were interleaved"
            yield Problem("window", what, "Use early=et.on_change(), or leave early= out")
        columns = _result_columns(plan.aggregate, columns)
        _, found = _steps("results", plan.finish, columns)
        yield from found
    yield from detection_problems(plan)
    yield from _outputs(plan, columns)
    yield from _extras(plan)


def _extras(plan: Plan) -> Iterator[Problem]:
    """Systems whose client is not installed."""
    named = [(f"source {one.source.name}", one.source) for one in plan.inputs]
    for where, system in [*named, *((f"sink {write.sink.name}", write.sink) for write in plan.writes)]:
        extra = getattr(_innermost(system), "missing_extra", None)
        if extra is not None:
            yield Problem(where, "its client is not installed", f'pip install "eventide[{extra}]"')
    scores = [step for step in (*plan.before, *plan.after, *plan.finish) if isinstance(step, Anomaly)]
    if any(isinstance(step.method, HalfSpaceTrees) for step in scores) and find_spec("river") is None:
        yield Problem("anomaly", "half_space_trees needs the library River", 'pip install "eventide[river]"')


def _innermost(system: object) -> object:
    """The system itself, where its rows are paced or put in order on the way."""
    while (inner := getattr(system, "source", None)) is not None:
        system = inner
    return system


def _front(plan: Plan, side: str = "") -> tuple[Columns, list[Problem]]:
    """The columns of a plan behind its row-wise steps, and what is wrong up to there."""
    if plan.derived is not None:
        columns, problems = derived_columns(plan.derived, _front)
        columns, found = _steps("the derived stream", plan.after, columns)
        return columns, problems + found
    columns, problems = _inputs(plan)
    columns, found = _steps(f"{side}before event_time" if plan.event_time else "the stream", plan.before, columns)
    problems += [*found, *_event_time(plan, columns)]
    columns, found = _steps(f"{side}behind event_time", plan.after, columns)
    return columns, problems + found


def _inputs(plan: Plan) -> tuple[Columns, list[Problem]]:
    problems: list[Problem] = []
    schemas: list[Columns] = []
    for one in plan.inputs:
        columns = {name: type_name(dtype) for name, dtype in one.source.columns.items()}
        problems += _own(f"source {one.source.name}", one.source)
        columns, found = _steps(f"source {one.source.name}", one.steps, columns)
        problems += found
        schemas.append(columns)
    names = [one.source.name for one in plan.inputs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem("union", f"two sources are named {name!r}", "Give each its own name="))
    for number, columns in enumerate(schemas[1:], 2):
        if columns != schemas[0]:
            different = sorted({*columns.items()} ^ {*schemas[0].items()})
            problems.append(
                Problem(
                    "union",
                    f"source {number} differs from the first in {different}",
                    "Bring them to the same columns and types with select",
                )
            )
    return schemas[0], problems


def _steps(where: str, steps: Sequence[Step], columns: Columns) -> tuple[Columns, list[Problem]]:
    problems: list[Problem] = []
    for step in steps:
        match step:
            case Filter(predicate):
                try:
                    kind = type_of(predicate, columns)
                    if kind not in ("boolean", "null"):
                        problems.append(
                            Problem(
                                where, f"filter({predicate!r}) is {kind}, not a condition", "Compare it with something"
                            )
                        )
                except ExpressionError as fault:
                    problems.append(_fault(where, "filter", fault))
            case Select(made) | WithColumns(made):
                new: Columns = {} if isinstance(step, Select) else dict(columns)
                for name, expression in made:
                    if name.startswith("_"):
                        problems.append(
                            Problem(
                                where,
                                f"column {name!r} begins with an underscore",
                                "Those names are Eventide's own: choose another",
                            )
                        )
                    try:
                        new[name] = type_of(expression, columns)
                    except ExpressionError as fault:
                        problems.append(_fault(where, name, fault))
                columns = new
            case MapBatches(_, adds):
                columns = {**columns, **{name: type_name(dtype) for name, dtype in adds}}
            case Deduplicate():
                problems += deduplicate_problems(where, step, columns)
            case Enrich():
                columns, found = enriched_columns(where, step, columns, _front)
                problems += found
            case _ if isinstance(step, OrderedStep):
                problems += step_problems(step, columns)
                columns = columns_behind(step, columns)
    return columns, problems


def _event_time(plan: Plan, columns: Columns) -> Iterator[Problem]:
    settings = plan.event_time
    if settings is None:
        if plan.aggregate is not None:
            yield Problem(
                "window", "the stream has no event time", 'Call .event_time("column", et.bounded("2s")) before group_by'
            )
        return
    yield from _column("event_time", settings.column, columns, "instant")
    if not isinstance(settings.strategy, Strategy):
        yield Problem(
            "event_time", f"{settings.strategy!r} is not a strategy", 'Use et.bounded("2s"), et.adaptive(0.01) ...'
        )
    if isinstance(settings.strategy, Punctuated):
        yield from _column("punctuated", settings.strategy.column, columns, "instant")
    if isinstance(settings.clock, KeyClock):
        yield from _column("per_key", settings.clock.key, columns, None)
        if isinstance(settings.strategy, Perfect) or not _is_built_in(settings.strategy):
            yield Problem(
                "event_time",
                "this strategy cannot have a clock for each key",
                'Use clock="log", or bounded or adaptive',
            )
    if isinstance(settings.strategy, Perfect) and not all(one.source.bounded for one in plan.inputs):
        yield Problem("perfect()", "a source never ends, so it cannot be read beforehand", "Use bounded or adaptive")
    if settings.close_when_idle and settings.idle_after_us is None:
        yield Problem(
            "event_time", "close_when_idle needs idle_after", 'Say when a log counts as idle: idle_after="1m"'
        )
    if not isinstance(settings.clock, LogClock | KeyClock):
        yield Problem(
            "event_time",
            f"clock={settings.clock!r} is not a clock",
            'Use clock="log" or et.per_key("device", cap="2h")',
        )


def _is_built_in(strategy: object) -> bool:
    return type(strategy).__module__.startswith("eventide.") or not isinstance(strategy, OwnStrategy)


def _windows(plan: Plan, query: WindowedAggregate, columns: Columns) -> Iterator[Problem]:
    for key in query.keys:
        yield from _column("group_by", key, columns, None)
        if columns.get(key) in ("list", "record"):
            yield Problem(
                "group_by", f"key {key!r} is a {columns[key]}", "Group by a plain value made of it with with_columns"
            )
    if not query.aggregates:
        yield Problem("agg", "it names no aggregate", "Add one, such as n=et.count()")
    names = [name for name, _ in query.aggregates]
    for name in names:
        if name in query.keys or name in _MARKS or name.startswith("_"):
            yield Problem("agg", f"the name {name!r} is taken by a key or by Eventide", "Choose another name")
    for name, aggregate in query.aggregates:
        try:
            result_type(aggregate, columns)
        except ExpressionError as fault:
            yield _fault("agg", name, fault)
        yield from _fits_window(name, aggregate, query)
    yield from _settings(query)


def _fits_window(name: str, aggregate: Aggregation | OwnAggregate, query: WindowedAggregate) -> Iterator[Problem]:
    if isinstance(aggregate, Aggregation) and isinstance(query.window, Global) and aggregate.function in _OF_TIME:
        yield Problem(
            "agg",
            f"{name}={aggregate.function} needs a window's end, and the global window has none",
            "Use another window",
        )


def _settings(query: WindowedAggregate) -> Iterator[Problem]:
    revised = query.lateness.allowed_us or query.early is not None
    window = query.window
    if not isinstance(window, Sliding | Calendar | Session | Count | Global):
        yield Problem(
            "window",
            f"{window!r} is not a window",
            'Use et.tumbling("5m"), et.sliding("1m", "5s"), et.session("30s") ...',
        )
    if isinstance(window, Count) and revised:
        yield Problem(
            "window", "count windows take no corrections and give no early results", "Leave lateness= and early= out"
        )
    if isinstance(window, Session) and isinstance(query.early, EveryInterval):
        yield Problem("window", "sessions give early results on change only", "Use early=et.on_change()")
    if query.fill_empty and not isinstance(window, Sliding | Calendar):
        yield Problem("window", 'fill="empty" is for tumbling, sliding and calendar windows', "Leave it out")


def _completeness(plan: Plan, query: WindowedAggregate) -> Iterator[Problem]:
    """Where nobody sees which events came too late for which window, nothing can be said of it."""
    if not query.completeness:
        return
    remedy = "Leave completeness= out"
    if plan.derived is not None:
        what = "completeness is not known behind a join or captures: what comes too late is late in their own streams"
        yield Problem("window", what, f"{remedy}, or ask for it on a stream without them")
    elif _needs_scores(plan, query):
        what = "completeness is not known where scores or marks decide what counts: late events have none"
        yield Problem("window", what, f"{remedy}, or put filters, new columns and keys in front of the scores")
    if isinstance(query.window, Session | Count):
        what = "completeness is not known of session and count windows: an event that comes too late is part of none"
        yield Problem("window", what, f"{remedy}, or use tumbling, sliding or calendar windows")


def _needs_scores(plan: Plan, query: WindowedAggregate) -> bool:
    """True when it takes a score to tell whether an event counts, or for which key."""
    scoring = [number for number, step in enumerate(plan.after) if isinstance(step, Anomaly | Peaks | Trend)]
    if not scoring:
        return False
    behind = plan.after[scoring[0] :]
    added = {name for step in behind if isinstance(step, Anomaly | Peaks | Trend) for name in columns_added(step)}
    return not added.isdisjoint(query.keys) or not all(isinstance(step, OrderedStep) for step in behind)


def _result_columns(query: WindowedAggregate, columns: Columns) -> Columns:
    made: Columns = {key: columns.get(key, "string") for key in query.keys}
    made |= {"window_start": "instant", "window_end": "instant", "revision": "integer", "final": "boolean"}
    made |= {"early": "boolean", "op": "string", "log": "string", "window_number": "integer"}
    made["completeness"] = "float"
    for name, aggregate in query.aggregates:
        try:
            made[name] = result_type(aggregate, columns)
        except ExpressionError:
            made[name] = "null"
    return made


def _outputs(plan: Plan, columns: Columns) -> Iterator[Problem]:
    for branch in plan.branches:
        if branch.name in (RESULTS, LATE, DEAD_LETTERS) or (branch.name == ALERTS and plan.watched):
            yield Problem("output", f"the name {branch.name!r} is taken", "Choose another name")
        if plan.aggregate is not None:
            yield from _steps(f"output {branch.name}", branch.steps, columns)[1]
    names = [*(branch.name for branch in plan.branches), *(rate.name for rate in plan.rates)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem("output", f"two outputs are named {name!r}", "Give each its own name")
    for write in plan.writes:
        yield from _own(f"sink {write.sink.name}", write.sink)
        yield from _replaced(write.sink, [one.source for one in plan.inputs])
        if write.output not in plan.outputs:
            yield Problem("write", f"there is no output {write.output!r}", f"Outputs are {', '.join(plan.outputs)}")
    yield from _shared(plan)


def _shared(plan: Plan) -> Iterator[Problem]:
    """Files that two outputs would write."""
    outputs: dict[str, list[str]] = {}
    for write in plan.writes:
        if getattr(write.sink, "one_output", False):
            outputs.setdefault(write.sink.name, []).append(write.output)
    for name, several in outputs.items():
        if len(several) > 1:
            yield Problem("write", f"{' and '.join(several)} go to the same {name}", "Give each output its own")


def _replaced(sink: object, sources: Sequence[object]) -> Iterator[Problem]:
    """What the run reads must not become what it writes."""
    for source in sources:
        if hasattr(sink, "replaces") and sink.replaces(source):
            what = "it would put its file where a source reads: events would be lost, or results read"
            yield Problem(f"sink {getattr(sink, 'name', sink)}", what, "Write to another path")


def _own(where: str, connector: object) -> Iterator[Problem]:
    """What a connector itself knows to be wrong with it before a run."""
    for what, remedy in getattr(connector, "problems", ()):
        yield Problem(where, what, remedy)


def _column(where: str, name: str, columns: Mapping[str, str], kind: str | None) -> Iterator[Problem]:
    if name not in columns:
        near = difflib.get_close_matches(name, columns, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Columns are {', '.join(columns)}"
        yield Problem(where, f"there is no column {name!r}", hint)
    elif kind is not None and columns[name] not in (kind, "null"):
        yield Problem(
            where,
            f"column {name!r} is {columns[name]}, not {kind}",
            f'Give it the type et.Instant in the schema: "{name}": et.Instant',
        )


def _fault(where: str, name: str, fault: ExpressionError) -> Problem:
    what = "; ".join(str(fault).splitlines())
    return Problem(f"{where}, {name}", what, "Mend the expression")
