"""An event explained: on time, corrected, late, filtered or refused, and by which earlier event and rule.

Law: the fate is the one that the plan itself gives when its log is read again up to the event; the late and refused
rows that the run kept say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import polars as pl

from eventide.engine.accounting import Account
from eventide.engine.explanation.moment import Moment, typed
from eventide.engine.explanation.reread import Mover, Rereading
from eventide.engine.explanation.words import (
    arrived,
    cap_rule_text,
    event_text,
    own_rule_text,
    rule_text,
    span,
)
from eventide.engine.pipeline import Pipeline
from eventide.engine.steps.grid import grid_of
from eventide.engine.steps.shape import shape
from eventide.engine.trace import Mark
from eventide.errors import EventideError
from eventide.expressions import to_sql
from eventide.flow import ARRIVAL, LOG, OFFSET
from eventide.instants import NO_WATERMARK, duration_text, instant_text
from eventide.plan import DEAD_LETTERS, Filter, Plan, Step
from eventide.semantics.eventtime import Bounded, KeyClock
from eventide.semantics.windows import Count, Session

Fate = Literal["on time", "corrected", "late", "filtered", "refused", "duplicate"]
_FATES: Mapping[str, Fate] = {
    "on_time": "on time",
    "corrected": "corrected",
    "late": "late",
    "filtered": "filtered",
    "dead_letters": "refused",
    "duplicates": "duplicate",
}
_WINDOWS_NAMED = 3


@dataclass(frozen=True, slots=True)
class EventExplanation:
    """What became of an event; `str` of it is a text for people.

    `watermark_us` is that of its clock in front of it, `mover` the earlier event that had brought it there, `rule` the
    rule by which. None where there was none. Instants are microseconds.
    """

    log: str
    offset: int
    fate: Fate
    time_us: int | None
    watermark_us: int | None
    mover: Mark | None
    rule: str
    lines: tuple[str, ...]

    @property
    def title(self) -> str:
        """The event by its place."""
        time = "" if self.time_us is None else f" (time {instant_text(self.time_us)})"
        return f"event {self.offset} of log {self.log!r}{time}"

    def __str__(self) -> str:
        return "\n  ".join([f"{self.title}: {self.fate}", *self.lines])

    def _repr_html_(self) -> str:
        from eventide.plan.html import lines

        return lines(f"{self.title}: {self.fate}", self.lines)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The event's row at the door (None: refused before), its fate, and the watermark in front of it."""

    fate: Fate
    row: pl.DataFrame | None
    before: int
    number: int
    raw: pl.DataFrame
    refused: pl.DataFrame


def explain_event(moment: Moment, log: str | None, offset: int) -> EventExplanation:
    """The event at an offset of a log; a stream with one log needs no name."""
    name = _only_log(moment) if log is None else log
    reading = Rereading(moment)
    kept = _kept_refusal(moment, name, offset)
    judged = None if kept is not None else _judge(reading, name, offset)
    if judged is None or judged.refused.height:
        refused = kept if kept is not None else judged.refused if judged is not None else None
        assert refused is not None
        time = _time_of(reading, name, offset)
        told = tuple(_refused_lines(moment, refused, time))
        return EventExplanation(name, offset, "refused", time, None, None, str(refused["reason"][0]), told)
    return _told(moment, reading, name, judged)


def find_event(moment: Moment, values: Mapping[str, object]) -> tuple[str, int, int]:
    """Log and offset of the first event with these values, and how many there are, reading every log again."""
    if not values:
        raise ValueError("values= names no column: give for example values={'device': 'a'}")
    reading = Rereading(moment)
    found: list[tuple[str, int]] = []
    for log in moment.logs:
        for number, batch in reading.batches(log, whole=True):
            rows = shape(batch.rows, moment.plan.inputs[number].steps)
            unknown = sorted(set(values) - set(rows.columns))
            if unknown:
                raise ValueError(f"there is no column {unknown[0]!r}: the stream has {', '.join(_visible(rows))}")
            same = [
                pl.col(name).eq_missing(pl.lit(typed(name, value, rows.schema[name])[0], rows.schema[name]))
                for name, value in values.items()
            ]
            matching = rows.filter(pl.all_horizontal([pl.lit(True), *same]))
            found += [(log, int(offset)) for offset in matching.get_column(OFFSET)]
    if not found:
        wanted = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise EventideError(f"no event with {wanted} was read; rows that break the schema are in dead_letters")
    return (*found[0], len(found))


