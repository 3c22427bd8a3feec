"""A bound on memory: state beyond it lies on the disk and changes no answer; keys beyond their limit are told."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.testing.test_laws_of_streams import MORE, OF_TIME, PLAIN, QUIET, possible

import eventide as et
from eventide import col
from eventide.engine.memory import bytes_of
from eventide.errors import SpillError
from eventide.expressions import Aggregation
from eventide.plan import LATE, RESULTS, Deduplicate, Input, Plan
from eventide.runners.embedded import Running
from eventide.semantics.eventtime import Bounded, EventTime
from eventide.semantics.lateness import Early, Lateness
from eventide.semantics.windows import Sliding, Window
from eventide.testing import laws, streams
from eventide.testing.reference import Query


@settings(QUIET, max_examples=examples(10))
@given(
    streams.windows(),
    streams.event_times(),
    streams.latenesses(),
    streams.earlies(),
    st.booleans(),
    st.sampled_from([PLAIN, PLAIN, MORE, OF_TIME]),
    st.sampled_from([("one",), ("one", "two")]),
    st.data(),
)
def test_state_on_the_disk_does_not_show(
    window: Window,
    event_time: EventTime,
    lateness: Lateness,
    early: Early | None,
    fill: bool,
    aggregates: tuple[tuple[str, Aggregation], ...],
    logs: tuple[str, ...],
    data: st.DataObject,
) -> None:
    assume(possible(window, lateness, early, fill))
    drawn = data.draw(streams.entries(logs, most=25))
    query = Query(event_time, ("key",), window, aggregates, lateness, early, fill)
    manners = (
        laws.Manner((5,)),
        laws.Manner((3,), memory=1),
        laws.Manner((2, 5), memory=700),
        laws.Manner((2, 5), 3, frozenset({1, 4}), memory=1),
    )
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, logs, manners)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GB", 2_000_000_000), ("500 MB", 500_000_000), ("1.5kB", 1_500), ("1GiB", 1_073_741_824), ("77", 77), (5, 5)],
)
def test_sizes_are_read_as_people_write_them(text: int | str, expected: int) -> None:
    assert bytes_of(text, "memory") == expected


@pytest.mark.parametrize("text", ["", "2 apples", "-1GB", "0", 0, "GB"])
def test_what_is_no_size_is_refused_by_name(text: int | str) -> None:
    with pytest.raises(ValueError, match="memory="):
        bytes_of(text, "memory")


@settings(QUIET, max_examples=examples(8))
@given(
    st.sampled_from([Sliding(9, 9), Sliding(4, 4, 1), Sliding(12, 4), Sliding(3, 5)]),
    st.integers(0, 15).map(lambda delay: EventTime("at", Bounded(delay), max_future_us=None)),
    st.booleans(),
    st.data(),
)
def test_slices_on_the_disk_are_taken_once_and_whole(
    window: Sliding, event_time: EventTime, fill: bool, data: st.DataObject
) -> None:
    drawn = data.draw(streams.entries(("one", "two"), most=40))
    query = Query(event_time, ("key",), window, (*PLAIN, *MORE[:2]), fill_empty=fill)
    manners = (
        laws.Manner((5,)),
        laws.Manner((4,), memory=1),
        laws.Manner((2, 5), 2, frozenset({1, 6}), memory=2_000),
    )
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, ("one", "two"), manners)


@settings(QUIET, max_examples=examples(12))
@given(
    streams.event_times(),
    st.sampled_from([("key",), ("key", "n"), ("key", "at")]),
    st.sampled_from([1, 3, 10]),
    st.sampled_from([("one",), ("one", "two")]),
    st.data(),
)
def test_copies_remembered_on_the_disk_are_left_out_all_the_same(
    event_time: EventTime, by: tuple[str, ...], within_us: int, logs: tuple[str, ...], data: st.DataObject
) -> None:
    drawn = data.draw(streams.close_entries(logs, most=20))
    plan = Plan((Input(laws.Columns(streams.COLUMNS)),), event_time=event_time, after=(Deduplicate(by, within_us),))
    first = laws.plan_answer(plan, drawn, streams.COLUMNS, logs, laws.Manner((4,)))
    for manner in (laws.Manner((1,), memory=1), laws.Manner((3, 2), 1, frozenset({1, 3}), memory=1)):
        other = laws.plan_answer(plan, drawn, streams.COLUMNS, logs, manner)
        for name in (RESULTS, LATE):
            assert laws.rows_of(other.get(name, [])) == laws.rows_of(first.get(name, [])), name


def visits(count: int, keys: int, seconds: float = 100.0) -> pl.DataFrame:
    """Visits of so many visitors in turn, in order of time."""
    n = pl.int_range(count, eager=True).alias("n")
    at = (pl.col("n") * int(seconds * 1e6) // count).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame([n]).select(who=pl.format("visitor-{}", pl.col("n") % keys), at=at, x=pl.col("n") % 7)


def counted(frame: pl.DataFrame, window: str = "10s", clock: object = "log") -> et.Stream:
    timed = et.from_frame(frame, arrival="at").event_time("at", et.bounded("1s"), max_future=None, clock=clock)  # type: ignore[arg-type] # any clock
    return timed.group_by("who").window(et.tumbling(window)).agg(n=et.count(), total=col("x").sum())


@pytest.mark.parametrize("rows_max", [7, 64, 1_000_000])
@pytest.mark.parametrize("clock", ["log", et.per_key("who", cap="30s")])
def test_rows_of_keys_beyond_the_limit_are_dead_letters_whatever_the_cuts(
    rows_max: int, clock: object, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = visits(2_000, 300)
    outcome = counted(frame, clock=clock).run(show=False, keys_most=101, rows_max=rows_max)
    known = [f"visitor-{number}" for number in range(100)]  # code 0 is kept for null
    refused = frame.with_row_index("n").filter(~pl.col("who").is_in(known))
    dead = outcome.dead_letters
    assert dead.get_column("_offset").to_list() == refused.get_column("n").to_list()
    assert set(dead.get_column("reason")) == {"its key is not among the first 101"}
    assert '"visitor-100"' in dead.get_column("raw")[0]
    assert outcome.accounting.total.closes
    assert outcome.accounting.total.dead_letters == refused.height
    whole = counted(frame, clock=clock).run(show=False).results.filter(pl.col("who").is_in(known))
    assert outcome.results.sort("window_start", "who").equals(whole.sort("window_start", "who"))
    assert capsys.readouterr().err.count("WARNING: 101 different keys of who are known") == 1


def test_a_side_of_a_join_whose_keys_have_clocks_knows_so_many_of_them() -> None:
    frame = visits(200, 30)
    kept = frame.with_row_index("n").filter(~pl.col("who").is_in([f"visitor-{number}" for number in range(10)]))
    left = et.from_frame(frame, name="left").event_time(
        "at", et.bounded("1h"), max_future=None, clock=et.per_key("who", cap="1h")
    )
    right = et.from_frame(frame, name="right").event_time("at", et.bounded("1h"), max_future=None)
    joined = left.join_interval(right, on="who", lower="0s", upper="0s")
    outcome = joined.run(show=False, keys_most=11, rows_max=50)
    assert outcome.dead_letters.get_column("_log").unique().to_list() == ["left"]
    assert outcome.dead_letters.get_column("_offset").to_list() == kept.get_column("n").to_list()
    assert outcome.accounting.total.closes


def test_the_keys_that_are_known_stay_known_over_a_restart(tmp_path: Path) -> None:
    frame = visits(2_000, 300)
    settings: dict[str, Any] = {"show": False, "keys_most": 101, "rows_max": 150, "state": tmp_path / "state"}
    stopped = counted(frame).run(**settings, observe=stop_after(4))
    again = counted(frame).run(**settings)
    assert (stopped.finished, again.finished) == (False, True)
    whole = counted(frame).run(show=False, keys_most=101)
    assert again.accounting == whole.accounting
    assert pl.concat([stopped.dead_letters, again.dead_letters]).equals(whole.dead_letters)


def test_a_bound_needs_to_make_sense(tmp_path: Path) -> None:
    stream = counted(visits(10, 3))
    with pytest.raises(ValueError, match="keys_most=0 must be at least 1"):
        stream.run(show=False, keys_most=0)
    with pytest.raises(ValueError, match="give memory= too"):
        stream.run(show=False, spill=tmp_path)
    with pytest.raises(ValueError, match="memory='much' is not a size"):
        stream.run(show=False, memory="much")


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpillError, match="cannot go to .*file/here.* Give spill= a folder with room"):
        counted(visits(1_000, 50)).run(
            show=False, memory="1kB", keys_most=1_000, rows_max=50, spill=tmp_path / "file" / "here"
        )


def test_spilled_files_go_with_their_run_and_those_of_killed_runs_with_the_next(tmp_path: Path) -> None:
    left = tmp_path / "eventide-spill-killed"
    left.mkdir()
    (left / "in-use").write_text("")
    (left / "00000001.arrow").write_text("rest")
    seen: list[int] = []

    def observe(running: Running) -> Callable[[], None]:
        return lambda: seen.append(len(list(tmp_path.glob("eventide-spill-*/*.arrow"))))

    outcome = counted(visits(5_000, 50), "1s").run(
        show=False, memory="1kB", keys_most=1_000, spill=tmp_path, rows_max=100, observe=observe
    )
    assert max(seen) >= 1
    assert not left.exists()
    assert outcome.results.equals(counted(visits(5_000, 50), "1s").run(show=False).results)
    del outcome
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def stop_after(batches: int) -> Callable[[Running], Callable[[], None]]:
    """Stops a run after so many batches."""

    def observe(running: Running) -> Callable[[], None]:
        left = [batches]

        def beat() -> None:
            left[0] -= 1
            if not left[0]:
                running.stop.set()

        return beat

    return observe
