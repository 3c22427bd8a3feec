"""Explanations where streams are joined or captures merged: events on their own side, windows behind both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.runners.test_explain import START, Hand, Row, source, us

import eventide as et
from eventide.errors import EventideError


def side(rows: list[Row], name: str) -> et.Stream:
    return source(rows, name).event_time("at", et.bounded("10s"))


def joined(left: list[Row], right: list[Row], how: str = "inner") -> et.Stream:
    return side(left, "left").join_interval(side(right, "right"), on="device", lower="-1m", upper="1m", how=how)  # type: ignore[arg-type] # a word of two


def minutes(stream: et.Stream) -> et.Stream:
    return stream.group_by("device").window(et.tumbling("5m")).agg(n=et.count())


LEFT: list[Row] = [("a", "0:00", "0:01", 1.0), ("a", "6:00", "6:01", 2.0), ("a", "1:00", "7:00", 3.0)]
RIGHT: list[Row] = [("a", "0:30", "0:31", 5.0), ("a", "4:00", "4:01", 6.0)]


def test_an_event_is_explained_by_the_clock_of_its_own_side() -> None:
    out = joined(LEFT, RIGHT).run(show=False)
    late = out.explain_event(log="left", offset=2)
    # 6:00 - 10 s; the right stream has not come that far
    assert (late.fate, late.watermark_us) == ("late", us("5:50"))
    assert late.mover is not None
    assert late.mover.offset == 1
    assert "it is in the late output" in str(late)
    there = out.explain_event(log="right", offset=1)
    assert (there.fate, there.watermark_us) == ("on time", us("0:20"))
    assert "it went into the join as a row of the right stream" in str(there)


def test_an_event_of_a_join_is_found_by_its_values_on_either_side() -> None:
    out = joined(LEFT, RIGHT).run(show=False)
    assert out.explain_event(values={"x": 3.0}).log == "left"
    assert out.explain_event(values={"x": 6.0}).log == "right"
    with pytest.raises(EventideError, match=r"no event with x=9\.0"):
        out.explain_event(values={"x": 9.0})


def test_a_log_that_no_side_has_is_told_with_those_there_are() -> None:
    out = joined(LEFT, RIGHT).run(show=False)
    with pytest.raises(EventideError, match="there is no log 'middle' in this stream: it has 'left', 'right'"):
        out.explain_event(log="middle", offset=0)
    with pytest.raises(ValueError, match="log= is missing: the stream has 2 logs"):
        out.explain_event(offset=0)


def test_a_window_behind_a_join_is_held_back_by_the_side_that_is_furthest_behind() -> None:
    stream = minutes(joined(LEFT, RIGHT))
    found = Hand(stream).read("left").read("right").asked().explain(key="a", at=START)
    assert (found.state, found.content) == ("open", {"n": 1})
    assert found.holding is not None
    assert (found.holding.log, found.holding.watermark_us) == ("right", us("3:50"))
    assert "the right stream is furthest behind" in str(found)
    # a window closes one microsecond behind the joined stream's watermark
    assert "it waits for an event in log 'right' of 2026-01-01 10:05:10.000001 or later" in str(found)


def test_rows_that_may_still_stay_alone_hold_a_window_longer() -> None:
    # a left row is proved alone when the right watermark is 1 minute past it
    stream = minutes(joined(LEFT, RIGHT, "left"))
    found = Hand(stream).read("left").read("right").asked().explain(key="a", at=START)
    assert "it waits for an event in log 'right' of 2026-01-01 10:06:10.000001 or later" in str(found)


def test_the_event_that_a_window_behind_a_join_waits_for_closes_it() -> None:
    for how, last in (("inner", "5:11"), ("left", "6:11")):
        short = minutes(joined(LEFT, RIGHT, how))
        assert Hand(short).read("left").read("right").asked().explain(key="a", at=START).state == "open"
        longer = minutes(joined(LEFT, [*RIGHT, ("a", last, last, 7.0)], how))
        left = [*LEFT, ("a", "9:00", "9:01", 1.0)]
        longer = minutes(joined(left, [*RIGHT, ("a", last, last, 7.0)], how))
        assert Hand(longer).read("left").read("right").asked().explain(key="a", at=START).state == "past"


def test_a_closed_window_behind_a_join_shows_its_result() -> None:
    found = minutes(joined(LEFT, RIGHT)).run(show=False).explain(key="a", at=START)
    assert (found.state, found.content) == ("closed", {"n": 1})


def test_a_window_behind_captures_waits_for_their_length_too() -> None:
    stream = minutes(side(LEFT[:2], "left").deduplicate("device", "at", within="30s", merge=True))
    found = Hand(stream).read("left").asked().explain(key="a", at=START)
    assert found.state == "past"
    one = Hand(minutes(side(LEFT[:1], "left").deduplicate("device", "at", within="30s", merge=True))).read("left")
    told = str(one.asked().explain(key="a", at=START))
    assert "it waits for an event in log 'left' of 2026-01-01 10:05:40.000001 or later" in told


@settings(max_examples=examples(12), deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 600)), min_size=1, max_size=25))
def test_law_every_event_of_a_join_has_the_fate_under_which_the_run_counted_it(
    drawn: list[tuple[bool, str, int]],
) -> None:
    rows: dict[bool, list[Row]] = {True: [], False: []}
    for number, (is_left, device, t) in enumerate(drawn):
        rows[is_left].append((device, f"{t // 60}:{t % 60}", f"{number}:00", 1.0))
    out = minutes(joined(rows[True], rows[False])).run(show=False)
    for name, given_rows in (("left", rows[True]), ("right", rows[False])):
        told = [out.explain_event(log=name, offset=n).fate for n in range(len(given_rows))]
        account = out.accounting.logs.get(name)
        counted = (0, 0) if account is None else (account.on_time, account.late)
        assert (told.count("on time"), told.count("late")) == counted


def test_a_window_behind_a_join_of_joins_is_held_back_by_the_stream_that_is_furthest_behind() -> None:
    third = side([("a", "9:00", "9:01", 8.0)], "third")
    stream = minutes(joined(LEFT, RIGHT).join_asof(third, on="device", suffix="_third"))
    hand = Hand(stream).read("left").read("right").read("third")
    found = hand.asked().explain(key="a", at=START)
    assert found.state == "open"
    assert "the right stream of the left stream is furthest behind" in str(found)
    # each of the two joins hands its rows on one microsecond behind its watermark
    assert "it waits for an event in log 'right' of 2026-01-01 10:05:10.000002 or later" in str(found)
    late = hand.asked().explain_event(log="left", offset=2)
    assert (late.fate, late.watermark_us) == ("late", us("5:50"))
