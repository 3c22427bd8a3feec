"""Completeness: the estimate is open arithmetic over windows that came out, and neither cuts nor restarts nor workers
move it."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.engine.completeness import came_out, recent, shares
from eventide.engine.completeness.recent import Bucket, Recent
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.plan import RESULTS

SECOND = 1_000_000
SCHEMA = et.schema({"key": str, "at": et.Instant, "x": float})
KEY = et.per_key("key", cap="30s")


def events(number: int, seed: int = 4) -> pl.DataFrame:
    draw = random.Random(seed)
    times = [100_000 * n - int(draw.expovariate(1 / (2 * SECOND))) * (draw.random() < 0.3) for n in range(number)]
    return pl.DataFrame(
        {
            "key": [draw.choice(["a", "b", None]) for _ in times],
            "at": pl.Series([time + 100 * SECOND for time in times], dtype=pl.Int64).cast(INSTANT),
            "x": [float(37 * n % 100) for n in range(number)],
            OFFSET: range(number),
            ARRIVAL: pl.Series([100_000 * n + 100 * SECOND for n in range(number)], dtype=pl.Int64).cast(INSTANT),
        }
    )


def stream(window: Any, clock: Any = "log", strategy: Any = None, **settings: Any) -> et.Stream:
    timed = et.from_rows([], schema=SCHEMA).event_time("at", strategy or et.bounded("1s"), clock=clock)
    return timed.group_by("key").window(window, completeness=True, **settings).agg(n=et.count())


def scored(window: Any, *, clock: Any = "log", strategy: Any = None, once: bool = False) -> et.Stream:
    """Windows behind events that are put in order, judged and watched."""
    timed = et.from_rows([], schema=SCHEMA).event_time("at", strategy or et.bounded("1s"), clock=clock)
    timed = timed.deduplicate("key", "x", within="5s") if once else timed
    timed = timed.filter(col("x") < 90).with_columns(group=et.coalesce(col("key"), et.lit("none")))
    judged = timed.mark_peaks("x", jump=50, within="2s", by="key").anomaly("x", et.hampel(5), by="key")
    watched = judged.trend("x", to=500, rows=5, by="key").alert(col("is_anomaly"), name="odd", by="key")
    return watched.group_by("group").window(window, completeness=True).agg(n=et.count(), odd=col("score").max())


def results(made: et.Stream, rows: pl.DataFrame, size: int, workers: int = 1, restarts: bool = False) -> pl.DataFrame:
    pipeline = Pipeline.of(made.plan, workers)
    frames: list[pl.DataFrame] = []
    for start in range(0, rows.height, size):
        frames += pipeline.process(Batch("log", rows.slice(start, size))).get(RESULTS, [])
        if restarts and start // size % 2:
            saved = Snapshot.from_files(pipeline.snapshot().to_files())
            pipeline = Pipeline.of(made.plan, workers)
            pipeline.restore(saved)
    return pl.concat([*frames, *pipeline.finish("log").get(RESULTS, [])])


@pytest.mark.parametrize(
    "made",
    [
        stream(et.tumbling("5s")),
        stream(et.sliding("5s", "2s")),
        stream(et.tumbling("5s"), lateness="3s"),
        stream(et.tumbling("5s"), lateness="3s", early=et.every("2s")),
        stream(et.tumbling("5s"), clock=KEY),
        stream(et.tumbling("5s"), clock=KEY, lateness="3s"),
        stream(et.tumbling("5s"), strategy=et.adaptive(0.05)),
        stream(et.tumbling("5s"), fill="empty"),
        stream(et.sliding("2s", "1s"), fill="empty", lateness="3s"),
        stream(et.tumbling("1s"), clock=KEY, fill="empty", lateness="3s", early=et.on_change()),
        stream(et.global_window()),
        scored(et.tumbling("5s")),
        scored(et.sliding("5s", "2s"), clock=KEY),
        scored(et.tumbling("5s"), strategy=et.adaptive(0.05), once=True),
    ],
    ids=lambda made: f"{made.plan.aggregate.window}",
)
def test_cuts_restarts_and_workers_do_not_move_the_estimate(made: et.Stream) -> None:
    rows = events(2_500)
    whole = results(made, rows, 10_000)
    for size, workers, restarts in ((997, 1, False), (237, 1, False), (750, 3, True)):
        other = results(made, rows, size, workers, restarts)
        assert other.equals(whole), (size, workers, restarts)
    told = whole["completeness"]
    assert told[-1] == 1.0, "at the end of the input nothing more can come"
    assert (
        whole.filter(pl.col("completeness").is_between(0, 1) | pl.col("completeness").is_null()).height == whole.height
    )


@pytest.mark.parametrize("window", [et.tumbling("5s"), et.sliding("6s", "2s")])
def test_what_is_forgotten_is_forgotten_at_the_same_places(window: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "SWEPT_EVENTS", 300)
    monkeypatch.setattr(came_out, "WINDOWS_MOST", 30)
    made, rows = stream(window, lateness="2s"), events(2_500)
    whole = results(made, rows, 10_000)
    for size, workers, restarts in ((997, 1, False), (337, 2, True)):
        assert results(made, rows, size, workers, restarts).equals(whole), (size, workers, restarts)


def at_seconds(seconds: list[int]) -> pl.DataFrame:
    """Events of one key at these times, in this order."""
    times = pl.Series("at", [at * SECOND for at in seconds], dtype=pl.Int64).cast(INSTANT)
    return events(len(seconds)).with_columns(times, pl.lit("a").alias("key"))


def test_the_estimate_is_the_share_that_windows_like_it_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "BLOCK_EVENTS_LEAST", 4)
    monkeypatch.setattr(recent, "FIRST_EVENTS", 4)
    made = stream(et.tumbling("10s"), strategy=et.ascending())
    # [0, 10) goes out with one event at 11, its other one comes at 2; [10, 20) goes out whole; both a second behind
    told = results(made, at_seconds([1, 11, 2, 21, 31, 49]), 3)
    assert told["completeness"].to_list()[:2] == [None, None]
    general = (1 + 0.5) / (2 + 1 + 1)
    assert told["completeness"][2] == pytest.approx(1 - (1 + 25 * general) / (2 + 1 + 25))
    # at 49 the watermark is most of a window past the end of [30, 40), where no window was yet: the general share
    assert told["completeness"][3] == pytest.approx(1 - general)
    assert told["completeness"][4] == 1.0, "the end of the input"


def test_an_event_whose_window_never_came_out_says_nothing_about_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "BLOCK_EVENTS_LEAST", 4)
    monkeypatch.setattr(recent, "FIRST_EVENTS", 4)
    made = stream(et.tumbling("10s"), strategy=et.ascending())
    told = results(made, at_seconds([11, 2, 3, 21, 31]), 5)
    general = 0.5 / (1 + 1)
    assert told["completeness"][1] == pytest.approx(1 - 25 * general / (1 + 25))


def test_after_a_change_only_what_came_behind_it_counts() -> None:
    known = Recent()
    for block in range(400):
        for end in known.ends(50):
            known.pass_(end)
            lost = 10 + block % 3 if block < 200 else 0
            known.count({0: 50 - lost}, {0: lost})
            known.fold()
        if block == 199:
            assert known.shares().of(0) == pytest.approx(1 - 11 / 50, abs=0.005)
    assert known.shares().of(0) == pytest.approx(1.0, abs=0.001)
    assert len(known.buckets) < 60
    assert all(not sum(bucket.lost.values()) for bucket in known.buckets)


def test_blocks_grow_with_the_stream_and_buckets_keep_every_event() -> None:
    known = Recent()
    for _ in range(3_000):
        rows = (known.ends(10_000) or [10_000])[0]
        known.pass_(rows)
        known.count({1: rows}, {})
        known.fold()
    assert known.ends(10_000) == [5_000, 10_000]
    assert sum(bucket.events for bucket in known.buckets) == known.events
    assert sum(bucket.present[1] for bucket in known.buckets) == known.events
    assert len(known.buckets) < 80
    assert Recent.load(known.dump()) == known
    assert Bucket() == known.block


def test_early_results_say_nothing_and_nobody_is_told_before_a_thousand_events() -> None:
    told = results(stream(et.tumbling("5s"), early=et.on_change()), events(1_500), 100)
    assert told.filter("early")["completeness"].null_count() == told.filter("early").height > 0
    first = told.filter(~pl.col("early"))["completeness"]
    assert first[0] is None
    assert first.null_count() < first.len()


def test_the_wish_for_completeness_travels_as_text_and_is_explained() -> None:
    made = (
        et.read_csv("r.csv", schema=SCHEMA)
        .event_time("at", et.bounded("1s"))
        .window(et.tumbling("5s"), completeness=True)
        .agg(n=et.count())
    )
    assert et.Stream.from_yaml(made.to_yaml()) == made
    assert "what share of its events" in made.explain()
    with pytest.raises(et.PlanError, match="completeness"):
        et.from_rows([], schema=SCHEMA).event_time("at", et.bounded("1s")).window(et.tumbling("5s")).agg(
            completeness=et.count()
        ).check()


@pytest.mark.parametrize(
    "made",
    [
        stream(et.session("1s")),
        stream(et.count_window(7)),
        et.from_rows([], schema=SCHEMA)
        .event_time("at", et.bounded("1s"))
        .deduplicate("key", within="1s", merge=True)
        .window(et.tumbling("5s"), completeness=True)
        .agg(n=et.count()),
        et.from_rows([], schema=SCHEMA)
        .event_time("at", et.bounded("1s"))
        .anomaly("x", et.zscore(10))
        .filter(~col("is_anomaly"))
        .window(et.tumbling("5s"), completeness=True)
        .agg(n=et.count()),
        et.from_rows([], schema=SCHEMA)
        .event_time("at", et.bounded("1s"))
        .anomaly("x", et.zscore(10))
        .group_by("is_anomaly")
        .window(et.tumbling("5s"), completeness=True)
        .agg(n=et.count()),
    ],
)
def test_where_nobody_can_know_it_is_refused(made: et.Stream) -> None:
    with pytest.raises(et.PlanError, match="completeness is not known"):
        made.check()


def test_behind_scores_an_event_is_lost_to_windows_that_are_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "BLOCK_EVENTS_LEAST", 4)
    monkeypatch.setattr(recent, "FIRST_EVENTS", 4)
    made = et.from_rows([], schema=SCHEMA).event_time("at", et.ascending()).anomaly("x", et.zscore(9))
    made = made.group_by("key").window(et.tumbling("10s"), completeness=True).agg(n=et.count())
    # the event at 2 comes behind one at 3 and is in no window, though [0, 10) is open: it goes out with two of three
    told = results(made, at_seconds([1, 3, 2, 11, 21, 39]), 3)
    assert told["n"].to_list() == [2, 1, 1, 1]
    # at 21 one block is complete: of [0, 10) two were there and one was lost
    general = (1 + 0.5) / (2 + 1 + 1)
    assert told["completeness"][1] == pytest.approx(1 - (1 + 25 * general) / (2 + 1 + 25))


@pytest.mark.parametrize("window", [et.tumbling("5s"), et.sliding("6s", "2s")])
def test_behind_scores_windows_hold_what_they_say(window: Any) -> None:
    rows = events(30_000).with_columns(x=pl.lit(1.0))
    pipeline = Pipeline.of(scored(window).plan)
    outputs = pipeline.process(Batch("log", rows))
    told = pl.concat(outputs[RESULTS]).drop_nulls("completeness")
    every = Pipeline.of(scored(window, strategy=et.bounded("1d")).plan)
    every.process(Batch("log", rows))
    whole = pl.concat(every.finish("log")[RESULTS]).select("group", "window_start", pl.col("n").alias("all"))
    both = told.join(whole, on=["group", "window_start"])
    sums = both.select((pl.col("completeness") * pl.col("all")).sum().alias("said"), pl.col("n", "all").sum()).row(0)
    said, there = sums[0] / sums[2], sums[1] / sums[2]
    assert both.height > 1_000
    assert 0.6 < there < 0.95
    assert abs(said - there) < 0.01
