"""Explanations agree with the run: laws on drawn streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.runners.test_explain import START, Hand, Row, source, sums

import eventide as et
from eventide import col
from eventide.instants import instant_us


@settings(max_examples=examples(12), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 900), st.floats(-5, 5)), min_size=1, max_size=25),
    st.sampled_from(["log", "key"]),
    st.sampled_from(["0s", "1m"]),
)
def test_law_every_event_has_the_fate_under_which_the_run_counted_it(
    drawn: list[tuple[str, int, float]], clock: str, lateness: str
) -> None:
    rows: list[Row] = [(k, f"{t // 60}:{t % 60}", f"{n}:00", x) for n, (k, t, x) in enumerate(drawn)]
    whose = "log" if clock == "log" else et.per_key("device", cap="3m")
    out = sums(source(rows), lateness=lateness, clock=whose).run(show=False)
    told = [out.explain_event(offset=n) for n in range(len(rows))]
    total = out.accounting.total
    assert [sum(one.fate == fate for one in told) for fate in ("on time", "corrected", "late")] == [
        total.on_time,
        total.corrected,
        total.late,
    ]
    late = {row["_offset"]: row["watermark"] for row in out.late.iter_rows(named=True)}
    assert {one.offset: one.watermark_us for one in told if one.fate == "late"} == {
        offset: instant_us(watermark) for offset, watermark in late.items()
    }
    for one in told:
        if one.watermark_us is not None:
            assert one.mover is not None
            assert one.mover.offset < one.offset
            delay_us = 180_000_000 if one.rule.startswith("cap") else 10_000_000
            assert one.mover.time_us - delay_us == one.watermark_us


KINDS = {
    "tumbling": et.tumbling("5m"),
    "sliding": et.sliding("4m", "1m"),
    "calendar": et.tumbling("1d", timezone="Europe/Helsinki"),
    "session": et.session("2m"),
    "count": et.count_window(3),
    "global": et.global_window(),
}


def windowed(stream: et.Stream, kind: str, lateness: str, keys: Sequence[str] = ("device",)) -> et.Stream:
    clock: Any = et.per_key("device", cap="10m") if len(keys) == 2 else "log"
    timed = stream.event_time("at", et.bounded("1m"), clock=clock).group_by(*keys)
    allowed = "0s" if kind == "count" else lateness
    return timed.window(KINDS[kind], lateness=allowed).agg(n=et.count(), s=col("x").sum())


@settings(max_examples=examples(12), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 900)), min_size=1, max_size=15),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["0s", "2m"]),
    st.sampled_from([(), ("device",), ("device", "x")]),
)
def test_law_closed_windows_show_their_last_result(
    drawn: list[tuple[str, int]], kind: str, lateness: str, keys: tuple[str, ...]
) -> None:
    rows: list[Row] = [(k, f"{t // 60}:{t % 60}", f"{n}:00", float(n % 2)) for n, (k, t) in enumerate(drawn)]
    out = windowed(source(rows), kind, lateness, keys).run(show=False)
    for row in out.final().iter_rows(named=True):
        at = START if row["window_start"] is None else row["window_start"]
        found = out.explain(key={name: row[name] for name in keys}, at=at, reread=False)
        assert found.state == ("corrected" if found.corrections else "closed")
        assert found.content is not None
        if kind != "count":  # several count windows of a key may begin at the same instant
            assert found.content == {"n": row["n"], "s": row["s"]}
        if kind != "session":  # sessions that merge give up their numbers
            assert found.corrections <= row["revision"]


@settings(max_examples=examples(12), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 900)), min_size=2, max_size=15),
    st.sampled_from(sorted(set(KINDS) - {"count"})),
    st.sampled_from(["0s", "2m"]),
    st.data(),
)
def test_law_an_open_window_holds_what_would_be_its_result_if_the_stream_ended_now(
    drawn: list[tuple[str, int]], kind: str, lateness: str, data: st.DataObject
) -> None:
    rows: list[Row] = [(k, f"{t // 60}:{t % 60}", f"{n}:00", float(n)) for n, (k, t) in enumerate(drawn)]
    seen = data.draw(st.integers(1, len(rows)))
    stream = windowed(source(rows), kind, lateness)
    asked = Hand(stream).read("log", seen).asked()
    ended = windowed(source(rows[:seen]), kind, lateness).run(show=False).final()
    for row in ended.iter_rows(named=True):
        at = START if row["window_start"] is None else row["window_start"]
        found = asked.explain(key=row["device"], at=at)
        if found.state == "open":
            assert found.content == {"n": row["n"], "s": row["s"]}
            assert found.end_us > found.watermark_us
            assert found.holding is not None
        else:
            assert found.end_us <= found.watermark_us or kind == "session"
