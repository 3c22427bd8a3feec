"""A log that falls silent and then ends: its windows close at the end, though nothing held them back any more."""

from __future__ import annotations

from typing import Any

import pytest

from eventide.expressions import count
from eventide.semantics.eventtime import Bounded, EventTime, KeyClock
from eventide.semantics.lateness import Early, EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Sliding
from eventide.testing.laws import Manner, engine_answer, rows_of
from eventide.testing.reference import Event, Finished, Heartbeat, Idle, Query, reference
from eventide.testing.streams import COLUMNS

TIMES = (1, 2, 6, 6)


@pytest.mark.parametrize("early", [EveryInterval(5), EveryChange(), None])
@pytest.mark.parametrize("rows", [1, 100])
def test_windows_of_an_idle_log_are_final_when_it_ends(early: Early | None, rows: int) -> None:
    clock = EventTime("at", Bounded(7), KeyClock("key", 33), max_future_us=None)
    query = Query(clock, ("key",), Sliding(6, 6, 2), (("n", count()),), Lateness("drop", 0), early)
    entries: list[Any] = [
        Event("one", number, {"key": "a", "at": at, "x": 1.0, "n": 1, "flag": True}) for number, at in enumerate(TIMES)
    ]
    entries += [Idle("one"), Finished("one")]
    made = rows_of(engine_answer(query, entries, COLUMNS, ["one"], Manner((rows,)))["results"])
    expected = reference(query, entries, ["one"]).results
    names = ("window_start", "n", "revision", "final")
    assert [tuple(row[name] for name in names) for row in made] == [
        tuple(row[name] for name in names) for row in expected
    ]
    # [-4, 2) holds the event at 1, [2, 8) the other three
    assert [(row["window_start"], row["n"]) for row in made if row["final"]] == [(-4, 1), (2, 3)]


def test_a_heartbeat_before_the_first_row_finds_no_keys() -> None:
    """Windows of two columns, of which the clock's key is one: nothing is known of either yet."""
    clock = EventTime("at", Bounded(1), KeyClock("key", 33), max_future_us=None)
    query = Query(clock, ("key", "flag"), Sliding(6, 6, 0), (("n", count()),))
    row = {"key": "a", "at": 4, "x": 1.0, "n": 1, "flag": True}
    entries: list[Any] = [Heartbeat("one", 1), Event("one", 0, row), Finished("one")]
    (made,) = rows_of(engine_answer(query, entries, COLUMNS, ["one"], Manner())["results"])
    assert (made["key"], made["flag"], made["n"]) == ("a", True, 1)
