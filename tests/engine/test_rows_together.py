"""Copies, captures and joins at the very edges of their bounds, one row a batch, by arithmetic in the open."""

from __future__ import annotations

import pytest

import eventide as et

TIME = et.field(et.Instant, unit="us")


def stream(*given: tuple[int, str], name: str = "log") -> et.Stream:
    rows = [{"at": at, "device": device} for at, device in given]
    made = et.from_rows(rows, schema={"at": TIME, "device": str}, name=name)
    return made.event_time("at", et.ascending(), max_future=None)


def test_a_capture_takes_a_row_exactly_within_its_time_after_another_such_row() -> None:
    # the watermark is 4 after the third row; the fourth, at 4, is not late and belongs to the capture that began at 1
    rows = [(0, "y"), (1, "x"), (4, "x"), (4, "x"), (9, "z")]
    done = stream(*rows).deduplicate("device", within="3us", merge=True).run(show=False, rows_max=1)
    assert done.results["device"].to_list() == ["y", "x", "z"]
    assert done.accounting.total.duplicates == 2


@pytest.mark.parametrize(
    ("times", "duplicates"),
    [
        ([(100, "x"), (120, "y"), (110, "x")], 1),  # 110 is exactly within behind the watermark and behind its copy
        ([(100, "x"), (121, "y"), (110, "x")], 0),  # now it is further behind the watermark: late, not compared
        ([(110, "x"), (100, "x")], 1),  # exactly within in front of its copy
        ([(111, "x"), (100, "x")], 0),
        ([(100, "x"), (111, "x")], 0),
        ([(100, "x"), (108, "x"), (116, "x")], 2),  # a copy of a copy is a copy
    ],
)
def test_copies_at_the_edge_of_their_horizon(times: list[tuple[int, str]], duplicates: int) -> None:
    out = stream(*times).deduplicate("device", within="10us").run(show=False, rows_max=1)
    assert out.accounting.total.duplicates == duplicates
    assert out.accounting.total.closes


def test_a_session_behind_a_join_is_touched_by_a_pair_exactly_at_its_end() -> None:
    left, right = (stream((0, "x"), (4, "x"), name=name) for name in ("left", "right"))
    joined = left.join_interval(right, on="device", lower="0s", upper="0s")
    out = joined.group_by("device").window(et.session("4us")).agg(n=et.count()).run(show=False, rows_max=1)
    assert out.results["n"].to_list() == [2]


def test_bounds_of_an_interval_are_included_and_a_lonely_row_waits_for_the_last_instant() -> None:
    left = stream((10, "x"), (20, "x"), name="left")
    right = stream((7, "x"), (8, "x"), (13, "x"), (14, "x"), (30, "x"), name="right")
    joined = left.join_interval(right, on="device", lower="-2us", upper="3us", how="outer")
    pairs = joined.run(show=False, rows_max=1).results.select("at", "at_right").to_dicts()
    told = [tuple(None if at is None else at.microsecond for at in pair.values()) for pair in pairs]
    assert sorted(told, key=str) == [(10, 13), (10, 8), (20, None), (None, 14), (None, 30), (None, 7)]


def test_the_last_right_row_counts_also_at_the_same_instant_and_at_the_edge_of_tolerance() -> None:
    left = stream((10, "x"), (15, "x"), (16, "x"), name="left")
    right = stream((5, "x"), (10, "x"), (10, "x"), (40, "x"), name="right")
    joined = left.join_asof(right, on="device", tolerance="5us").run(show=False, rows_max=1)
    found = [None if at is None else at.microsecond for at in joined.results["at_right"]]
    assert found == [10, 10, None]
