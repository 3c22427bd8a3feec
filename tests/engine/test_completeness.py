"""Completeness: the estimate is the open arithmetic of its formula, and neither cuts nor restarts nor workers move it."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide.engine.monitor import shortfall
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.plan import RESULTS

SECOND = 1_000_000
SCHEMA = et.schema({"key": str, "at": et.Instant})
KEY = et.per_key("key", cap="30s")


def events(number: int, seed: int = 4) -> pl.DataFrame:
    draw = random.Random(seed)
    times = [100_000 * n - int(draw.expovariate(1 / (2 * SECOND))) * (draw.random() < 0.3) for n in range(number)]
    return pl.DataFrame(
        {
            "key": [draw.choice(["a", "b", None]) for _ in times],
            "at": pl.Series([time + 100 * SECOND for time in times], dtype=pl.Int64).cast(INSTANT),
            OFFSET: range(number),
            ARRIVAL: pl.Series([100_000 * n + 100 * SECOND for n in range(number)], dtype=pl.Int64).cast(INSTANT),
        }
    )


def stream(window: Any, clock: Any = "log", strategy: Any = None, **settings: Any) -> et.Stream:
    timed = et.from_rows([], schema=SCHEMA).event_time("at", strategy or et.bounded("1s"), clock=clock)
    return timed.group_by("key").window(window, completeness=True, **settings).agg(n=et.count())


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
        stream(et.session("1s")),
        stream(et.session("1s"), clock=KEY, lateness="3s"),
        stream(et.count_window(7)),
        stream(et.tumbling("5s"), fill="empty"),
        stream(et.global_window()),
    ],
    ids=lambda made: f"{made.plan.aggregate.window}",
)
def test_cuts_restarts_and_workers_do_not_move_the_estimate(made: et.Stream) -> None:
    rows = events(2_500)
    whole = results(made, rows, 10_000)
    for size, workers, restarts in ((997, 1, False), (137, 1, False), (750, 3, True)):
        other = results(made, rows, size, workers, restarts)
        assert other.equals(whole), (size, workers, restarts)
    told = whole["completeness"]
    assert told[-1] == 1.0, "at the end of the input nothing more can come"
    assert (
        whole.filter(pl.col("completeness").is_between(0, 1) | pl.col("completeness").is_null()).height == whole.height
    )


def test_the_estimate_is_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortfall, "BLOCK_EVENTS", 4)
    monkeypatch.setattr(shortfall, "FIRST_EVENTS", 4)
    seconds = [0, 10, 7, 8, 21]  # bound 1 s: 7 is 2 s behind the watermark 9, 8 is 1 s behind
    rows = events(len(seconds)).with_columns(
        pl.Series("at", [at * SECOND for at in seconds], dtype=pl.Int64).cast(INSTANT), pl.lit("a").alias("key")
    )
    told = results(stream(et.tumbling("5s")), rows, 2)
    # 21 moves the watermark to 20 s behind four events: slack 10 s and 5 s, more than anybody was behind
    assert told["completeness"].to_list() == [None, 1.0, 1.0, 1.0]
    told = results(stream(et.tumbling("5s")), rows.with_columns(at=pl.col("at").replace(INSTANT_21, INSTANT_16)), 2)
    # at 16 the watermark is 15 s: slack 0; of four events one was 1 s and one 2 s behind, of windows 5 s long
    assert told["completeness"].to_list()[2] == pytest.approx(1 - (0.25 * 1 / 5 + 0.25 * 2 / 5), rel=0.02)


INSTANT_21, INSTANT_16 = (pl.Series([at * SECOND]).cast(INSTANT)[0] for at in (21, 16))


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
