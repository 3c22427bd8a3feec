"""Sessions whose events are judged by several clocks: one that is closed for an event of one device may be open for a
later one of another, so sessions of one group may lie across each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventide.expressions import count
from eventide.semantics.eventtime import Ascending, EventTime, KeyClock
from eventide.semantics.lateness import Lateness
from eventide.semantics.windows import Session
from eventide.testing.laws import Manner, engine_answer, rows_of
from eventide.testing.reference import Event, Finished, Query, reference
from eventide.testing.streams import COLUMNS

TIMES = (
    "c-17 -30 c22 a34 -30 b37 c39 c24 b40 c-8 b42 a44 -55 c56 -48 a20 -64 a65 b60 b64 -73 b68 a75 -45 b55 a90 b92 -48"
)
"""Device ("-": none) and event time of each entry."""

Entry = Event | Finished


def entries(drawn: Sequence[tuple[str | None, int]]) -> list[Entry]:
    made: list[Entry] = [
        Event("one", number, {"key": key, "at": at, "x": 1.0, "n": 1, "flag": True})
        for number, (key, at) in enumerate(drawn)
    ]
    return [*made, Finished("one")]


def query(allowed: int, cap: int = 18) -> Query:
    clock = EventTime("at", Ascending(), KeyClock("key", cap), max_future_us=None)
    return Query(clock, (), Session(7), (("n", count()),), Lateness("update" if allowed else "side", allowed))


def shown(rows: Sequence[Mapping[str, object]]) -> list[tuple[object, ...]]:
    names = ("window_start", "window_end", "n", "revision", "final")
    return [(*(row[name] for name in names), row.get("op", "upsert")) for row in rows]


@pytest.mark.parametrize("batch", [1, 3, 1_000])
def test_an_event_merges_with_no_session_that_was_closed_for_it(batch: int) -> None:
    drawn = [(None if word[0] == "-" and word[1:].isdigit() else word[0], int(word[1:])) for word in TIMES.split()]
    asked, given_entries = query(1), entries(drawn)
    expected = shown(reference(asked, given_entries, ["one"]).results)
    assert expected[2:4] == [(20, 51, 10, 0, True, "upsert"), (45, 82, 13, 0, True, "upsert")]  # across each other
    answer = engine_answer(asked, given_entries, COLUMNS, ["one"], Manner((batch,)))
    assert shown(rows_of(answer["results"])) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(-20, 20)), min_size=1, max_size=30),
    st.sampled_from([0, 1, 9]),
    st.sampled_from([1, 4, 1_000]),
)
def test_law_sessions_under_several_clocks_are_those_of_one_event_at_a_time(
    drawn: list[tuple[str | None, int]], allowed: int, batch: int
) -> None:
    moved = [(key, 3 * number + step) for number, (key, step) in enumerate(drawn)]
    asked, given_entries = query(allowed), entries(moved)
    expected = reference(asked, given_entries, ["one"])
    answer = engine_answer(asked, given_entries, COLUMNS, ["one"], Manner((batch,)))
    assert shown(rows_of(answer.get("results", []))) == shown(expected.results)
