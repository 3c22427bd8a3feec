"""Operators that Flink does not chain: by a setting, and where a savepoint asks for it."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest
from tests.flink.feed import SCHEMA, START_MS, partitions, same, until, windows, write_files

import eventide as et
from eventide import col
from eventide.runners.flink.kept import read_rows
from eventide.runners.flink.run import FlinkRun
from eventide.testing.services.flink import Flink

LONG = 2_000_000
SHORT = 9
AGGREGATES = {
    "n": et.count(),
    "doses": col("dose").collect(),
    "often": col("dose").top_k(3),
    "bins": col("dose").histogram([0, 25, 50, 100]),
    "first": col("at").first(),
    "times": col("at").collect(),
}


@pytest.mark.parametrize("setting", ["pipeline.operator-chaining.enabled", "pipeline.object-reuse"])
def test_results_are_copied_between_windows_and_sinks(flink: Flink, tmp_path: Path, setting: str) -> None:
    stream = et.read_csv(write_files(tmp_path / "in", partitions(2_000)), schema=SCHEMA)
    timed = stream.event_time("at", et.bounded("2s"), max_future=None).group_by("sensor")
    counted = timed.window(et.tumbling("10s")).agg(**AGGREGATES)
    expected = counted.run(show=False).results
    found = counted.run(on="flink", flink_url=flink.address, parallelism=2, settings={setting: "false"}, show=False)
    assert found.results.sort("sensor", "window_start").equals(expected.sort("sensor", "window_start"))


def lines(path: Path, number: int) -> None:
    """A file of events one millisecond apart."""
    at = pl.int_range(number, eager=True)
    pl.DataFrame({"sensor": "s" + (at % 9).cast(str), "at": START_MS + at, "dose": at % 800 / 8}).write_csv(path)


def test_a_job_some_of_whose_readers_are_done_goes_on_with_another_parallelism(
    flink: Flink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines(tmp_path / "long.csv", LONG)
    lines(tmp_path / "short.csv", SHORT)
    stream = windows(et.read_csv(str(tmp_path / "*.csv"), schema=SCHEMA))
    expected = stream.run(show=False)
    written = stream.write(et.write_ndjson(f"{tmp_path}/out/"))
    every = {"on": "flink", "flink_url": flink.address, "checkpoint_every": "200ms"}
    run: FlinkRun = written.run(parallelism=2, **every)

    def one_reader_is_done() -> bool:
        vertices = run.job.rest.get(f"/jobs/{run.job.id}")["vertices"]
        return any(one["tasks"]["FINISHED"] == 1 and one["tasks"]["RUNNING"] == 1 for one in vertices)

    until(one_reader_is_done, run)
    savepoint = run.stop()
    assert run.accounting.total.received < LONG + SHORT, "it was over before it was stopped"
    with caplog.at_level(logging.WARNING, "eventide.flink"):
        resumed: FlinkRun = written.run(parallelism=1, start_from=savepoint, **every)
    assert "operator by operator" in caplog.text
    outcome = resumed.wait()
    assert outcome.accounting == expected.accounting
    same(read_rows(tmp_path / "out", expected.results.schema), expected.results)
