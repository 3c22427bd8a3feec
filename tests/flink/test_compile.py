"""What a plan becomes on Flink, and what is refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from typer.testing import CliRunner

import eventide as et
from eventide.cli import app
from eventide.plan import Stream
from eventide.runners.flink import compile_plan, gaps_of

SCHEMA = {"sensor": str, "at": et.Instant, "dose": float}


@pytest.fixture
def readings(tmp_path: Path) -> Path:
    path = tmp_path / "readings.csv"
    path.write_text("sensor,at,dose\na,2026-01-01T00:00:01Z,1.5\n")
    return path


def windowed(path: Path, **aggregates: et.Aggregation) -> Stream:
    stream = et.read_csv(path, schema=SCHEMA).event_time("at", et.bounded("2s"))
    return stream.group_by("sensor").window(et.tumbling("10s")).agg(**(aggregates or {"n": et.count()}))


def test_a_plan_becomes_tables_and_one_job(readings: Path, tmp_path: Path) -> None:
    compiled = compile_plan(windowed(readings).write(et.write_ndjson(f"{tmp_path}/out/")).plan, parallelism=2)
    assert compiled.gaps == ()
    assert f"'path' = '{readings}'" in compiled.sql
    assert "INSERT INTO `sink_0`" in compiled.sql
    job = json.loads(compiled.job)
    assert job["window"]["size_us"] == 10_000_000
    assert job["event_time"]["delay_us"] == 2_000_000
    assert job["sources"][0]["logs"] == ["readings.csv"]
    assert job["sources"][0]["select"] is None


def test_a_filter_is_a_column_so_that_no_row_disappears_in_sql(readings: Path, tmp_path: Path) -> None:
    stream = et.read_csv(readings, schema=SCHEMA).filter(et.col("dose") > 1).event_time("at", et.bounded("2s"))
    stream = stream.filter(et.col("dose") < 9).group_by("sensor").window(et.tumbling("10s")).agg(n=et.count())
    job = json.loads(compile_plan(stream.write(et.write_ndjson(f"{tmp_path}/out/")).plan).job)
    assert "(`dose` > 1) IS TRUE AS `_keep`" in job["sources"][0]["select"]
    assert "(`dose` < 9) IS TRUE AS `_keep_behind`" in job["sources"][0]["select"]
    assert "WHERE" not in job["sources"][0]["select"]
    assert [one["name"] for one in job["columns"]][-2:] == ["_keep", "_keep_behind"]


def test_names_and_texts_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / "it's.csv"
    path.write_text("a`b,at\n1,2026-01-01T00:00:01Z\n")
    stream = et.read_csv(path, schema={"a`b": int, "at": et.Instant}).event_time("at", et.ascending())
    stream = stream.group_by("a`b").window(et.tumbling("1s")).agg(top=(et.col("a`b") + 1).max())
    compiled = compile_plan(stream.write(et.write_ndjson(f"{tmp_path}/out/")).plan)
    assert "it''s.csv'" in compiled.sql
    assert "`a``b`" in compiled.sql


def test_each_source_of_a_union_has_its_tables_and_all_the_same_columns(readings: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("dose,at,sensor\n1.5,2026-01-01T00:00:01Z,b\n")
    reversed_schema = {"dose": float, "at": et.Instant, "sensor": str}
    stream = et.read_csv(readings, schema=SCHEMA).union(
        et.read_csv(other, schema=reversed_schema).filter(et.col("dose") > 1)
    )
    compiled = compile_plan(stream.write(et.write_ndjson(f"{tmp_path}/out/")).plan)
    first, second = json.loads(compiled.job)["sources"]
    assert (first["intake"], second["intake"]) == ("intake", "intake_1")
    assert "FROM `source_1`" in second["query"]
    assert "TRUE AS `_keep`" in first["select"]
    assert "(`dose` > 1) IS TRUE AS `_keep`" in second["select"]
    heads = [[line.strip() for line in one["select"].splitlines()[1:4]] for one in (first, second)]
    assert heads == [["`sensor`,", "`at`,", "`dose`,"]] * 2


def test_a_stream_without_windows_has_rows_and_no_window(readings: Path, tmp_path: Path) -> None:
    stream = (
        et.read_csv(readings, schema=SCHEMA).event_time("at", et.bounded("2s")).select("sensor", big=et.col("dose") > 1)
    )
    compiled = compile_plan(stream.write(et.write_ndjson(f"{tmp_path}/out/")).plan)
    job = json.loads(compiled.job)
    assert job["window"] is None
    assert [one["name"] for one in job["columns"] if not one["name"].startswith("_")] == ["sensor", "big"]
    assert job["late"] == [{"name": name, "from": f"_front_{name}"} for name in SCHEMA]
    assert compiled.sql.endswith("INSERT INTO `sink_0`\nSELECT\n  `sensor`,\n  `big`\nFROM `results`;\n")


def test_sessions_with_tombstones_are_an_upserted_topic(readings: Path) -> None:
    timed = et.read_csv(readings, schema=SCHEMA).event_time("at", et.bounded("2s")).group_by("sensor")
    stream = timed.window(et.session("1s"), lateness="1m").agg(n=et.count())
    sink = et.write_kafka("sessions", servers="127.0.0.1:9092", retractions="tombstone")
    compiled = compile_plan(stream.write(sink).plan)
    assert "'connector' = 'upsert-kafka'" in compiled.sql
    assert "PRIMARY KEY (`sensor`, `window_start`) NOT ENFORCED" in compiled.sql
    assert compiled.sql.endswith("FROM `changes`;\n")
    keyed = et.write_kafka("sessions", servers="127.0.0.1:9092", key="sensor", retractions="tombstone")
    assert "the key there is sensor, window_start" in str(compile_plan(stream.write(keyed).plan).gaps[0])


@pytest.mark.parametrize(
    ("aggregate", "why"),
    [
        ((et.col("dose") // 2).sum(), "floordiv cannot be said in flink"),
    ],
)
def test_aggregates_that_would_differ_are_gaps(
    readings: Path, tmp_path: Path, aggregate: et.Aggregation, why: str
) -> None:
    plan = windowed(readings, x=aggregate).write(et.write_ndjson(f"{tmp_path}/out/")).plan
    compiled = compile_plan(plan)
    assert compiled.job == ""
    assert why in str(compiled.gaps[0])
    assert compiled.gaps[0].where == "agg x"


@pytest.mark.parametrize(
    ("name", "compression", "fits"),
    [
        ("a.csv", "by_name", True),
        ("a.csv.gz", "by_name", True),
        ("a.csv.gz", "gzip", True),
        ("a.csv", "none", True),
        ("a.csv", "gzip", False),
        ("a.csv.gz", "none", False),
        ("a.csv.zst", "by_name", False),
        ("a.csv.gzip", "by_name", False),
    ],
)
def test_files_that_flink_would_unpack_otherwise_are_gaps(
    tmp_path: Path, name: str, compression: Literal["by_name", "none", "gzip"], fits: bool
) -> None:
    (tmp_path / name).touch()
    source = et.read_csv(tmp_path / name, schema=SCHEMA, compression=compression)
    stream = source.event_time("at", et.bounded("2s")).window(et.tumbling("10s")).agg(n=et.count())
    found = [str(gap) for gap in gaps_of(stream.write(et.write_ndjson(f"{tmp_path}/out/")).plan)]
    assert (found == []) is fits
    assert all("Flink unpacks files named .gz" in gap for gap in found)


def test_every_gap_is_found_at_once(readings: Path, tmp_path: Path) -> None:
    stream = et.read_csv(readings, schema=SCHEMA).map_batches(lambda frame: frame)
    stream = stream.event_time("at", et.perfect())
    counted = stream.group_by("sensor").window(et.tumbling("10s"), completeness=True).agg(n=et.count())
    found = [str(gap) for gap in gaps_of(counted.write(et.write_csv(tmp_path / "out.csv")).plan)]
    wanted = ["perfect()", "map_batches, a Python function", "completeness", "csv files", "one file"]
    assert all(any(word in gap for gap in found) for word in wanted), found


@pytest.mark.parametrize(
    ("settings", "fits"), [({}, True), ({"lateness": "5s"}, False), ({"early": et.on_change()}, False)]
)
def test_empty_windows_that_do_not_come_out_once_are_a_gap(
    readings: Path, tmp_path: Path, settings: dict[str, Any], fits: bool
) -> None:
    timed = et.read_csv(readings, schema=SCHEMA).event_time("at", et.bounded("2s")).group_by("sensor")
    counted = timed.window(et.tumbling("10s"), fill="empty", **settings).agg(n=et.count())
    found = [str(gap) for gap in gaps_of(counted.write(et.write_ndjson(f"{tmp_path}/out/")).plan)]
    wanted = 'window: fill="empty" with lateness= or early=: the door there holds windows at the last one with an event'
    assert found == ([] if fits else [wanted])


def test_the_command_line_compiles_and_says_what_is_missing(readings: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(windowed(readings).write(et.write_ndjson(f"{tmp_path}/out/")).to_yaml())
    bad.write_text(windowed(readings, x=(et.col("dose") // 2).sum()).to_yaml())
    ran = CliRunner().invoke(app, ["compile", str(good), "--to", "flink", "--job", str(tmp_path / "job.json")])
    assert ran.exit_code == 0, ran.output
    assert "CREATE TEMPORARY TABLE `source`" in ran.output
    assert json.loads((tmp_path / "job.json").read_text())["version"] == 4
    checked = CliRunner().invoke(app, ["check", str(good), "--on", "flink"])
    assert "nothing wrong" in checked.output
    assert "floordiv" in str(CliRunner().invoke(app, ["check", str(bad), "--on", "flink"]).exception)
    assert "not on Flink" in CliRunner().invoke(app, ["explain", str(bad), "--on", "flink"]).output
