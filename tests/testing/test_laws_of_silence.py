"""The laws where logs fall silent, often all at once, and come back or end while others are silent."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from eventide.expressions import col, count
from eventide.semantics.eventtime import Ascending, Bounded, EventTime, KeyClock, LogClock
from eventide.semantics.lateness import EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Count, Session, Sliding, Window
from eventide.testing import laws, streams
from eventide.testing.reference import Query, reference

AGGREGATES = (("events", count()), ("sum", col("x").sum()))
MANNERS = (
    laws.Manner(),
    laws.Manner((1,)),
    laws.Manner((2, 5), 1, frozenset(range(0, 99, 2))),
    laws.Manner((4, 1), 3, frozenset(range(1, 99, 3))),
)
LATENESSES = st.one_of(
    st.just(Lateness()), st.just(Lateness("drop")), st.integers(1, 6).map(lambda us: Lateness("update", us))
)
EARLIES = st.one_of(st.none(), st.just(EveryChange()), st.integers(1, 4).map(EveryInterval))
CLOCKS = st.one_of(st.just(LogClock()), *[st.integers(3, 12).map(lambda cap: KeyClock("key", cap))] * 3)
STRATEGIES = st.one_of(st.just(Ascending()), st.integers(0, 3).map(Bounded))
EVENT_TIMES = st.builds(lambda how, clock: EventTime("at", how, clock, max_future_us=None), STRATEGIES, CLOCKS)
FIXED = st.one_of(
    st.integers(1, 6).map(lambda size: Sliding(size, size, 0)),
    st.builds(lambda size, slide: Sliding(size, slide, 0), st.integers(1, 7), st.integers(1, 4)),
)
OTHERS = st.one_of(st.builds(Session, st.integers(1, 4)), st.builds(Count, st.integers(1, 3), st.just(5)))
KEYS = st.sampled_from([("key",), ("key",), ("key", "flag"), ("n",)])
LOGS = st.sampled_from([("one",), ("one", "two"), ("one", "two", "three")])
QUIET = settings(
    max_examples=examples(16),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)


@QUIET
@given(EVENT_TIMES, FIXED, LATENESSES, EARLIES, KEYS, LOGS, st.booleans(), st.data())
def test_fixed_windows_are_final_once_and_those_of_the_reference(
    event_time: EventTime,
    window: Window,
    lateness: Lateness,
    early: EveryChange | EveryInterval | None,
    keys: tuple[str, ...],
    logs: tuple[str, ...],
    fill: bool,
    data: st.DataObject,
) -> None:
    query = Query(event_time, keys, window, AGGREGATES, lateness, early, fill)
    drawn = data.draw(streams.silent_entries(logs))
    expected = reference(query, drawn, list(logs))
    laws.law_final_once(query, expected.results)
    outputs = laws.law_equal_to_reference(query, drawn, streams.COLUMNS, logs, data.draw(st.sampled_from(MANNERS)))
    laws.law_final_once(query, laws.rows_of(outputs.get("results", [])))
    laws.law_late_behind_what_was_seen(drawn, laws.rows_of(outputs.get("late", [])), "at")
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, logs, MANNERS)


@QUIET
@given(EVENT_TIMES, OTHERS, LATENESSES, st.booleans(), KEYS, LOGS, st.data())
def test_sessions_and_counts_are_those_of_the_reference(
    event_time: EventTime,
    window: Window,
    lateness: Lateness,
    changes: bool,
    keys: tuple[str, ...],
    logs: tuple[str, ...],
    data: st.DataObject,
) -> None:
    sessions = isinstance(window, Session)
    early = EveryChange() if changes and sessions else None
    query = Query(event_time, keys, window, AGGREGATES, lateness if sessions else Lateness(), early)
    drawn = data.draw(streams.silent_entries(logs))
    outputs = laws.law_equal_to_reference(query, drawn, streams.COLUMNS, logs, data.draw(st.sampled_from(MANNERS)))
    laws.law_late_behind_what_was_seen(drawn, laws.rows_of(outputs.get("late", [])), "at")
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, logs, MANNERS)