def _only_log(moment: Moment) -> str:
    logs = moment.logs
    if len(logs) == 1:
        return logs[0]
    raise ValueError(f"log= is missing: the stream has {len(logs)} logs: {', '.join(map(repr, logs)) or 'none'}")


def _kept_refusal(moment: Moment, log: str, offset: int) -> pl.DataFrame | None:
    dead = moment.outputs.get(DEAD_LETTERS)
    if dead is None:
        return None
    mine = dead.filter((pl.col(LOG) == log) & (pl.col(OFFSET) == offset))
    return mine if mine.height else None


def _judge(reading: Rereading, log: str, offset: int) -> _Judged:
    """Run the plan over the log up to the event, and see in which account it ends up."""
    pipeline = reading.pipeline()
    for number, piece in reading.pieces(log, pipeline, offset):
        offsets = piece.rows.get_column(OFFSET)
        here = offsets.len() and int(offsets[0]) == offset
        broken = piece.refused.filter(pl.col(OFFSET) == offset)
        if not here and not broken.height:
            if offsets.len() and int(offsets[0]) > offset:
                break
            pipeline.process(piece, number)
            continue
        if broken.height:
            return _Judged("refused", None, NO_WATERMARK, number, piece.rows.clear(), broken)
        alone = replace(piece, refused=piece.refused.clear())
        row = reading.shaped(alone, number)
        before = _watermark_before(pipeline, log, row)
        account = pipeline.accounting.of(log)
        counts = {part.name: getattr(account, part.name) for part in fields(Account)}
        outputs = pipeline.process(alone, number)
        grown = [name for name in _FATES if getattr(account, name) > counts[name]]
        refused = outputs.get(DEAD_LETTERS, [alone.refused])[0]
        return _Judged(_FATES[grown[0]], row, before, number, piece.rows, refused)
    raise EventideError(f"log {log!r} has no event at offset {offset}")


def _watermark_before(pipeline: Pipeline, log: str, row: pl.DataFrame) -> int:
    """The watermark of the event's clock in front of it."""
    if pipeline.clocks is None or not row.height:
        return NO_WATERMARK
    clock = pipeline.clocks.add(log)
    if pipeline.clock_keys is None:
        return clock.reached
    code = int(pipeline.clock_keys.encode(row)[0])
    own = clock.keys.watermarks
    return max(clock.reached, int(own[code])) if code < own.len() else clock.reached


def _time_of(reading: Rereading, log: str, offset: int) -> int | None:
    """The event time of a refused row, if it can be read."""
    settings = reading.plan.event_time
    if settings is None:
        return None
    for number, batch in reading.batches(log, whole=True):
        row = reading.shaped(batch, number).filter(pl.col(OFFSET) == offset)
        if row.height:
            time: int | None = row.get_column(settings.column).cast(pl.Int64)[0]
            return time
    return None


