"""Why `completeness` is refused for sessions: an event that comes too late is hardly ever one that a session lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.real.streams import STREAMS

import eventide as et
from eventide.instants import positive_us

CASES = [
    ("safecast, reversed", ("device",), "30m", "30m", "would join two"),
    ("safecast, by upload", ("device",), "30m", "30m", "would join two"),
    ("safecast, by upload", ("device",), "30m", "10m", "touches none"),
    ("phones d-2", (), "0s", "50ms", "touches none or one's edge"),
]


def late_events(shared: Path, stream: str, keys: tuple[str, ...], bound: str, gap: str) -> pl.DataFrame:
    """Each late event with how many sessions that came out it would `touch`, and whether it lies `within` one: between
    its first and its last event.
    """
    plan = STREAMS[stream](shared).plan
    assert plan.event_time is not None
    timed = et.Stream(replace(plan, event_time=replace(plan.event_time, strategy=et.bounded(bound))))
    out: et.Outcome = timed.group_by(*keys).window(et.session(gap)).agg(n=et.count()).run(show=False)
    gap_us, instants = positive_us(gap, "gap"), pl.col("window_start", "window_end").cast(pl.Int64)
    sessions = out.results.select(*keys, instants)
    late = out.late.select(*keys, t=pl.col(plan.event_time.column).cast(pl.Int64)).with_row_index("event")
    first, end, time = pl.col("window_start"), pl.col("window_end"), pl.col("t")
    is_near = (time >= first - gap_us, time <= end)
    near = (
        late.join(sessions, on=list(keys), nulls_equal=True).filter(*is_near)
        if keys
        else late.join_where(sessions, *is_near)
    )
    within = ((time >= first) & (time <= end - gap_us)).any().alias("within")
    found = near.group_by("event").agg(pl.len().alias("touches"), within)
    return late.join(found, on="event", how="left").with_columns(
        pl.col("touches").fill_null(0), pl.col("within").fill_null(False)
    )


@pytest.mark.parametrize(("stream", "keys", "bound", "gap", "mostly"), CASES)
def test_late_events_make_other_sessions_rather_than_fill_those_that_came_out(
    shared: Path, stream: str, keys: tuple[str, ...], bound: str, gap: str, mostly: str
) -> None:
    late = late_events(shared, stream, keys, bound, gap)
    assert late.height > 500
    assert late["within"].mean() < 0.025  # type: ignore[operator] # a share
    shares = {
        "would join two": (late["touches"] > 1).mean(),
        "touches none": (late["touches"] == 0).mean(),
        "touches none or one's edge": ((late["touches"] < 2) & ~late["within"]).mean(),
    }
    assert shares[mostly] > 0.74  # type: ignore[operator] # a share
