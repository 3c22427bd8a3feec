"""Windows of several key columns where one of them has clocks, before anything has come to them."""

from __future__ import annotations

import eventide as et


def test_rows_may_be_refused_before_the_first_one_comes_to_its_windows() -> None:
    schema = {"key": str, "flag": bool, "at": et.field(et.Instant, unit="us")}
    rows = [{"key": "a", "flag": True, "at": None}, {"key": "a", "flag": True, "at": 5}, {"key": "b", "at": 7}]
    stream = et.from_rows(rows, schema=schema).event_time(
        "at", et.bounded("1us"), clock=et.per_key("key", cap="5us"), max_future=None
    )
    done = stream.group_by("key", "flag").window(et.tumbling("10us")).agg(n=et.count()).run(show=False, rows_max=1)
    assert done.results.select("key", "flag", "n").rows() == [("a", True, 1), ("b", None, 1)]
    assert done.accounting.total.dead_letters == 1
