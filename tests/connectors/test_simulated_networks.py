"""Simulated zoo tags and base stations: the domain's columns, the planned faults, the same rows for the same seed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.connectors.simulate import (
    NO_THRESHOLD,
    Stations,
    Zoo,
    simulate_stations,
    simulate_zoo,
    write_simulated,
)
from eventide.connectors.simulate.draws import normal, uniform
from eventide.connectors.simulate.stations import alarm_rows
from eventide.connectors.simulate.zoo import zoo_rows

_WORD = 2**64


def splitmix(number: int, seed: int) -> float:
    """The draw, one number at a time, as the paper has it."""
    word = (number * 0x9E3779B97F4A7C15 + seed * 0xBF58476D1CE4E5B9) % _WORD
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % _WORD
    return ((word ^ (word >> 31)) >> 11) / 2**53


def test_draws_are_those_of_splitmix64_and_evenly_spread() -> None:
    numbers = pl.int_range(100_000, eager=True).alias("n").to_frame()
    drawn = numbers.select(
        uniform(pl.col("n"), 7, 0).alias("u"),
        uniform(pl.col("n"), 7, 1).alias("v"),
        normal(pl.col("n"), 7, 2).alias("g"),
    )
    assert drawn["u"].head(50).to_list() == [splitmix(n, 7) for n in range(50)]
    assert abs(float(drawn["u"].mean()) - 0.5) < 0.005  # type: ignore[arg-type]
    assert abs(float(drawn["g"].std()) - 1.0) < 0.01  # type: ignore[arg-type]
    assert abs(drawn.select(pl.corr("u", "v")).item()) < 0.01


def test_a_tag_has_the_columns_of_the_domain_and_its_faults() -> None:
    frame = zoo_rows(Zoo(tags=14, duration_us=3_600_000_000 * 6))
    assert frame.columns[:-1] == [
        "time", "readable_time", "acceleration", "acceleration_x", "acceleration_y", "acceleration_z", "battery",
        "humidity", "pressure", "temperature", "dev-id",
    ]  # fmt: skip
    assert frame["_arrival"].is_sorted()
    # one a tag and quarter of a minute, and three in a thousand twice
    assert 14 * 6 * 240 < frame.height < 14 * 6 * 240 * 1.006
    good = frame.filter(pl.col("time") > 10**12)
    assert frame.height - good.height == 12
    shown = good.select(pl.from_epoch("time", time_unit="ms").dt.strftime("%Y-%m-%d %H:%M:%S")).to_series()
    assert (shown == good["readable_time"]).all()
    lateness = good.select((pl.col("_arrival").cast(pl.Int64) // 1000 - pl.col("time")).alias("ms")).to_series()
    assert 0.02 < (lateness > 60_000).sum() / good.height < 0.15
    assert (lateness <= 20 * 60_000 + 20_000).all()
    weak = good.group_by("dev-id").agg(pl.col("battery").min()).filter(pl.col("battery") < 3_500)
    assert sorted(weak["dev-id"]) == ["tag-03", "tag-10"]
    length = sum(good[f"acceleration_{axis}"] ** 2 for axis in "xyz") ** 0.5
    assert ((length - good["acceleration"]).abs() < 0.006).all()


def test_alarms_have_the_columns_of_the_domain_and_every_malformed_row_is_refused_by_its_field() -> None:
    net = Stations(malformed_share=0.05)
    frame = alarm_rows(net)
    assert frame.columns[:-1] == [
        "station_id", "datapoint_id", "alarm_id", "event_time", "value", "valueThreshold", "isActive", "storedtime",
    ]  # fmt: skip
    assert frame["storedtime"].is_sorted()
    assert frame["station_id"].value_counts(sort=True)["station_id"][0] == "BS-0001"
    out = et.Stream.from_source(simulate_stations(net=net)).run(show=False)
    refused = out.dead_letters.group_by("field").len().sort("field")
    assert refused["field"].to_list() == ["alarm_id", "event_time", "isActive", "station_id", "value"]
    assert 0.04 < out.dead_letters.height / frame.height < 0.06
    clean = et.Stream.from_source(simulate_stations(net=Stations(malformed_share=0.0))).run(show=False)
    assert clean.dead_letters.height == 0
    none = clean.results.filter(pl.col("valueThreshold") == NO_THRESHOLD)
    assert none["datapoint_id"].unique().to_list() == ["door"]
    # raised and cleared take turns
    turns = (
        clean.results.sort("event_time")
        .group_by("station_id", "datapoint_id", "alarm_id")
        .agg(pl.col("isActive").sum(), n=pl.len())
    )
    assert (turns["isActive"] * 2 - turns["n"]).is_between(0, 1).all()


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
def test_written_rows_read_back_to_the_same_answer(tmp_path: Path, suffix: str) -> None:
    source = simulate_stations(stations=5, duration="10m")
    written = write_simulated(source, tmp_path / f"alarms{suffix}")
    assert written == alarm_rows(Stations(5, duration_us=600_000_000)).height
    if suffix == ".parquet":
        return
    read = et.read_csv if suffix == ".csv" else et.read_ndjson
    stream = read(tmp_path / f"alarms{suffix}", schema=source.schema, arrival="storedtime")

    def counts(alarms: et.Stream) -> pl.DataFrame:
        timed = alarms.event_time("event_time", et.bounded("10s")).group_by("station_id")
        out: et.Outcome = timed.window(et.tumbling("1m")).agg(n=et.count(), high=col("value").max()).run(show=False)
        return out.results

    assert counts(stream).equals(counts(et.Stream.from_source(source)))


def test_the_same_seed_gives_the_same_rows_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_simulated(simulate_zoo(tags=2, duration="1h", seed=seed), tmp_path / f"{name}.csv")
    a, b, c = ((tmp_path / f"{name}.csv").read_bytes() for name in "abc")
    assert a == b != c
    assert b"_arrival" not in a


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="tags=0"):
        Zoo(tags=0)
    with pytest.raises(ValueError, match="malformed_share=2"):
        Stations(malformed_share=2)
