"""Streams of several sources, and streams without windows, on a real cluster: the answer of the embedded engine."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.flink.feed import SCHEMA, make_topic, partitions, same, send, until, windows, write_files

import eventide as et
from eventide import col
from eventide.runners.flink import gaps_of
from eventide.runners.flink.kept import read_rows
from eventide.runners.flink.run import FlinkRun
from eventide.testing.services.flink import Flink
from eventide.testing.services.kafka import Kafka

EVENTS = partitions(3_000)
OTHERS = partitions(900, count=2, seed=8)


@pytest.mark.parametrize("parallelism", [1, 2, 4])
def test_files_and_topics_together_give_the_windows_of_one_stream(
    flink: Flink, broker: Kafka, tmp_path: Path, parallelism: int
) -> None:
    topic = make_topic(broker.address, f"union-{parallelism}", 3)
    send(broker.address, topic, EVENTS)
    files = et.read_csv(write_files(tmp_path / "in", OTHERS), schema=SCHEMA, name="files")
    # columns in another order, a filter of its own: both come to the door in one form
    files = files.select("dose", "at", "sensor").filter(col("dose") > 10)
    stream = windows(et.read_kafka(topic, servers=broker.address, schema=SCHEMA, bounded=True).union(files))
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=parallelism, show=False)
    same(outcome.results, expected.results)
    same(outcome.late.select("sensor", "at", "_log"), expected.late.select("sensor", "at", "_log"))
    assert outcome.accounting == expected.accounting
    assert {log: outcome.accounting.of(log).filtered > 0 for log in ("part-0.csv", f"{topic}/0")} == {
        "part-0.csv": True,
        f"{topic}/0": False,
    }
    assert expected.late.height > 10


def test_a_restart_of_a_union_goes_on_where_each_source_stood(flink: Flink, broker: Kafka, tmp_path: Path) -> None:
    """Both topics get their second half while the job stands; a row read twice or left out would show."""
    names = [make_topic(broker.address, f"half-{number}", 2) for number in range(2)]
    feeds = [partitions(800, count=2, seed=seed) for seed in (1, 2)]
    halves = [[rows[: len(rows) // 2] for rows in feed] for feed in feeds]
    rest = [[rows[len(rows) // 2 :] for rows in feed] for feed in feeds]
    for name, parts in zip(names, halves, strict=True):
        send(broker.address, name, parts)
    reads = [et.read_kafka(name, servers=broker.address, schema=SCHEMA, bounded=False) for name in names]
    out = tmp_path / "out"
    stream = reads[0].union(reads[1]).select("sensor", "at", "dose").write(et.write_ndjson(f"{out}/"))
    run: FlinkRun = stream.run(on="flink", flink_url=flink.address, parallelism=2, checkpoint_every="300ms")
    _await_rows(run, sum(len(rows) for parts in halves for rows in parts))
    saved = run.stop()
    for name, parts in zip(names, rest, strict=True):
        send(broker.address, name, parts)
    again: FlinkRun = stream.run(
        on="flink", flink_url=flink.address, parallelism=1, checkpoint_every="300ms", start_from=saved
    )
    columns = {"sensor": pl.String(), "at": pl.Datetime("us", "UTC"), "dose": pl.Float64()}
    until(lambda: read_rows(out, columns).height >= 1_600, again)  # files show with checkpoints
    again.stop()
    found = read_rows(out, columns)
    sent = pl.DataFrame([row for feed in feeds for rows in feed for row in rows])
    same(found, sent.with_columns(pl.from_epoch("at", "ms").cast(pl.Datetime("us", "UTC"))).select(found.columns))


def _await_rows(run: FlinkRun, rows: int) -> None:
    until(lambda: run.accounting.total.received >= rows, run)


def test_rows_without_windows_are_judged_filtered_and_counted(flink: Flink, tmp_path: Path) -> None:
    read = et.read_csv(write_files(tmp_path / "in", EVENTS), schema=SCHEMA)
    timed = read.filter(col("dose") > 5).event_time("at", et.bounded("2s"), max_future=None)
    stream = timed.filter(col("dose") < 90).select("sensor", "at", half=col("dose") / 2)
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    same(outcome.results, expected.results)
    same(outcome.late.drop("_arrival"), expected.late.drop("_arrival"))  # as they came to the door: with dose
    assert expected.late.height > 10
    assert outcome.accounting == expected.accounting
    assert outcome.accounting.total.filtered > 100


def test_rows_without_event_time_are_filtered_and_counted(flink: Flink, tmp_path: Path) -> None:
    pattern = write_files(tmp_path / "in", EVENTS)
    with (tmp_path / "in" / "part-1.csv").open("a") as file:
        file.write("s1,not a time,1.0\n")
    stream = et.read_csv(pattern, schema=SCHEMA).filter(col("dose") > 50).with_columns(twice=col("dose") * 2)
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=4, show=False)
    same(outcome.results, expected.results)
    same(outcome.dead_letters.select("reason", "_log"), expected.dead_letters.select("reason", "_log"))
    assert (expected.dead_letters.height, outcome.watermark_us) == (1, None)
    assert outcome.accounting == expected.accounting


def test_late_rows_show_the_columns_in_front_of_the_steps_behind_the_door(flink: Flink, tmp_path: Path) -> None:
    read = et.read_csv(write_files(tmp_path / "in", EVENTS), schema=SCHEMA)
    timed = read.event_time("at", et.bounded("2s"), max_future=None).with_columns(dose=col("dose") * 100)
    stream = timed.select("sensor", "dose").group_by("sensor").window(et.tumbling("10s")).agg(total=col("dose").sum())
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    same(outcome.results, expected.results)
    same(outcome.late.drop("_arrival"), expected.late.drop("_arrival"))
    assert "at" in expected.late.columns


def test_two_sources_with_a_log_of_one_name_are_told(tmp_path: Path) -> None:
    reads = [
        et.read_csv(write_files(tmp_path / f"in-{number}", OTHERS), schema=SCHEMA, name=f"files {number}")
        for number in range(2)
    ]
    plan = windows(reads[0].union(reads[1])).plan
    assert any("two sources have a log or topic 'part-0.csv'" in str(gap) for gap in gaps_of(plan))
