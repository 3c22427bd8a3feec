"""Advice: its counts are those of whole runs, and what it recommends does what it says."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import eventide as et
from eventide.advice.bounds import late_by, late_with
from eventide.advice.guess import stream_of_file
from eventide.advice.recording import record
from eventide.semantics.eventtime import KeyClock
from eventide.semantics.eventtime.strategies import Strategy

SCHEMA = et.schema({"device": str, "at": et.Instant})
START = 1_700_000_000_000  # milliseconds


def two_devices(buffered: bool = True) -> et.Stream:
    """One device in order every second, and one that sends ten events at once, up to nine seconds old."""
    rows = []
    for second in range(400):
        rows.append({"device": "steady", "at": START + second * 1_000})
        if buffered and second % 10 == 9:
            rows += [{"device": "buffered", "at": START + (second - 9 + n) * 1_000} for n in range(10)]
    return et.from_rows(rows, schema=SCHEMA).event_time("at", et.bounded("0s"))


def windowed(stream: et.Stream, strategy: Strategy, clock: KeyClock | None = None) -> et.Stream:
    timed = stream.plan.event_time
    assert timed is not None
    changed = replace(timed, strategy=strategy, clock=clock or timed.clock)
    return (
        et.Stream(replace(stream.plan, event_time=changed))
        .group_by("device")
        .window(et.tumbling("2s"))
        .agg(n=et.count())
    )


@pytest.mark.parametrize("given", [None, "4s"])
def test_every_row_of_the_table_is_what_a_run_with_that_bound_loses(given: str | None) -> None:
    stream = windowed(two_devices(), et.ascending())
    advice = et.advise(stream, cap=given)
    fixed = advice.bounds.table.filter(pl.col("strategy") == "bounded")
    assert set(fixed["clock"]) == {"log", "key"}
    cap = et.per_key("device", cap=f"{advice.bounds.cap_us}us")
    for clock, seconds, late in fixed.select("clock", "setting", "late").iter_rows():
        bound = et.bounded(f"{round(seconds * 1_000)}ms")
        out = windowed(two_devices(), bound, cap if clock == "key" else None).run(show=False)
        assert out.late.height == late, (clock, seconds)


def test_a_clock_for_each_device_is_recommended_where_it_waits_less() -> None:
    advice = et.advise(two_devices(), key="device", late_rate=0.01)
    assert advice.recommendation.code.startswith('et.bounded("0s"), clock=et.per_key("device", cap=')
    assert "0.000% late" in advice.recommendation.reason
    bound = et.advise(two_devices(buffered=False), key="device").recommendation.code
    assert bound == 'et.bounded("0s")'


def test_who_costs_most_is_the_one_without_whom_the_bound_falls() -> None:
    costs = et.advise(two_devices(), key="device", late_rate=0.01).costs
    worst = costs.row(0, named=True)
    assert (worst["who"], worst["events"]) == ("buffered", 400)
    assert worst["bound_without"].total_seconds() == 0
    # 8 of 800 events may be late: of 40 bursts the oldest is 9 s behind, so 9 s stays and no less is enough
    assert worst["bound"].total_seconds() == pytest.approx(9.0, abs=1e-5)


def test_bounds_count_like_the_independent_table_of_the_radiation_network(shared: Path) -> None:
    path = shared / "data" / "safecast" / "solarcast-2020-02.csv"
    stream, guess = stream_of_file(path, max_age="365d")
    assert (guess.time, guess.arrival, guess.key) == ("when_captured", "service_uploaded", "device_urn")
    assert guess.order == "arrival"
    recording = record(stream.plan, "device_urn")
    assert (recording.events.height, recording.refused) == (25_535, 677)
    ordered = late_by(recording.events, "log_front")
    behind = {seconds: late_with(ordered, seconds * 1_000_000) for seconds in (3_600, 7_200)}
    assert behind == {3_600: 2_050, 7_200: 53}


def test_what_if_tells_what_two_runs_tell() -> None:
    stream = windowed(two_devices(), et.bounded("0s"))
    played = et.what_if(stream, bound="10s")
    plain, patient = stream.run(show=False), windowed(two_devices(), et.bounded("10s")).run(show=False)
    figures = {name: (before, after) for name, before, after in played.table.iter_rows()}
    assert figures["late"] == (plain.late.height, patient.late.height)
    assert figures["rows"] == (plain.results.height, patient.results.height)
    assert figures["windows only here"] == (0, patient.results.height - plain.results.height)
    assert figures["late"][0] > 0 == figures["late"][1]
    corrected = et.what_if(stream, lateness="10s")
    assert dict(corrected.table.select("figure", "what_if").iter_rows())["corrected"] > 0
    with pytest.raises(ValueError, match="nothing is changed"):
        et.what_if(stream)
    with pytest.raises(et.PlanError, match="no windows"):
        et.what_if(two_devices(), window=et.tumbling("1s"))


@pytest.mark.parametrize(
    ("name", "text", "time", "key"),
    [
        ("a.csv", "sensor,at,v\nx,2026-01-01T10:00:00Z,1\nx,2026-01-01T10:00:01Z,2\n", "at", "sensor"),
        ("b.csv", "id;zeit\n1;24.12.2025 10:00:00\n1;24.12.2025 10:00:05\n", "zeit", "id"),
        ("c.ndjson", '{"dev":{"id":"q"},"m":[{"time":1767225600000}]}\n' * 2, "m[0].time", "dev.id"),
    ],
)
def test_plain_files_are_guessed_and_the_guess_is_said(
    tmp_path: Path, name: str, text: str, time: str, key: str
) -> None:
    (tmp_path / name).write_text(text)
    stream, guess = stream_of_file(tmp_path / name)
    assert (guess.time, guess.key) == (time, key)
    assert f"--time {time!r}" in str(guess)
    assert et.advise(stream, key=key).recording.events.height == 2


def test_a_file_without_a_time_is_refused_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("a,b\n1,2\n")
    with pytest.raises(et.PlanError, match=r"no column looks like a time. Say which: --time ... of a, b"):
        stream_of_file(tmp_path / "n.csv")


def test_a_stream_that_never_ends_or_has_no_time_is_refused() -> None:
    feed = et.Feed({"at": et.Instant})
    with pytest.raises(et.PlanError, match="never ends"):
        et.advise(et.from_rows(feed).event_time("at", et.bounded("1s")))
    with pytest.raises(et.PlanError, match="no event time"):
        et.advise(et.from_rows([], schema=SCHEMA))


def test_the_picture_has_a_line_for_each_clock_and_a_star_for_each_wish() -> None:
    figure = et.advise(two_devices(), key="device").figure()
    axes = figure.axes[0]
    assert [line.get_label() for line in axes.get_lines()] == [
        "bounded, one clock a log",
        "bounded, one clock for each device",
    ]
    assert [np.shape(stars.get_offsets())[0] for stars in axes.collections] == [3, 3]


def test_no_words_of_the_picture_stand_on_others_and_each_wish_is_named() -> None:
    axes = et.advise(two_devices(), key="device").figure().axes[0]
    assert [text.get_text() for text in axes.texts if "%" in text.get_text()] == ["0.1, 1, 5 %", "0.1, 1, 5 %"]
    for one, other in combinations(axes.texts, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (one, other)


def test_each_of_several_logs_is_judged_by_its_own_events_alone() -> None:
    def log(name: str, seed: int) -> et.Stream:
        draw = random.Random(seed)
        rows = [{"device": draw.choice("ab"), "at": 1_000 * n - int(draw.expovariate(1 / 3_000))} for n in range(2_500)]
        return et.from_rows(rows, schema={"device": str, "at": et.Instant}, name=name)

    def advised(stream: et.Stream) -> et.Advice:
        return et.advise(stream.event_time("at", et.bounded("1s"), max_future=None), key="device", late_rate=0.05)

    alone, together = (
        [advised(log(name, seed)) for name, seed in (("one", 1), ("two", 2))],
        advised(log("one", 1).union(log("two", 2))),
    )
    for clock in ("log", "key"):
        late = [one.bounds.of(clock, "adaptive").filter(pl.col("setting") == 0.05)["late"][0] for one in alone]
        row = together.bounds.of(clock, "adaptive").filter(pl.col("setting") == 0.05).row(0, named=True)
        assert abs(row["late"] - sum(late)) <= 5, "the cap may differ, the events do not"
        assert row["delay"] > timedelta(0)
    columns = ["log", "events", "behind", "behind_max"]
    each = pl.concat([one.lateness.logs.select(columns) for one in alone])
    assert together.lateness.logs.select(columns).equals(each)
