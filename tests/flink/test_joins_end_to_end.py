"""Joins on a real cluster: files and topics, rows and windows, late rows and dead letters; the answer of the embedded engine."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.flink.feed import SCHEMA, START_MS, Row, make_topic, partitions, same, send, until, write_files

import eventide as et
from eventide import col
from eventide.runners.flink.kept import read_rows
from eventide.runners.flink.run import FlinkRun
from eventide.semantics.windows import Window
from eventide.testing.services.flink import Flink
from eventide.testing.services.kafka import Kafka

LEFT = partitions(2_000, count=2, seed=1)
RIGHT = partitions(1_500, count=3, seed=2)


def files(folder: Path, parts: list[list[Row]]) -> et.Stream:
    """A CSV file for each log, of a name of its own."""
    write_files(folder, parts)
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("part", folder.name))
    return et.read_csv(f"{folder}/*.csv", schema=SCHEMA, name=folder.name)


def joined(left: et.Stream, right: et.Stream, how: et.plan.derived.IntervalKind) -> et.Stream:
    """Both sides have steps of their own in front of and behind their doors."""
    left = left.filter(col("dose") > 5).event_time("at", et.bounded("2s"), max_future=None).filter(col("dose") < 95)
    right = right.with_columns(half=col("dose") / 2).event_time("at", et.bounded("3s"), max_future=None)
    right = right.select("at", "half", who=col("sensor"))
    return left.join_interval(right, on={"sensor": "who"}, lower="-200ms", upper="300ms", how=how)


@pytest.mark.parametrize(("parallelism", "how"), [(1, "outer"), (2, "left"), (4, "inner")])
def test_a_join_of_files_gives_the_outputs_of_the_embedded_engine(
    flink: Flink, tmp_path: Path, parallelism: int, how: et.plan.derived.IntervalKind
) -> None:
    left, right = files(tmp_path / "left", LEFT), files(tmp_path / "right", RIGHT)
    with (tmp_path / "right" / "right-0.csv").open("a") as file:
        file.write("s1,not a time,1.0\n")
    stream = joined(left, right, how)
    stream = stream.filter((col("half") > 1).fill_null(True)).with_columns(both=col("dose") + col("half"))
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=parallelism, show=False)
    same(outcome.results, expected.results)
    arrived = [name for name in expected.late.columns if name != "_arrival"]
    same(outcome.late.select(arrived), expected.late.select(arrived))
    refused = ["_log", "_offset", "reason", "field", "raw"]
    same(outcome.dead_letters.select(refused), expected.dead_letters.select(refused))
    assert outcome.accounting == expected.accounting
    assert expected.results.height > 1_000
    assert set(expected.late["_side"]) == {"left", "right"}
    assert expected.dead_letters.height == 1
    alone = expected.results.select(left=pl.col("half").is_null().any(), right=pl.col("dose").is_null().any())
    assert alone.row(0) == (how != "inner", how == "outer")


WINDOWS = (et.sliding("4s", "2s"), et.session("200ms"))


@pytest.mark.parametrize("window", WINDOWS, ids=["sliding", "session"])
def test_windows_behind_a_join_and_its_steps_are_those_of_the_embedded_engine(
    flink: Flink, tmp_path: Path, window: Window
) -> None:
    stream = joined(files(tmp_path / "left", LEFT), files(tmp_path / "right", RIGHT), "outer")
    stream = stream.filter((col("dose") > 10).fill_null(True)).with_columns(low=col("half") - 1)
    dose, half = col("dose"), col("half")
    grouped = stream.group_by("sensor").window(window)
    windows = grouped.agg(n=et.count(), most=(dose + half).max(), last=half.last(), mean=col("low").mean())
    windows = windows.with_columns(more=col("n") + 1).filter(col("n") > 1)
    expected = windows.run(show=False)
    outcome = windows.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    same(outcome.results, expected.results)
    assert outcome.accounting == expected.accounting
    assert expected.results.height > 150


@pytest.mark.parametrize("windowed", [False, True], ids=["rows", "windows"])
def test_a_join_of_topics_goes_on_from_a_savepoint_at_another_parallelism(
    flink: Flink, broker: Kafka, tmp_path: Path, windowed: bool
) -> None:
    """Each topic gets its second half while the job stands: partners of rows that wait in the savepoint among them.
    The job never ends, so windows show only if the watermark comes through the steps in front of them.
    """
    feeds = [partitions(600, count=2, seed=3), partitions(600, count=2, seed=4)]
    names = [make_topic(broker.address, f"joined-{windowed}-{side}", 2) for side in ("left", "right")]
    halves = [[rows[: len(rows) // 2] for rows in feed] for feed in feeds]
    # an event of the next day in each partition: no row of this one waits any more
    far: Row = {"sensor": "end", "at": START_MS + 86_400_000, "dose": 10.0}
    rest = [[[*rows[len(rows) // 2 :], far] for rows in feed] for feed in feeds]
    for name, parts in zip(names, halves, strict=True):
        send(broker.address, name, parts)
    out = tmp_path / "out"

    def stream(*, bounded: bool) -> et.Stream:
        left, right = (et.read_kafka(one, servers=broker.address, schema=SCHEMA, bounded=bounded) for one in names)
        rows = joined(left, right, "left")
        counted = rows.with_columns(low=col("half") - 1).group_by("sensor").window(et.tumbling("2s"))
        return counted.agg(n=et.count(), half=col("low").mean()) if windowed else rows

    following = stream(bounded=False).write(et.write_ndjson(f"{out}/"))
    run: FlinkRun = following.run(on="flink", flink_url=flink.address, parallelism=2, checkpoint_every="300ms")
    first = sum(len(rows) for parts in halves for rows in parts)
    until(lambda: run.accounting.total.received >= first, run)
    saved = run.stop()
    for name, parts in zip(names, rest, strict=True):
        send(broker.address, name, parts)
    expected = stream(bounded=True).run(show=False).results.filter(pl.col("sensor") != "end")
    again: FlinkRun = following.run(
        on="flink", flink_url=flink.address, parallelism=1, checkpoint_every="300ms", start_from=saved
    )

    def found() -> pl.DataFrame:
        return read_rows(out, expected.schema).filter(pl.col("sensor") != "end")

    until(lambda: found().height >= expected.height, again)  # files show with checkpoints
    again.stop()
    same(found(), expected)
    assert expected.height > (50 if windowed else 500)
    assert windowed or expected["half"].null_count() > 20
