"""Sinks: what was committed is visible, whole; the last row of each window wins."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

import eventide as et
from eventide import col

ROWS: list[dict[str, object]] = [
    {"k": "a", "at": 1_000, "x": 1.0},
    {"k": None, "at": 2_000, "x": 2.0},
    {"k": "a", "at": 12_000, "x": 5.0},
    {"k": "a", "at": 3_000, "x": 3.0},
]


def sums() -> et.Stream:
    readings = et.from_rows(ROWS, schema={"k": str, "at": et.Instant, "x": float})
    timed = readings.event_time("at", et.bounded("1s"), max_future=None).group_by("k")
    return timed.window(et.tumbling("10s"), lateness="5s").agg(total=col("x").sum(), some=col("x").collect())


def test_csv_ndjson_and_parquet_hold_all_rows_in_order(tmp_path: Path) -> None:
    expected = sums().run(show=False).results
    job = sums()
    for sink in (
        et.write_csv(tmp_path / "r.csv"),
        et.write_ndjson(tmp_path / "r.ndjson"),
        et.write_parquet(tmp_path / "r.parquet"),
    ):
        job = job.write(sink)
    job.run(show=False)
    assert pl.read_parquet(tmp_path / "r.parquet").equals(expected)
    assert pl.read_csv(tmp_path / "r.csv")["total"].to_list() == expected["total"].to_list()
    assert pl.read_csv(tmp_path / "r.csv")["some"].to_list()[0] == "[2.0]"  # the null key comes first
    assert pl.read_ndjson(tmp_path / "r.ndjson")["some"].to_list() == expected["some"].to_list()


def test_a_file_that_was_not_committed_is_not_there(tmp_path: Path) -> None:
    writer = et.write_csv(tmp_path / "r.csv").open("results", {"x": pl.Int64()}, ())
    writer.write(pl.DataFrame({"x": [1]}))
    assert not (tmp_path / "r.csv").exists()
    writer.commit()
    writer.write(pl.DataFrame({"x": [2]}))
    writer.abort()
    assert (tmp_path / "r.csv").read_text() == "x\n1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


def test_duckdb_keeps_the_last_row_of_each_window(tmp_path: Path) -> None:
    sums().write(et.write_duckdb(tmp_path / "r.duckdb", 'odd "name"')).run(show=False)
    with duckdb.connect(str(tmp_path / "r.duckdb")) as connection:
        rows = connection.execute('SELECT k, total, revision, final FROM "odd ""name""" ORDER BY total').fetchall()
    assert rows == [(None, 2.0, 0, True), ("a", 4.0, 1, True), ("a", 5.0, 0, True)]


def test_duckdb_takes_retracted_sessions_out(tmp_path: Path) -> None:
    rows = [{"at": 0, "x": 1.0}, {"at": 9_000, "x": 1.0}, {"at": 2_000, "x": 1.0}]
    readings = et.from_rows(rows, schema={"at": et.Instant, "x": float}).event_time(
        "at", et.ascending(), max_future=None
    )
    job = readings.window(et.session("3s"), lateness="9s").agg(n=et.count())
    job.write(et.write_duckdb(tmp_path / "r.duckdb", "t")).run(show=False)
    with duckdb.connect(str(tmp_path / "r.duckdb")) as connection:
        assert connection.execute("SELECT n FROM t ORDER BY window_start").fetchall() == [(2,), (1,)]


def test_a_function_gets_every_frame() -> None:
    seen: list[pl.DataFrame] = []
    sums().write(et.call(seen.append)).run(show=False)
    assert pl.concat(seen).equals(sums().run(show=False).results)
