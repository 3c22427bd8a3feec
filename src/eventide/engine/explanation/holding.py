"""Who holds a watermark back: the log and the clock that are furthest behind, since which event, and at which pace.

Law: what is said is read from the clocks and the trace of a moment; a pace is that of the last sampled events, in
arrival time, and is left out where arrivals do not tell one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from eventide.engine.clocks import Clock
from eventide.engine.explanation.moment import Key, Moment
from eventide.engine.explanation.words import event_text, key_text, listed, span, watermark_text
from eventide.engine.trace import LogTrace, Mark
from eventide.flow import INSTANT
from eventide.instants import END_OF_TIME, NO_WATERMARK, instant_text
from eventide.semantics.eventtime import Adaptive, Ascending, Bounded, KeyClock, Punctuated

_LAST_POINTS = 64
_SILENT_GAPS = 10


@dataclass(frozen=True, slots=True)
class Holding:
    """The clock that is furthest behind.

    `why` is `"no event"` (its log has sent none), `"silent"` (its log stopped while others went on), `"slow"` (its
    log goes on behind the others), `"quiet key"` (the key's own clock, its log has gone on) or `"alone"` (no other
    log to compare it with). `since` is the event that moved it last, `closes_us` the arrival time at which it will
    reach what is waited for, at the present pace; None where that cannot be told.
    """

    log: str
    clock: str
    why: Literal["no event", "silent", "slow", "quiet key", "alone"]
    watermark_us: int
    since: Mark | None
    closes_us: int | None = None


def holding(moment: Moment, key: Key, code: int | None, end_us: int) -> Holding | None:
    """What keeps the closing watermark of a key below an instant; None when nothing does."""
    behind = {log: moment.watermark_of(clock, code) for log, clock in moment.alive.items()}
    if not behind or min(behind.values()) >= end_us:
        return None
    log = min(behind, key=lambda name: behind[name])
    clock, trace = moment.clocks.logs[log], moment.trace.of_log(log)
    quiet = _is_quiet(moment, clock, code)
    if trace.last is None:
        why: Literal["no event", "silent", "slow", "quiet key", "alone"] = "no event"
    elif quiet:
        why = "quiet key"
    elif _is_silent(moment, trace):
        why = "silent"
    else:
        why = "slow" if len(moment.clocks.logs) > 1 else "alone"
    whose = f"the clock of {key_text(_clock_key(moment, key))} in log {log!r}" if quiet else f"the clock of log {log!r}"
    closes = None if why in ("no event", "silent") else _closes(moment, clock, trace, code, end_us)
    return Holding(log, whose, why, behind[log], None if quiet else trace.moved, closes)


def holding_lines(moment: Moment, found: Holding, end_us: int) -> Iterator[str]:
    """The holding in words."""
    trace = moment.trace.of_log(found.log)
    match found.why:
        case "no event":
            yield f"held back by log {found.log!r}, which has not sent any event: it has no watermark"
        case "quiet key":
            yield (
                f"held back by {found.clock} ({watermark_text(found.watermark_us)}); the log itself has gone on to "
                f"{event_text(trace.moved, found.log)}"
            )
        case _:
            yield f"held back by {found.clock} ({watermark_text(found.watermark_us)})"
    if found.since is not None:
        by = {"event": "", "heartbeat": " and its source's heartbeat", "floor": " coming back from idleness"}
        moved = f"{event_text(found.since, found.log)}{by[trace.moved_by]}"
        if found.why == "quiet key":
            moved = event_text(found.since, found.log)
        at = "" if found.since.arrival_us is None else f" at {instant_text(found.since.arrival_us)}"
        yield f"it stands there since {moved} arrived{at}"
    yield from _others_lines(moment, found, trace, end_us)


def _others_lines(moment: Moment, found: Holding, trace: LogTrace, end_us: int) -> Iterator[str]:
    newest = newest_arrival(moment)
    if found.why == "silent" and trace.last is not None and trace.last.arrival_us is not None and newest is not None:
        yield (
            f"log {found.log!r} is silent: its last entry (offset {trace.last.offset}) came "
            f"{span(newest - trace.last.arrival_us)} before the newest one of the others"
        )
    others = {log: clock.reached for log, clock in moment.alive.items() if log != found.log}
    if others:
        least = min(others.values())
        if NO_WATERMARK < found.watermark_us < least < END_OF_TIME:
            yield f"every other log is at least {span(least - found.watermark_us)} further"
        late = [repr(log) for log, reached in others.items() if reached < end_us]
        if late:
            yield f"also behind the end: {listed(late)}"
    idle = [repr(log) for log, clock in moment.clocks.logs.items() if clock.idle]
    if idle:
        yield f"idle, so not holding anything back: {listed(idle)}"


def needed_line(moment: Moment, found: Holding | None, key: Key, end_us: int) -> str:
    """What the window waits for, as an event that would bring it."""
    settings = moment.settings
    whose = "an event"
    if isinstance(settings.clock, KeyClock) and moment.clocks.closes_by_key:
        whose = f"an event of {key_text(_clock_key(moment, key))}"
    log = "every log" if found is None else f"log {found.log!r}"
    match settings.strategy:
        case Ascending():
            needed = f"{whose} in {log} of {instant_text(end_us)} or later"
        case Bounded(delay_us):
            needed = f"{whose} in {log} of {instant_text(end_us + delay_us)} or later"
        case Adaptive(_, _, max_us):
            learnt = None if found is None else moment.clocks.logs[found.log].strategy.adaptive
            bound_us = max_us if learnt is None else learnt.bound_us
            needed = f"{whose} in {log} of {instant_text(end_us + bound_us)} or later (bound learnt so far)"
        case Punctuated(column):
            needed = f"{whose} in {log} whose {column} is {instant_text(end_us)} or later"
        case _:
            needed = f"{log} to show by its strategy that nothing before {instant_text(end_us)} is to come"
    if isinstance(settings.clock, KeyClock) and moment.clocks.closes_by_key:
        needed += f", or any event there of {instant_text(end_us + settings.clock.cap_us)} or later (cap)"
    return f"it closes when the watermark reaches {instant_text(end_us)}: it waits for {needed}"


def pace_line(moment: Moment, found: Holding) -> str:
    """When that will be."""
    if found.closes_us is not None:
        return f"at the present pace it closes when arrivals reach {instant_text(found.closes_us)}"
    if found.why in ("no event", "silent"):
        idle_us = moment.settings.idle_after_us
        remedy = (
            "set idle_after= to let the others go on without it"
            if idle_us is None
            else f"after {span(idle_us)} of silence it counts as idle and the others go on without it"
        )
        return f"at the present pace never: log {found.log!r} sends nothing; {remedy}"
    return "when that will be cannot be told: arrival times show no pace"


def newest_arrival(moment: Moment) -> int | None:
    """The newest arrival time that any log has shown."""
    arrivals = [trace.last.arrival_us for trace in moment.trace.logs.values() if trace.last is not None]
    return max((arrival for arrival in arrivals if arrival is not None), default=None)


def _clock_key(moment: Moment, key: Key) -> Key:
    clock = moment.settings.clock
    return {clock.key: key.get(clock.key)} if isinstance(clock, KeyClock) else {}


def _is_quiet(moment: Moment, clock: Clock, code: int | None) -> bool:
    """True when the key's own clock decides, and the log's newest event is another key's."""
    if not moment.clocks.closes_by_key or clock.front <= NO_WATERMARK:
        return False
    fronts = clock.keys.fronts
    return code is None or code >= fronts.len() or int(fronts[code]) < clock.front


