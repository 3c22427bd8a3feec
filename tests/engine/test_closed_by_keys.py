"""What windows of single keys have closed by, where logs appear, fall silent and come back."""

from __future__ import annotations

import polars as pl

from eventide.engine.clocks import Clocks, KeyedProgress, dump_clocks, load_clocks
from eventide.engine.clocks.clocks import Observation
from eventide.engine.clocks.travel import packed, unpacked
from eventide.engine.keys import key_table
from eventide.flow import INSTANT
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.semantics.eventtime import Ascending, EventTime, KeyClock

A, B = 1, 2
SETTINGS = EventTime("at", Ascending(), KeyClock("key", 100), max_future_us=None)


def clocks(*logs: str) -> Clocks:
    made = Clocks(SETTINGS, key_table(("key",), {"key": pl.String(), "at": INSTANT}), closes_by_key=True)
    for log in logs:
        made.add(log)
    return made


def see(made: Clocks, log: str, *events: tuple[str, int]) -> Observation:
    keys, times = [key for key, _ in events], pl.Series([at for _, at in events], dtype=pl.Int64)
    return made.observe(log, pl.DataFrame({"key": keys, "at": times.cast(INSTANT)}), times)


def places(seen: Observation, *asked: tuple[int, int]) -> list[int | None]:
    """Where the watermark of each key (by code: 0 is none) reaches each instant."""
    codes, instants = zip(*asked, strict=True)
    return seen.progress.place(pl.Series(codes, dtype=pl.Int64), pl.Series(instants, dtype=pl.Int64)).to_list()


def test_a_log_that_appears_starts_where_the_windows_of_each_key_have_closed() -> None:
    made = clocks()
    see(made, "one", ("a", 50), ("b", 10))
    made.add("new")
    seen = see(made, "new", ("a", 20), ("b", 20), ("b", 5))
    assert seen.before.to_list() == [50, 10, 20]
    assert places(seen, (A, 50), (B, 10), (A, 51), (B, 11)) == [-1, -1, None, None]  # one still stands at 50 and 10


def test_what_windows_have_closed_by_stays_in_the_silence_of_all_and_goes_on_with_the_first_that_is_back() -> None:
    made = clocks("one", "two")
    see(made, "one", ("a", 50), ("b", 10))
    see(made, "two", ("a", 30))
    made.declare_idle("one")
    assert made.closing is not None
    assert made.closing.to_list() == [-70, 30, -70]
    gone = made.finish("two")
    assert places(gone, (A, 30), (A, 31), (B, -70), (B, -69)) == [-1, None, -1, None]
    assert (made.stream, made.all_idle) == (-70, True)
    back = see(made, "one", ("b", 12))
    assert back.before.to_list() == [10]
    assert places(back, (A, 30), (A, 50), (A, 51), (B, 10), (B, 12), (B, 13)) == [-1, 0, None, 0, 0, None]
    over = made.finish("one")
    assert places(over, (A, 50), (A, 51), (B, 13)) == [-1, 0, 0]
    assert made.stream == END_OF_TIME


def test_closing_in_the_silence_does_not_reach_again_what_was_reached() -> None:
    made = clocks()
    see(made, "one", ("a", 50), ("b", 10))
    made.declare_idle("one")
    seen = made.close_all(40)
    assert places(seen, (A, 40), (A, 50), (A, 51), (B, 10), (B, 11), (B, 40), (B, 41)) == [-1, -1, None, -1, 0, 0, None]
    assert see(made, "one", ("b", 30), ("a", 45)).before.to_list() == [40, 50]


def test_a_restart_in_the_silence_keeps_it_and_older_state_tells_the_least() -> None:
    made = clocks("one", "two")
    see(made, "one", ("a", 50), ("b", 10))
    see(made, "two", ("a", 70))
    made.declare_idle("two")
    made.declare_idle("one")
    values, frames = dump_clocks(made)
    assert frames["closed"].to_series().to_list() == [-50, 50, 10]
    for kept, expected in ((frames, [-50, 50, 10]), ({name: frames[name] for name in ("0", "1")}, [-50, 50, -30])):
        again = clocks()
        assert again.keys is not None
        again.keys.encode(pl.DataFrame({"key": ["a", "b"]}))
        load_clocks(again, values, kept)
        assert again.closed is not None
        assert again.closed.to_list() == expected


def test_it_crosses_to_a_worker() -> None:
    made = clocks("one", "two")
    see(made, "one", ("a", 50), ("b", 10))
    see(made, "two", ("a", 30))
    made.declare_idle("one")
    made.declare_idle("two")
    back = see(made, "one", ("b", 12))
    sent = unpacked(*packed(back.progress))
    asked = pl.Series([A, A, B], dtype=pl.Int64), pl.Series([30, 31, 12], dtype=pl.Int64)
    assert sent.place(*asked).to_list() == back.progress.place(*asked).to_list() == [-1, 0, 0]


def test_a_single_log_needs_nothing_kept() -> None:
    made = clocks()
    seen = see(made, "one", ("a", 5), ("b", 3))
    assert isinstance(seen.progress, KeyedProgress)
    assert (made.closed, seen.progress.closed, made.stream) == (None, None, 5 - 100)
    assert "closed" not in dump_clocks(made)[1]
    assert seen.before.to_list() == [NO_WATERMARK, -95]
