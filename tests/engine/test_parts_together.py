"""Parts of a sentence that were built apart, in one plan."""

from __future__ import annotations

import pytest

import eventide as et
from eventide import col

AT = et.field(et.Instant, unit="s")


def readings(name: str, rows: list[tuple[str, int, float]]) -> et.Stream:
    made = [{"site": site, "at": at, "value": value} for site, at, value in rows]
    stream = et.from_rows(made, schema={"site": str, "at": AT, "value": float}, name=name)
    return stream.event_time("at", et.bounded("5s"), max_future=None)


def test_windows_over_a_join_raise_alerts() -> None:
    doses = readings("doses", [("x", 10, 1.0), ("x", 70, 9.0), ("y", 75, 1.0)])
    rain = readings("rain", [("x", 11, 0.5), ("x", 71, 0.5), ("y", 76, 0.5)])
    joined = doses.join_interval(rain, on="site", lower="0s", upper="5s")
    peaks = joined.group_by("site").window(et.tumbling("1m")).agg(peak=col("value").max())
    out = peaks.alert(col("peak") > 5, name="high").run(show=False)
    assert out.results["peak"].to_list() == [1.0, 9.0, 1.0]
    assert out["alerts"].select("alert", "site").rows() == [("high", "x")]


def test_results_are_looked_up_and_then_judged() -> None:
    limits = et.from_rows(
        [{"site": "x", "limit": 5.0}, {"site": "y", "limit": 50.0}], schema={"site": str, "limit": float}
    )
    windows = readings("doses", [("x", 10, 9.0), ("y", 11, 9.0)]).group_by("site").window(et.tumbling("1m"))
    judged = (
        windows.agg(peak=col("value").max()).enrich(limits, on="site").alert(col("peak") > col("limit"), name="high")
    )
    out = judged.run(show=False)
    assert out.results.select("site", "limit").rows() == [("x", 5.0), ("y", 50.0)]
    assert out["alerts"]["site"].to_list() == ["x"]


def test_copies_do_not_raise_alerts_twice_behind_windows() -> None:
    windows = (
        readings("doses", [("x", 10, 9.0), ("x", 10, 9.0)]).deduplicate("site", "at", within="1m").group_by("site")
    )
    out = windows.window(et.tumbling("1m")).agg(n=et.count()).alert(col("n") > 1, name="twice").run(show=False)
    assert out["alerts"].height == 0
    assert out.accounting.total.duplicates == 1


def test_what_does_not_go_together_is_refused_with_a_remedy() -> None:
    doses = readings("doses", [("x", 10, 1.0)])
    with pytest.raises(et.PlanError, match="deduplicate or enrich stands behind it"):
        doses.alert(col("value") > 1, name="high", by="site").deduplicate("site", "at", within="1m").check()
    joined = doses.join_asof(readings("rain", []), on="site")
    with pytest.raises(et.PlanError, match="among the rows of a join"):
        joined.alert(col("value") > 1, name="high", by="site")
