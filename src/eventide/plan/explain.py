"""The explanation of a plan: what a run of it would do, in words, before anything runs.

Law: it says nothing that the plan does not, and leaves nothing out that changes an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventide.expressions import Aggregation, to_sql
from eventide.instants import duration_text
from eventide.plan.derived import AsofJoin, Derived, Enrich, IntervalJoin, Merge, Pairs
from eventide.plan.explain_detection import ordered_line, rate_line
from eventide.plan.nodes import (
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
from eventide.semantics.eventtime import Adaptive, Ascending, Bounded, EventTime, KeyClock, Perfect, Punctuated
from eventide.semantics.lateness import EveryChange, EveryInterval
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding, Window

_MARGIN = 12
"""Where the words behind a stage's name begin."""


def explain(plan: Plan) -> str:
    """The plan in words, one line a stage, in the order in which an event meets them."""
    return "\n".join(_lines(plan))


def explain_html(plan: Plan) -> str:
    """The plan as HTML: a table of its stages, one of the columns of its sources; everything escaped."""
    from eventide.plan.html import heading, pairs_or_rows

    stages = [(line[:_MARGIN].strip(), line[_MARGIN:]) for line in _lines(plan)]
    columns = [
        (one.source.name, name, type_name(dtype)) for one in plan.inputs for name, dtype in one.source.columns.items()
    ]
    return (
        heading(f"Stream of {', '.join(one.source.name for one in plan.inputs)}")
        + pairs_or_rows(["stage", "what it does"], stages)
        + pairs_or_rows(["source", "column", "type"], columns)
    )


def _lines(plan: Plan) -> Iterator[str]:
    yield from _front(plan)
    if plan.aggregate is not None:
        yield from _windows(plan.aggregate)
    yield from _steps(plan.finish)
    for rate in plan.rates:
        yield rate_line(rate)
    for branch in plan.branches:
        yield f"output      {branch.name}: {'; '.join(line.strip() for line in _steps(branch.steps)) or 'all results'}"
    for write in plan.writes:
        yield f"write       {write.output} to {getattr(write.sink, 'explanation', write.sink.name)}"
    kept = [name for name in plan.outputs if name not in {write.output for write in plan.writes}]
    yield f"keep        {', '.join(kept)}: as frames of the outcome" if kept else "keep        nothing in memory"


def _front(plan: Plan) -> Iterator[str]:
    """Everything up to windows or results."""
    if plan.derived is not None:
        yield from _derived(plan.derived)
    else:
        for one in plan.inputs:
            yield f"read        {one.source.name}: {', '.join(one.source.columns)}"
            if (more := getattr(one.source, "explanation", None)) is not None:
                yield f"            {more}"
            yield from _steps(one.steps)
        yield from _steps(plan.before)
    if plan.event_time is not None:
        yield from _event_time(plan.event_time)
    yield from _steps(plan.after)


def _derived(derived: Derived) -> Iterator[str]:
    names = ("left", "right") if len(derived.sides) > 1 else ("",)
    for name, side in zip(names, derived.sides, strict=True):
        if name:
            yield f"{name}:"
        yield from (f"  {line}" if name else line for line in _front(side))
    match derived:
        case Merge(_, by, within_us):
            yield f"merge       rows of one {', '.join(by)} up to {duration_text(within_us)} behind the first: one row"
            yield "            each column its first value; comes out when the watermark has passed that time"
        case IntervalJoin(_, _, on, lower_us, upper_us, how, _):
            yield (
                f"join        {how}, {_keys(on)}: right rows from {duration_text(lower_us)} to "
                f"{duration_text(upper_us)} of a left row's event time"
            )
            if how != "inner":
                yield "            rows without a match come out when the watermark of the other side proves it"
        case AsofJoin(_, _, on, tolerance_us, how, _):
            old = "" if tolerance_us is None else f", at most {duration_text(tolerance_us)} older"
            without = "kept with nulls" if how == "left" else "left out"
            yield f"join        as of, {_keys(on)}: the last right row at or before a left one{old}"
            yield f"            a left row waits for the right watermark; without a match it is {without}"


