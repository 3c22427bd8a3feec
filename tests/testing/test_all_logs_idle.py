"""Several logs with a clock for each key, all of them silent for a while: the reference's answer, early results at intervals
among them, in every manner."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.testing.test_laws_of_streams import possible

from eventide.expressions import col, count
from eventide.semantics.eventtime import EventTime, KeyClock
from eventide.semantics.lateness import Early, EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Session, Sliding, Window
from eventide.testing import laws, streams
from eventide.testing.reference import Entry, Finished, Idle, Query

QUIET = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
MANNERS = (laws.Manner(), laws.Manner((1,)), laws.Manner((2, 5), 1, frozenset({1, 4, 6, 9})), laws.Manner((4, 1), 3))
LOGS = ("one", "two", "three")


@st.composite
def silences(draw: st.DrawFn, logs: tuple[str, ...]) -> list[Entry]:
    """Entries in which, now and then, all logs fall silent one after the other; some end while the others are."""
    order: list[Entry] = []
    drawn = draw(streams.close_entries(logs, marks=draw(st.booleans()), most=10))
    ended = [one for one in drawn if isinstance(one, Finished)]
    for entry in drawn[: -len(ended)]:
        order.append(entry)
        if draw(st.integers(0, 6)) == 0:
            order += [Idle(log) for log in draw(st.permutations(list(logs)))]
    ends: list[Entry] = list(draw(st.permutations(ended)))
    if draw(st.booleans()):
        ends = [*(Idle(log) for log in draw(st.permutations(list(logs)))), *ends]
    return [*order, *ends]


@QUIET
@given(
    st.one_of(streams.close_event_times(), streams.event_times()),
    st.one_of(
        st.builds(lambda size, slide: Sliding(size, slide, 0), st.integers(1, 8), st.integers(1, 8)),
        st.integers(1, 4).map(Session),
    ),
    st.one_of(
        st.integers(1, 6).map(EveryInterval), st.integers(1, 6).map(EveryInterval), st.just(EveryChange()), st.none()
    ),
    st.sampled_from([Lateness(), Lateness("drop"), Lateness("update", 3)]),
    st.sampled_from([LOGS[:1], LOGS[:2], LOGS]),
    st.data(),
)
def test_windows_are_those_of_the_reference_while_all_logs_are_idle(
    event_time: EventTime,
    window: Window,
    early: Early | None,
    lateness: Lateness,
    logs: tuple[str, ...],
    data: st.DataObject,
) -> None:
    if not possible(window, lateness, early, False):
        early = None
    keyed = data.draw(st.sampled_from([event_time, EventTime("at", event_time.strategy, KeyClock("key", 15))]))
    keyed = EventTime("at", keyed.strategy, keyed.clock, max_future_us=None)
    keys = data.draw(st.sampled_from([("key",), ("key", "flag"), ()]))
    query = Query(keyed, keys, window, (("n", count()), ("x", col("x").sum())), lateness, early)
    drawn = data.draw(silences(logs))
    for manner in MANNERS:
        laws.law_equal_to_reference(query, drawn, streams.COLUMNS, logs, manner)
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, logs, MANNERS)
