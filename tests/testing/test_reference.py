"""The reference itself, against arithmetic in the open."""

from __future__ import annotations

from eventide.expressions import Aggregation, col, count
from eventide.semantics.eventtime import Bounded, EventTime
from eventide.semantics.lateness import Lateness
from eventide.semantics.windows import Session, Sliding, Window
from eventide.testing.reference import Event, Finished, Query, reference

SUM: tuple[tuple[str, Aggregation], ...] = (("n", count()), ("sum", col("x").sum()))


def asked(window: Window, times: list[int], lateness: Lateness | None = None) -> list[tuple[object, ...]]:
    query = Query(EventTime("at", Bounded(2)), (), window, SUM, lateness or Lateness())
    events = [Event("log", n, {"at": time, "x": float(time)}) for n, time in enumerate(times)]
    answer = reference(query, [*events, Finished("log")], ["log"])
    assert answer.received == answer.on_time + answer.corrected + len(answer.late) + len(answer.dead_letters)
    names = ("window_start", "window_end", "n", "sum", "revision", "final")
    return [tuple(row[name] for name in names) for row in answer.results]


def test_tumbling_windows_close_when_the_watermark_reaches_their_end() -> None:
    # front 12 - 2 = 10 closes [0, 10); 9 is then late; the end closes [10, 20)
    assert asked(Sliding(10, 10), [1, 8, 12, 9, 15]) == [(0, 10, 2, 9.0, 0, True), (10, 20, 2, 27.0, 0, True)]


def test_a_correction_gives_a_revision_and_the_closing_row_says_final() -> None:
    rows = asked(Sliding(10, 10), [1, 12, 9], Lateness("update", 5))
    assert rows == [
        (0, 10, 1, 1.0, 0, False),
        (0, 10, 2, 10.0, 1, False),
        (10, 20, 1, 12.0, 0, True),
        (0, 10, 2, 10.0, 1, True),
    ]


def test_an_event_one_gap_later_joins_the_session_and_one_more_does_not() -> None:
    assert asked(Session(5), [0, 5, 11]) == [(0, 10, 2, 5.0, 0, True), (11, 16, 1, 11.0, 0, True)]
