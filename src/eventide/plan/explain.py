"""The explanation of a plan: what a run of it would do, in words, before anything runs.

Law: it says nothing that the plan does not, and leaves nothing out that changes an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from eventide.expressions import Aggregation, to_sql
from eventide.instants import duration_text
from eventide.plan.explain_detection import ordered_line, rate_line
from eventide.plan.nodes import Filter, MapBatches, OrderedStep, Plan, Select, Step, WindowedAggregate, WithColumns
from eventide.semantics.eventtime import Adaptive, Ascending, Bounded, EventTime, KeyClock, Perfect, Punctuated
from eventide.semantics.lateness import EveryInterval
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding, Window


def explain(plan: Plan) -> str:
    """The plan in words, one line a stage, in the order in which an event meets them."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    for one in plan.inputs:
        yield f"read        {one.source.name}: {', '.join(one.source.columns)}"
        yield from _steps(one.steps)
    yield from _steps(plan.before)
    if plan.event_time is not None:
        yield from _event_time(plan.event_time)
    yield from _steps(plan.after)
    if plan.aggregate is not None:
        yield from _windows(plan.aggregate)
    yield from _steps(plan.finish)
    for rate in plan.rates:
        yield rate_line(rate)
    for branch in plan.branches:
        yield f"output      {branch.name}: {'; '.join(line.strip() for line in _steps(branch.steps)) or 'all results'}"
    for write in plan.writes:
        yield f"write       {write.output} to {write.sink.name}"
    kept = [name for name in plan.outputs if name not in {write.output for write in plan.writes}]
    yield f"keep        {', '.join(kept)}: as frames of the outcome" if kept else "keep        nothing in memory"


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
            case _ if isinstance(step, OrderedStep):
                yield ordered_line(step)


def _event_time(settings: EventTime) -> Iterator[str]:
    clock = settings.clock
    whose = "one clock a log"
    if isinstance(clock, KeyClock):
        whose = f"one clock for each {clock.key} in a log, at most {duration_text(clock.cap_us)} behind the log"
    yield f"event time  {settings.column}, {whose}; {_strategy(settings.strategy)}"
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


def _strategy(strategy: object) -> str:
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
        yield "fill        windows in which a known key sent nothing show as empty"
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
