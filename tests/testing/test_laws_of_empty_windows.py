"""The laws of empty windows that show: with lateness, early results, clocks of keys, heartbeats and grids with gaps."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from eventide.expressions import col, count
from eventide.semantics.eventtime import Ascending, EventTime
from eventide.semantics.lateness import Early, EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Sliding
from eventide.testing import laws, streams
from eventide.testing.reference import Entry, Event, Finished, Query, reference

AGGREGATES = (("n", count()), ("sum", col("x").sum()), ("last", col("n").last()), ("some", col("n").collect(2)))
MANNERS = (
    laws.Manner(),
    laws.Manner((1,)),
    laws.Manner((2, 5), 1, frozenset(range(0, 99, 2))),
    laws.Manner((4, 1), 3, frozenset(range(1, 99, 3))),
)
GRIDS = st.one_of(
    st.integers(1, 6).map(lambda size: Sliding(size, size, 0)),
    st.builds(lambda size, slide: Sliding(size, slide, 0), st.integers(1, 6), st.integers(1, 8)),
)
LATENESSES = st.integers(0, 9).map(lambda us: Lateness("update", us) if us else Lateness())
EARLIES = st.one_of(st.none(), st.just(EveryChange()), st.integers(1, 4).map(EveryInterval))
LOGS = st.sampled_from([("one",), ("one", "two")])
QUIET = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)


@QUIET
@given(GRIDS, st.one_of(streams.close_event_times(), streams.event_times()), LATENESSES, EARLIES, LOGS, st.data())
def test_empty_windows_are_those_of_the_reference_in_every_manner(
    window: Sliding,
    event_time: EventTime,
    lateness: Lateness,
    early: Early | None,
    logs: tuple[str, ...],
    data: st.DataObject,
) -> None:
    query = Query(event_time, ("key",), window, AGGREGATES, lateness, early, fill_empty=True)
    drawn = data.draw(
        st.one_of(streams.close_entries(logs), streams.silent_entries(logs), streams.entries(logs, most=12))
    )
    laws.law_final_once(query, reference(query, drawn, list(logs)).results)
    laws.law_equal_to_reference(query, drawn, streams.COLUMNS, logs, data.draw(st.sampled_from(MANNERS)))
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, logs, MANNERS)


@QUIET
@given(GRIDS, streams.close_event_times(), LATENESSES, st.data())
def test_the_windows_that_show_are_the_same_for_every_interleaving(
    window: Sliding, event_time: EventTime, lateness: Lateness, data: st.DataObject
) -> None:
    logs = ("one", "two")
    query = Query(event_time, ("key",), window, AGGREGATES, lateness, fill_empty=True)
    first = data.draw(streams.close_entries(logs, marks=False))
    other = [entry for log in ("two", "one") for entry in first if entry.log == log]
    laws.law_interleaving_free(query, [first, other], streams.COLUMNS, logs)


def test_a_correction_in_the_batch_that_also_closes_its_neighbours_shows_each_window_once() -> None:
    """Windows pass, a key is first heard of behind them, goes further back, and fills one that showed empty."""
    times = [("a", 31), ("a", 52), ("b", 35), ("b", 22), ("b", 41), ("a", 5), ("b", 41), ("a", 99)]
    entries: list[Entry] = [
        Event("one", offset, {"key": key, "at": at, "x": 1.0, "n": 1, "flag": True})
        for offset, (key, at) in enumerate(times)
    ]
    entries.append(Finished("one"))
    settings_ = EventTime("at", Ascending(), max_future_us=None)
    query = Query(settings_, ("key",), Sliding(10, 10), AGGREGATES[:1], Lateness("update", 60), fill_empty=True)
    for manner in MANNERS:
        outputs = laws.law_equal_to_reference(query, entries, streams.COLUMNS, ("one",), manner)
        of_b = [row for row in laws.rows_of(outputs["results"]) if row["key"] == "b"]
        told = [(row["window_start"], row["n"], row["revision"], row["final"]) for row in of_b[:6]]
        assert told == [
            (30, 1, 0, False),
            (40, 0, 0, False),
            (20, 1, 0, False),
            (40, 1, 1, False),
            (40, 2, 2, False),
            (50, 0, 0, False),
        ], manner