def _is_silent(moment: Moment, trace: LogTrace) -> bool:
    """True when the log's last entry lies many of its usual gaps before the newest arrival of all logs."""
    newest, last = newest_arrival(moment), trace.last
    if newest is None or last is None or last.arrival_us is None:
        return False
    arrivals = [arrival for arrival in trace.columns[1] if arrival > NO_WATERMARK]
    gap_us = (last.arrival_us - arrivals[0]) / max(trace.events - 1, 1) if arrivals else 0
    return newest - last.arrival_us > _SILENT_GAPS * max(gap_us, 1_000_000)


def _closes(moment: Moment, clock: Clock, trace: LogTrace, code: int | None, end_us: int) -> int | None:
    """The arrival time at which the clock reaches the end, by the pace of the last sampled events."""
    settings = moment.settings
    points = trace.sample("").tail(_LAST_POINTS).filter(pl.col("arrival").is_not_null())
    if isinstance(settings.clock, KeyClock):
        wanted, reached = end_us + settings.clock.cap_us, clock.front
        values = points.get_column("time").cast(pl.Int64).cum_max()
    else:
        wanted, reached = end_us, clock.reached
        values = points.filter(pl.col("watermark").is_not_null()).get_column("watermark").cast(pl.Int64)
    arrivals = points.tail(values.len()).get_column("arrival").cast(INSTANT).cast(pl.Int64)
    if values.len() < 2 or trace.last is None or trace.last.arrival_us is None:
        return None
    gained, passed = int(values[-1]) - int(values[0]), int(arrivals[-1]) - int(arrivals[0])
    if gained <= 0 or passed <= 0:
        return None
    return trace.last.arrival_us + (wanted - reached) * passed // gained
