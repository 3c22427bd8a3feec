"""Road sensors: flow and speed of one lane and minute come as two rows; joining them gives each measurement once."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import eventide as et


@pytest.fixture(scope="module")
def measured(shared: Path) -> pl.DataFrame:
    """All rows in the order of their files: `path= {json}` on each line."""
    rows = []
    for path in sorted((shared / "data" / "ndw").glob("time*.txt")):
        for line in path.read_text().splitlines():
            lane, _, text = line.partition("= ")
            value = json.loads(text)
            rows.append({"lane": lane, **{name: value.get(name) for name in ("timestamp", "flow", "speed")}})
    return pl.DataFrame(rows)


@pytest.mark.parametrize("rows_max", [50, 100_000])
def test_flow_and_speed_of_a_lane_and_minute_meet(measured: pl.DataFrame, rows_max: int) -> None:
    times = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", time_zone="UTC").alias("at")
    rows = measured.select("lane", times, "flow", "speed")
    flows, speeds = (rows.filter(pl.col(name).is_not_null()).select("lane", "at", name) for name in ("flow", "speed"))
    left, right = (
        et.from_frame(frame, name=name).event_time("at", et.bounded("1h"), max_future=None)
        for frame, name in ((flows, "flow"), (speeds, "speed"))
    )
    joined = left.join_interval(right, on="lane", lower="0s", upper="0s", how="outer")
    out = joined.run(show=False, rows_max=rows_max)
    expected = flows.join(speeds, on=["lane", "at"], how="full", coalesce=True)
    shown = out.results.with_columns(pl.coalesce("at", "at_right").alias("at")).select("lane", "at", "flow", "speed")
    columns = shown.columns
    assert shown.sort(columns).equals(expected.select(columns).sort(columns))
    assert out.accounting.total.on_time == flows.height + speeds.height
    assert expected.drop_nulls(["flow", "speed"]).height > 1_000