def _keys(on: Pairs) -> str:
    return "on " + ", ".join(left if left == right else f"{left} = {right}" for left, right in on)


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        match step:
            case Filter(predicate):
                yield f"filter      {to_sql(predicate)}"
            case Select(columns):
                yield f"select      {', '.join(f'{to_sql(value)} as {name}' for name, value in columns)}"
            case WithColumns(columns):
                yield f"with        {', '.join(f'{name} = {to_sql(value)}' for name, value in columns)}"
            case MapBatches(function, _):
                yield f"map_batches {getattr(function, '__name__', 'function')} (Python, embedded runs only)"
            case Enrich():
                yield from _enrich(step)
            case Deduplicate(by, within_us):
                yield f"deduplicate by {', '.join(by)} within {duration_text(within_us)}: the first of a log stays"
            case _ if isinstance(step, OrderedStep):
                yield ordered_line(step)


def _enrich(step: Enrich) -> Iterator[str]:
    names = ", ".join(one.source.name for one in step.side.inputs)
    match step.refresh:
        case None:
            often = "once"
        case EveryInterval(period_us):
            often = f"every {duration_text(period_us)} of the wall clock"
        case EveryChange():
            often = "when its file changes"
    missing = "kept with nulls" if step.misses is None else f"to the output {step.misses}"
    version = "" if step.version is None else f"; version in {step.version}"
    yield f"enrich      {_keys(step.on)} from {names}, read {often}; rows not found are {missing}{version}"


def _event_time(settings: EventTime) -> Iterator[str]:
    clock = settings.clock
    whose = "one clock a log"
    if isinstance(clock, KeyClock):
        whose = f"one clock for each {clock.key} in a log, at most {duration_text(clock.cap_us)} behind the log"
    yield f"event time  {settings.column}, {whose}; {strategy_text(settings.strategy)}"
    guards = []
    if settings.max_future_us is not None:
        guards.append(f"more than {duration_text(settings.max_future_us)} ahead of its arrival")
    if settings.max_age_us is not None:
        guards.append(f"more than {duration_text(settings.max_age_us)} behind it")
    yield f"guards      to dead_letters: no event time{''.join(f', {guard}' for guard in guards)}"
    if settings.idle_after_us is not None:
        then = "; when all are idle, windows close" if settings.close_when_idle else ""
        silent = duration_text(settings.idle_after_us)
        yield f"idle        a log silent for {silent} no longer holds the others back{then}"


def strategy_text(strategy: object) -> str:
    """The rule by which a strategy finds the watermark, in words."""
    match strategy:
        case Ascending():
            return "watermark = largest event time"
        case Bounded(delay_us):
            return f"watermark = largest event time - {duration_text(delay_us)}"
        case Punctuated(column):
            return f"watermark = largest {column}"
        case Adaptive(late_rate, _, max_us):
            learnt = f"a learnt bound (at most {duration_text(max_us)}) that {late_rate:.3%} may exceed"
            return f"watermark = largest event time - {learnt}"
        case Perfect():
            return "watermark = smallest event time still to come"
        case _:
            return f"watermark by {type(strategy).__name__}"


def _windows(query: WindowedAggregate) -> Iterator[str]:
    yield f"group by    {', '.join(query.keys) or 'nothing: one group for all'}"
    yield f"window      {_window(query.window)}"
    allowed = query.lateness.allowed_us
    behind = "counted, not kept" if query.lateness.policy == "drop" else "to the late output"
    corrections = f"corrections for {duration_text(allowed)} behind a window's end, then " if allowed else ""
    yield f"late        {corrections}{behind}"
    if query.early is not None:
        often = (
            f"each {duration_text(query.early.period_us)} of event time"
            if isinstance(query.early, EveryInterval)
            else "at every change"
        )
        yield f"early       results before a window is complete, {often}"
    if query.fill_empty:
        until = f", final {duration_text(allowed)} behind their end" if allowed else ""
        yield f"fill        windows in which a known key sent nothing show as empty{until}"
    if query.completeness:
        yield "complete    each row says what share of its events is expected to be in it"
    for name, aggregate in query.aggregates:
        yield f"aggregate   {name} = {to_sql(aggregate) if isinstance(aggregate, Aggregation) else 'an own aggregate'}"


def _window(window: Window) -> str:
    match window:
        case Sliding(size_us, slide_us, offset_us):
            shifted = f", shifted by {duration_text(offset_us)}" if offset_us else ""
            every = f" every {duration_text(slide_us)}" if slide_us != size_us else ""
            return f"{'sliding' if every else 'tumbling'} {duration_text(size_us)}{every}{shifted}"
        case Calendar(unit, timezone):
            return f"calendar {unit} in {timezone}"
        case Session(gap_us):
            return f"session with a gap of {duration_text(gap_us)}"
        case Count(size, timeout_us):
            return f"{size} events{'' if timeout_us is None else f' or {duration_text(timeout_us)}'}"
        case Global():
            return "one window over everything"
