"""What a pipeline does with the first batches of its life: none of their rows may be there, or in an order of its own."""

from __future__ import annotations

import polars as pl

import eventide as et
from eventide import col
from eventide.plan import DEAD_LETTERS, RESULTS, Input, Plan, WindowedAggregate
from eventide.semantics.eventtime import Ascending, EventTime, KeyClock
from eventide.semantics.windows import Sliding
from eventide.testing.laws import Columns, Manner, plan_answer, rows_of
from eventide.testing.reference import Entry, Event, Finished
from eventide.testing.streams import COLUMNS


def test_a_first_batch_that_is_refused_whole_leaves_finer_groups_than_the_clocks_without_keys() -> None:
    time = EventTime("at", Ascending(), KeyClock("key", 10), max_future_us=None)
    query = WindowedAggregate(("key", "flag"), Sliding(10, 10, 0), (("n", et.count()),))
    plan = Plan((Input(Columns(COLUMNS)),), event_time=time, aggregate=query)
    row = {"key": "a", "at": None, "x": 1.0, "n": 1, "flag": True}
    entries: list[Entry] = [Event("one", 0, row), Event("one", 1, {**row, "at": 3}), Finished("one")]
    outputs = plan_answer(plan, entries, COLUMNS, ["one"], Manner(rows=(1,)))
    assert [(row["key"], row["flag"], row["n"]) for row in rows_of(outputs[RESULTS])] == [("a", True, 1)]
    assert len(rows_of(outputs[DEAD_LETTERS])) == 1


def test_sources_of_a_union_may_have_their_columns_in_other_orders() -> None:
    times = [pl.datetime(2026, 1, 1, second=second, time_zone="UTC") for second in (0, 20, 5)]
    first = pl.DataFrame({"at": pl.select(pl.concat_list(times)).item(), "x": [1.0, 2.0, 3.0]})
    streams = [et.from_frame(first, name="first"), et.from_frame(first.select("x", "at"), name="second")]
    timed = streams[0].union(streams[1]).event_time("at", et.ascending(), max_future=None)
    out = timed.group_by().window(et.tumbling("10s")).agg(total=col("x").sum()).run(show=False)
    assert out.results.get_column("total").to_list() == [2.0, 4.0]
    assert out.late.get_column("x").to_list() == [3.0, 3.0]