def _refused_lines(moment: Moment, refused: pl.DataFrame, time: int | None) -> Iterator[str]:
    found = refused.row(0, named=True)
    field = f" (field {found['field']})" if found["field"] else ""
    yield f"rule: {found['reason']}{field}"
    arrival = refused.get_column(ARRIVAL).cast(pl.Int64)[0]
    settings = moment.plan.event_time
    if settings is not None and time is not None and arrival is not None and "event time is too" in found["reason"]:
        if time > arrival and settings.max_future_us is not None:
            yield (
                f"its time is {span(time - arrival)} ahead of its arrival ({instant_text(arrival)}); max_future allows "
                f"{duration_text(settings.max_future_us)}"
            )
        elif settings.max_age_us is not None:
            yield (
                f"its time is {span(arrival - time)} behind its arrival ({instant_text(arrival)}); max_age allows "
                f"{duration_text(settings.max_age_us)}"
            )
        yield "no earlier event has to do with it; no clock was moved by it"
    if found["raw"] is not None:
        yield f"the row: {found['raw']}"
    yield "it is in dead_letters"


def _told(moment: Moment, reading: Rereading, log: str, judged: _Judged) -> EventExplanation:
    settings = moment.plan.event_time
    offset = int(judged.raw.get_column(OFFSET)[0])
    if settings is None and judged.fate == "on time":
        told = ("the stream has no event time: every event that no step leaves out is on time",)
        return EventExplanation(log, offset, judged.fate, None, None, None, "no event time", told)
    if settings is None or judged.row is None or not judged.row.height:
        filtered = tuple(_filtered_lines(moment, judged))
        return EventExplanation(log, offset, judged.fate, None, None, None, "filter", filtered)
    time = int(judged.row.get_column(settings.column).cast(pl.Int64)[0])
    mover, rule = _moved(moment, reading, log, judged)
    lines = tuple(_lines(moment, log, judged, time, mover, rule))
    before = judged.before if judged.before > NO_WATERMARK else None
    return EventExplanation(log, offset, judged.fate, time, before, None if mover is None else mover.mark, rule, lines)


def _moved(moment: Moment, reading: Rereading, log: str, judged: _Judged) -> tuple[Mover | None, str]:
    """The earlier event that had brought the watermark to where it was, and the rule by which."""
    settings = moment.settings
    assert judged.row is not None
    if judged.before <= NO_WATERMARK:
        return None, "first event of its clock"
    offset = int(judged.raw.get_column(OFFSET)[0])
    floors = [floor for first, floor in moment.trace.of_log(log).floors if first <= offset]
    if floors and max(floors) >= judged.before:
        return None, "idleness: its log came back, or appeared, when the stream had already reached that watermark"
    key = None
    if isinstance(settings.clock, KeyClock):
        key = judged.row.select(settings.clock.key)
        table = moment.pipeline.clock_keys
        assert table is not None
        if moment.trace.floor_of_key(log, int(table.encode(key)[0]), offset) >= judged.before:
            return (
                None,
                "idleness: its log came back, or appeared, when windows of its key had closed by that watermark",
            )
    found = reading.mover(log, key, judged.before, offset)
    if found is not None and found.heartbeat:
        return found, "heartbeat: the source itself asserted that nothing earlier is to come"
    if isinstance(settings.clock, KeyClock) and found is not None and key is not None:
        name = settings.clock.key
        own = found.row.get_column(name).eq_missing(key.get_column(name))[0]
        return found, own_rule_text(settings) if own else cap_rule_text(settings.clock)
    return found, rule_text(settings)


def _lines(moment: Moment, log: str, judged: _Judged, time: int, mover: Mover | None, rule: str) -> Iterator[str]:
    if judged.fate == "filtered":
        yield from _filtered_lines(moment, judged)
        return
    yield from _window_lines(moment, judged, time)
    if judged.before <= NO_WATERMARK:
        yield "no earlier event had moved its clock, so it could not be late"
        return
    stood = f"the watermark in front of it was {instant_text(judged.before)}"
    if mover is None:
        yield f"{stood} ({rule})"
    else:
        yield f"{stood}, brought there by {event_text(mover.mark, log)}{arrived(mover.mark)} ({rule})"
    if judged.fate == "late":
        yield from _remedy_lines(moment, judged, time)


