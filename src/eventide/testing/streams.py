"""Streams with planned disorder, as Hypothesis strategies.

Law: a stream is what a network could send: bounded disorder with stragglers, several logs, null keys and values,
copies, broken times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from eventide.errors import EventideError
from eventide.flow import INSTANT
from eventide.semantics.eventtime import Adaptive, Ascending, Bounded, EventTime, KeyClock, LogClock
from eventide.semantics.lateness import EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding
from eventide.testing.reference import Entry, Event, Finished, Heartbeat, Idle

try:
    from hypothesis import strategies as st
except ImportError:
    raise EventideError('streams for tests need Hypothesis: install "eventide[testing]"') from None

COLUMNS = {"key": pl.String(), "at": INSTANT, "x": pl.Float64(), "n": pl.Int64(), "flag": pl.Boolean()}
"""The columns of drawn events: a key, the event time, a float, a whole number and a truth value."""

_FLOATS = st.one_of(
    st.integers(-50, 50).map(float),
    st.floats(-1e3, 1e3, allow_nan=False),
    st.sampled_from([0.1, 1e-9, 1e15, -0.0]),
)


@st.composite
def event_rows(draw: st.DrawFn, most: int = 30, strange: bool = True) -> list[dict[str, Any]]:
    """Rows of one log: times that go forward with steps back, now and then far back, a null or a copy."""
    rows: list[dict[str, Any]] = []
    now = draw(st.integers(0, 50))
    for _ in range(draw(st.integers(0, most))):
        now += draw(st.integers(0, 6))
        back = draw(st.one_of(st.just(0), st.integers(0, 12), st.integers(0, 60)))
        time: int | None = now - back
        if strange and draw(st.integers(0, 30)) == 0:
            time = draw(st.sampled_from([None, 2**63 - 1, -(2**62)]))
        key = draw(st.sampled_from(["a", "b", "c", None]))
        value = draw(st.one_of(st.none(), _FLOATS)) if strange else draw(_FLOATS)
        rows.append(
            {
                "key": key,
                "at": time,
                "x": value,
                "n": draw(st.one_of(st.none(), st.integers(-9, 9))),
                "flag": draw(st.sampled_from([True, False, None])),
            }
        )
        if draw(st.integers(0, 20)) == 0:
            rows.append(dict(rows[-1]))
    return rows


@st.composite
def entries(draw: st.DrawFn, logs: Sequence[str] = ("one",), marks: bool = True, most: int = 30) -> list[Entry]:
    """Entries of several logs, interleaved in any way, each log ended at the end."""
    queues = {log: [Event(log, offset, row) for offset, row in enumerate(draw(event_rows(most)))] for log in logs}
    order: list[Entry] = []
    while any(queues.values()):
        log = draw(st.sampled_from([log for log, queue in queues.items() if queue]))
        order.extend(queues[log].pop(0) for _ in range(min(draw(st.integers(1, 5)), len(queues[log]))))
        if marks and draw(st.integers(0, 12)) == 0:
            marks_here: list[Entry] = [Idle(log), Heartbeat(log, draw(st.integers(0, 200)))]
            order.append(draw(st.sampled_from(marks_here)))
    return [*order, *(Finished(log) for log in logs)]


@st.composite
def close_entries(draw: st.DrawFn, logs: Sequence[str], marks: bool = True, most: int = 12) -> list[Entry]:
    """Entries whose few times meet often: events at 0 to 12 that go forward slowly, so that bounds are hit exactly."""
    counts = dict.fromkeys(logs, 0)
    order: list[Entry] = []
    for place in range(draw(st.integers(4, most * len(logs)))):
        log = draw(st.sampled_from(list(logs)))
        if marks and draw(st.integers(0, 5)) == 0:
            marks_here: list[Entry] = [Heartbeat(log, place // 2), Heartbeat(log, place), Idle(log)]
            order.append(draw(st.sampled_from(marks_here)))
            continue
        time = place // len(logs) + draw(st.integers(-3, 3))
        key = draw(st.sampled_from(["a", "a", "a", "b", None]))
        row = {"key": key, "at": time, "x": float(place), "n": draw(st.integers(0, 1)), "flag": True}
        order.append(Event(log, counts[log], row))
        counts[log] += 1
    return [*order, *(Finished(log) for log in logs)]


@st.composite
def silent_entries(draw: st.DrawFn, logs: Sequence[str], most: int = 10) -> list[Entry]:
    """Close entries in which logs fall silent, often all at once, and come back or end while others are silent; some of
    what comes is refused, which ends no silence.
    """
    counts = dict.fromkeys(logs, 0)
    order: list[Entry] = []
    for place in range(draw(st.integers(4, most * len(logs)))):
        if not counts:
            break
        log = draw(st.sampled_from(list(counts)))
        what = draw(st.integers(0, 15))
        if what == 0:
            order.append(Idle(log))
        elif what == 1:
            order.extend(Idle(one) for one in draw(st.permutations(list(counts))))
        elif what == 2:
            order.extend(Idle(one) for one in counts if one != log)
            order.append(Finished(log))
            del counts[log]
        elif what == 3:
            order.append(Heartbeat(log, place // len(logs) + draw(st.integers(-3, 3))))
        else:
            refused = draw(st.integers(0, 7)) == 0
            time = None if refused else place // len(logs) + draw(st.integers(-4, 4))
            key = draw(st.sampled_from(["a", "a", "b", None]))
            row = {"key": key, "at": time, "x": float(place), "n": draw(st.integers(0, 1)), "flag": place % 2 == 0}
            order.append(Event(log, counts[log], row))
            counts[log] += 1
    return [*order, *(Finished(log) for log in counts)]


def close_event_times() -> st.SearchStrategy[EventTime]:
    """Event-time settings that keep up with `close_entries`."""
    strategies = st.one_of(st.just(Ascending()), st.integers(0, 4).map(Bounded))
    clocks = st.one_of(st.just(LogClock()), st.integers(4, 9).map(lambda cap: KeyClock("key", cap)))
    return st.builds(lambda strategy, clock: EventTime("at", strategy, clock, max_future_us=None), strategies, clocks)


def windows() -> st.SearchStrategy[Any]:
    """Any kind of window over small times."""
    return st.one_of(
        st.builds(lambda size, offset: Sliding(size, size, offset % size), st.integers(1, 20), st.integers(0, 20)),
        st.builds(
            lambda size, slide, offset: Sliding(size, slide, offset % slide),
            st.integers(1, 20),
            st.integers(1, 25),
            st.integers(0, 9),
        ),
        st.builds(Session, st.integers(1, 8)),
        st.builds(Count, st.integers(1, 4), st.one_of(st.none(), st.integers(1, 15))),
        st.just(Global()),
        st.just(Calendar("1d", "Europe/Helsinki")),
    )


def event_times() -> st.SearchStrategy[EventTime]:
    """Event-time settings with every strategy that a stream itself decides."""
    delay = st.integers(0, 15)
    strategies = st.one_of(st.just(Ascending()), delay.map(Bounded), st.just(Adaptive(0.01, 0, 9)))
    clocks = st.one_of(st.just(LogClock()), st.integers(15, 40).map(lambda cap: KeyClock("key", cap)))
    return st.builds(lambda strategy, clock: EventTime("at", strategy, clock, max_future_us=None), strategies, clocks)


def latenesses() -> st.SearchStrategy[Lateness]:
    """Late policies with and without allowed lateness."""
    return st.one_of(
        st.just(Lateness()),
        st.just(Lateness("drop")),
        st.integers(1, 15).map(lambda allowed: Lateness("update", allowed)),
    )


def earlies() -> st.SearchStrategy[EveryChange | EveryInterval | None]:
    """Early results: none, at every change, at intervals."""
    return st.one_of(st.none(), st.none(), st.just(EveryChange()), st.integers(1, 9).map(EveryInterval))
