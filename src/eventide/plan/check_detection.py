"""The check of detection: what is wrong with steps that look at rows in the order of event time.

Law: as in `check`: every fault with its place and its remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eventide.errors import ExpressionError, Problem
from eventide.expressions import type_of
from eventide.plan.derived import Enrich
from eventide.plan.detection import ALERTS, Absent, Alert, Anomaly, Peaks, Scoring, Trend, Watch, columns_added
from eventide.plan.nodes import DEAD_LETTERS, LATE, RESULTS, Deduplicate, OrderedStep, Plan, Step
from eventide.plan.types import type_name
from eventide.semantics.windows import Global

Columns = dict[str, str]

_NUMBERS = ("integer", "float", "null")


def step_problems(step: OrderedStep, columns: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with one step over rows with these columns."""
    where = _where(step)
    for key in step.by:
        if key not in columns:
            yield Problem(where, f"there is no column {key!r} to go by", f"Columns are {', '.join(columns)}")
    match step:
        case Alert(_, when, clear):
            for name, condition in (("when", when), ("clear", clear)):
                if condition is not None:
                    yield from _condition(where, name, condition, columns)
        case Absent():
            return
        case Anomaly(column) | Peaks(column) | Trend(column):
            if column not in columns:
                yield Problem(where, f"there is no column {column!r}", f"Columns are {', '.join(columns)}")
            elif columns[column] not in _NUMBERS:
                yield Problem(where, f"column {column!r} is {columns[column]}, not a number", "Choose a number")
            yield from _names(where, step, columns)


def _condition(where: str, name: str, condition: object, columns: Mapping[str, str]) -> Iterator[Problem]:
    try:
        kind = type_of(condition, dict(columns))  # type: ignore[arg-type] # an expression
    except ExpressionError as fault:
        yield Problem(where, f"{name}: {'; '.join(str(fault).splitlines())}", "Mend the expression")
        return
    if kind not in ("boolean", "null"):
        yield Problem(where, f"{name}={condition!r} is {kind}, not a condition", "Compare it with something")


def _names(where: str, step: Scoring, columns: Mapping[str, str]) -> Iterator[Problem]:
    for name in columns_added(step):
        if name in columns or name.startswith("_"):
            remedy = "Give it another name=" if isinstance(step, Peaks) else 'Give it a prefix=, such as prefix="x_"'
            yield Problem(where, f"the column {name!r} is there already", remedy)


def columns_behind(step: OrderedStep, columns: Columns) -> Columns:
    """The columns behind a step."""
    if isinstance(step, Alert | Absent):
        return columns
    return {**columns, **{name: type_name(dtype) for name, dtype in columns_added(step).items()}}


def detection_problems(plan: Plan) -> Iterator[Problem]:
    """What is wrong with the places and names of all steps of detection."""
    early = [step for steps in (plan.before, *(one.steps for one in plan.inputs)) for step in steps]
    for step in early:
        if isinstance(step, OrderedStep):
            yield Problem(_where(step), "it stands before event_time, where rows have no order", "Put it behind it")
    yield from _about_derived(plan)
    yield from _behind_windows(plan)
    yield from _in_front_of_windows(plan)
    yield from _beside_others(plan)
    watches = [step for step in (*plan.after, *plan.finish) if isinstance(step, Alert | Absent)]
    names = [step.name for step in watches]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem("alert", f"two alerts are named {name!r}", "Give each its own name=")
    for rate in plan.rates:
        if rate.name in (RESULTS, LATE, DEAD_LETTERS, ALERTS):
            yield Problem("alert_rate", f"the name {rate.name!r} is taken", "Choose another name")
        unknown = [name for name in rate.of or ("",) if name not in names and (rate.of or not names)]
        if unknown:
            said = f"there is no alert {unknown[0]!r}" if rate.of else "the stream has no alerts"
            yield Problem(
                f"alert_rate {rate.name}", said, f"Alerts are {', '.join(names) or 'made with alert or absent'}"
            )


def _about_derived(plan: Plan) -> Iterator[Problem]:
    """Alerts and scores are found on one stream of events; rows of a join or a capture are no events of it."""
    if plan.derived is None:
        return
    behind = "Put it behind windows over the join"
    alone = "Leave it out there: it goes with a pipeline of that stream alone, or behind windows over the join"
    for step in plan.after:
        if isinstance(step, OrderedStep):
            yield Problem(_where(step), "it stands among the rows of a join or of captures", behind)
    for side in plan.derived.sides:
        yield from _about_derived(side)
        for step in side.after:
            if isinstance(step, OrderedStep) and side.derived is None:
                yield Problem(_where(step), "it stands on a stream that goes into a join or captures", alone)


def _behind_windows(plan: Plan) -> Iterator[Problem]:
    behind = [step for step in plan.finish if isinstance(step, OrderedStep)]
    for step in behind:
        if isinstance(step, Absent | Peaks):
            yield Problem(_where(step), "it stands behind the windows", "Put it in front of group_by")
        if plan.aggregate is not None and step.by != plan.aggregate.keys:
            yield Problem(_where(step), "its keys differ from those of the windows", "Leave by= out")
    if behind and plan.aggregate is not None and isinstance(plan.aggregate.window, Global):
        yield Problem(_where(behind[0]), "results of the global window have no instant", "Use another window")
    for branch in plan.branches:
        main = plan.finish if plan.aggregate is not None else plan.after
        known = {step.name for step in _watches(main)}
        if any(step.name not in known for step in _watches(branch.steps)):
            yield Problem(f"output {branch.name}", "it has an alert of its own", "Put alert on the stream itself")


def _watches(steps: tuple[Step, ...]) -> list[Watch]:
    return [step for step in steps if isinstance(step, Alert | Absent)]


def _in_front_of_windows(plan: Plan) -> Iterator[Problem]:
    scoring = [step for step in plan.after if isinstance(step, Anomaly | Peaks | Trend)]
    query = plan.aggregate
    if scoring and query is not None and query.lateness.allowed_us:
        yield Problem(
            "window",
            f"behind {_where(scoring[0])} events come in order, so no window is ever corrected",
            "Leave lateness= out and give the watermark a larger bound",
        )


def _beside_others(plan: Plan) -> Iterator[Problem]:
    """Copies and side inputs are found as rows come, detection waits for their order."""
    ordered = [number for number, step in enumerate(plan.after) if isinstance(step, OrderedStep)]
    behind = plan.after[ordered[0] :] if ordered else ()
    if any(isinstance(step, Deduplicate | Enrich) for step in behind):
        first = plan.after[ordered[0]]
        assert isinstance(first, OrderedStep)
        yield Problem(
            _where(first),
            "deduplicate or enrich stands behind it, where rows have been put in order",
            "Call deduplicate and enrich in front of it",
        )
    if plan.aggregate is None:
        for branch in plan.branches:
            # steps read from text are other values than those of the stream, and expressions are not compared by ==
            if repr(branch.steps[: len(plan.front)]) != repr(plan.front):
                yield Problem(
                    f"output {branch.name}",
                    "it leaves the stream in front of deduplicate or enrich, behind which events are put in order",
                    "Call output behind them",
                )


def _where(step: OrderedStep) -> str:
    match step:
        case Alert(name) | Absent(name):
            return f"{'alert' if isinstance(step, Alert) else 'absent'} {name!r}"
        case Anomaly(column):
            return f"anomaly({column!r})"
        case Peaks(column):
            return f"mark_peaks({column!r})"
        case Trend(column):
            return f"trend({column!r})"
