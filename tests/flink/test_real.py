"""Real input through both engines: the radiation network's February and the road sensors."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from tests.flink.feed import same
from tests.real.test_safecast import readings

import eventide as et
from eventide import col
from eventide.runners.outcome import Outcome
from eventide.testing.services.flink import Flink

_RESULTS = ("window_start", "window_end", "n", "mean", "low", "high")


def both(flink: Flink, stream: et.Stream, key: str) -> Outcome:
    """Run a stream on both engines, compare, and return the embedded outcome."""
    expected: Outcome = stream.run(show=False)
    outcome: Outcome = stream.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    same(outcome.final().select(key, *_RESULTS), expected.final().select(key, *_RESULTS))
    same(outcome.late.select(key, "at"), expected.late.select(key, "at"))
    assert outcome.accounting == expected.accounting
    return expected


def test_the_radiation_network_gives_the_same_on_both_engines(flink: Flink, shared: Path, tmp_path: Path) -> None:
    rows = readings(shared / "data" / "safecast" / "solarcast-2020-02.csv").run(show=False).results
    assert rows.height > 20_000
    plain = rows.select("urn", pl.col("captured").dt.epoch("us").alias("at"), "dose")
    plain.write_ndjson(tmp_path / "february.ndjson")
    schema = et.schema({"urn": str, "at": et.field(et.Instant, unit="us"), "dose": float})
    dose = col("dose")
    windows = (
        et.read_ndjson(tmp_path / "february.ndjson", schema=schema)
        .event_time("at", et.bounded("30m"), max_future=None)
        .group_by("urn")
        .window(et.tumbling("5m"), lateness="30m")
        .agg(n=et.count(), mean=dose.mean(), low=dose.min(), high=dose.max())
    )
    expected = both(flink, windows, "urn")
    assert expected.late.height > 500
    assert expected.accounting.total.corrected > 1_000


def test_the_road_sensors_give_the_same_on_both_engines(flink: Flink, shared: Path, tmp_path: Path) -> None:
    for path in sorted((shared / "data" / "ndw").glob("time*.txt")):
        lines = []
        for line in path.read_text().splitlines():
            lane, _, text = line.partition("= ")
            lines.append(json.dumps({"lane": lane, **json.loads(text)}))
        (tmp_path / f"{path.stem}.ndjson").write_text("\n".join(lines) + "\n")
    schema = et.schema({"lane": str, "at": et.field(et.Instant, path="timestamp"), "flow": float})
    flow = col("flow")
    windows = (
        et.read_ndjson(f"{tmp_path}/*.ndjson", schema=schema)
        .filter(flow.is_not_null())
        .event_time("at", et.bounded("1m"), max_future=None)
        .group_by("lane")
        .window(et.tumbling("5m"))
        .agg(n=et.count(), mean=flow.mean(), low=flow.min(), high=flow.max())
    )
    expected = both(flink, windows, "lane")
    assert expected.results.height > 500
    assert expected.accounting.total.filtered > 1_000
