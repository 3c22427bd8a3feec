"""Strategies and calendars in whole runs, against arithmetic in the open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

import eventide as et

SCHEMA = et.schema({"at": et.Instant})
DISORDER = [{"at": 5_000}, {"at": 1_000}, {"at": 9_000}, {"at": 3_000}]  # milliseconds


class OneSecondBehind:
    """A strategy of one's own: a second behind the largest time; it needs no state."""

    def advance(
        self, state: Mapping[str, object], events: pl.DataFrame, times_us: pl.Series
    ) -> tuple[pl.Series, Mapping[str, object]]:
        front = max(int(str(state.get("front", -(2**62)))), 0)
        fronts = times_us.cum_max().clip(lower_bound=front)
        return fronts - 1_000_000, {"front": int(fronts[-1]) if fronts.len() else front}


def test_the_perfect_strategy_loses_nothing() -> None:
    stream = et.from_rows(DISORDER, schema=SCHEMA).event_time("at", et.perfect())
    out = stream.window(et.tumbling("2s")).agg(n=et.count()).run(show=False)
    assert out.late.height == 0
    assert out.results["n"].to_list() == [1, 1, 1, 1]


def test_a_strategy_of_ones_own_decides_what_is_late_in_batches_of_any_size() -> None:
    # behind 5 s the watermark is 4 s: 1 s is late for [0, 2); behind 9 s it is 8 s: 3 s is late for [2, 4)
    for rows_max in (1, 3, 100):
        stream = et.from_rows(DISORDER, schema=SCHEMA).event_time("at", OneSecondBehind())
        out = stream.window(et.tumbling("2s")).agg(n=et.count()).run(show=False, rows_max=rows_max)
        assert out.late["at"].cast(pl.Int64).to_list() == [1_000_000, 3_000_000]


def test_the_day_on_which_summer_time_begins_has_23_hours() -> None:
    rows = [{"at": "2026-03-28T22:30:00Z"}, {"at": "2026-03-29T20:30:00Z"}, {"at": "2026-03-29T21:30:00Z"}]
    stream = et.from_rows(rows, schema=SCHEMA).event_time("at", et.ascending(), max_future=None)
    days = stream.window(et.tumbling("1d", timezone="Europe/Helsinki")).agg(n=et.count()).run(show=False).results
    assert days["n"].to_list() == [2, 1]
    assert (days["window_end"] - days["window_start"]).to_list() == [timedelta(hours=23), timedelta(hours=24)]