def _window_lines(moment: Moment, judged: _Judged, time: int) -> Iterator[str]:
    """Its windows, and which of them still took it."""
    query = moment.plan.aggregate
    if query is None:
        yield "no windows take it: an event is late when its time is behind the watermark"
        return
    if isinstance(query.window, Session):
        end = time + query.window.gap_us
        yield f"alone it would be the session [{instant_text(time)}, {instant_text(end)})"
        return
    if isinstance(query.window, Count):
        yield "count windows take events in order of time: one behind the watermark has lost its place"
        return
    grid = grid_of(query.window)
    numbers = pl.DataFrame({"t": [time]}, schema={"t": pl.Int64()}).select(
        pl.int_ranges(grid.first(pl.col("t")), grid.last(pl.col("t")) + 1, dtype=pl.Int64).alias("w")
    )
    spans = numbers.explode("w", empty_as_null=False).select(
        grid.start(pl.col("w")).alias("start"), grid.end(pl.col("w")).alias("end")
    )
    if not spans.height:
        yield "no window covers its time: it counts nowhere"
    for start, end in spans.rows()[:_WINDOWS_NAMED]:
        allowed_us = query.lateness.allowed_us
        yield f"window [{instant_text(start)}, {instant_text(end)}): {_verdict(end, judged.before, allowed_us)}"
    if spans.height > _WINDOWS_NAMED:
        last = _verdict(spans["end"][-1], judged.before, query.lateness.allowed_us)
        yield f"and {spans.height - _WINDOWS_NAMED:,} more windows; the last of them: {last}"


def _verdict(end: int, before: int, allowed_us: int) -> str:
    if end > before:
        return "on time"
    ended = f"it had ended {span(before - end)} before"
    if before < end + allowed_us:
        return f"a correction: {ended}, and takes corrections for {duration_text(allowed_us)}"
    return f"late: {ended}" + (f", and takes corrections for {duration_text(allowed_us)} only" if allowed_us else "")


def _remedy_lines(moment: Moment, judged: _Judged, time: int) -> Iterator[str]:
    """What would have let it count, and where it is now."""
    settings, query = moment.settings, moment.plan.aggregate
    end = time
    if query is not None and not isinstance(query.window, Session | Count):
        grid = grid_of(query.window)
        last = pl.DataFrame({"t": [time]}, schema={"t": pl.Int64()}).select(grid.end(grid.last(pl.col("t"))))
        end = int(last.item())
    elif query is not None and isinstance(query.window, Session):
        end = time + query.window.gap_us
    missed = judged.before - end
    remedies = []
    if query is not None and not isinstance(query.window, Count):
        remedies.append(f"a lateness of more than {span(missed)}")
    if isinstance(settings.strategy, Bounded):
        remedies.append(f"a bound of more than {span(settings.strategy.delay_us + missed)}")
    if remedies:
        yield f"it would have counted with {' or '.join(remedies)}"
    dropped = query is not None and query.lateness.policy == "drop"
    yield 'it was counted and not kept (late="drop")' if dropped else "it is in the late output"


def _filtered_lines(moment: Moment, judged: _Judged) -> Iterator[str]:
    """The step that left the event out."""
    plan: Plan = moment.plan
    for place, steps in (
        ("in front of the clocks: it moved none", (*plan.inputs[judged.number].steps, *plan.before)),
        ("behind the clocks: it moved its clock like any other", plan.after),
    ):
        rows = judged.raw if place.startswith("in front") else judged.row
        found = None if rows is None else _filter_that_stops(rows, steps)
        if found is not None:
            yield f"left out by {found}, {place}"
            return
    yield "a step left it out"


def _filter_that_stops(rows: pl.DataFrame, steps: tuple[Step, ...]) -> str | None:
    for step in steps:
        rows = shape(rows, (step,))
        if not rows.height:
            return f"filter({to_sql(step.predicate)})" if isinstance(step, Filter) else type(step).__name__
    return None


def _visible(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if not name.startswith("_")]
