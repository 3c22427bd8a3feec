"""A job that is disturbed: a TaskManager killed in the middle, stopped and resumed elsewhere. The answer is the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from tests.flink.feed import SCHEMA, START_MS, Row, make_topic, partitions, read_topic, same, send, until, windows

import eventide as et
from eventide.errors import FlinkError
from eventide.runners.flink.kept import read_rows
from eventide.runners.flink.run import FlinkRun
from eventide.testing.services.flink import Flink
from eventide.testing.services.kafka import Kafka

EVENTS = partitions(8_000, seed=11)
HALF = [rows[: len(rows) // 2] for rows in EVENTS]
REST = [rows[len(rows) // 2 :] for rows in EVENTS]
FAR: list[list[Row]] = [[{"sensor": "end", "at": START_MS + 86_400_000, "dose": 0.0}] for _ in EVENTS]
"""An event of the next day in each partition closes every window of this one."""


LINES = 2_000_000
"""So many lines of a file are read for longer than it takes to stop a job twice."""


class Story:
    """A topic that is filled half, and a job that reads it without end."""

    def __init__(self, flink: Flink, broker: Kafka, name: str) -> None:
        self.flink, self.broker, self.topic, self.out = flink, broker, name, f"{name}-results"
        make_topic(broker.address, self.topic, len(EVENTS))
        make_topic(broker.address, self.out, 2)
        send(broker.address, self.topic, HALF)

    def stream(self, *, bounded: bool) -> et.Stream:
        return windows(et.read_kafka(self.topic, servers=self.broker.address, schema=SCHEMA, bounded=bounded))

    def start(
        self, parallelism: int, savepoint: str | None = None, settings: Mapping[str, str] | None = None
    ) -> FlinkRun:
        """The job, from the beginning or from a savepoint."""
        written = self.stream(bounded=False).write(et.write_kafka(self.out, servers=self.broker.address))
        run: FlinkRun = written.run(
            on="flink",
            flink_url=self.flink.address,
            parallelism=parallelism,
            checkpoint_every="500ms",
            start_from=savepoint,
            settings=settings,
        )
        return run

    def is_in_the_middle(self, run: FlinkRun) -> None:
        """The half that is there was read, and a checkpoint was made of it."""
        half = sum(map(len, HALF))
        until(lambda: run.accounting.total.received == half, run)
        before = run.job.checkpoints()
        until(lambda: run.job.checkpoints() > before + 1, run)

    def send_the_rest(self) -> None:
        send(self.broker.address, self.topic, REST)
        send(self.broker.address, self.topic, FAR)

    def ends_as_if_nothing_had_happened(self, run: FlinkRun) -> None:
        """Every window of the day is there once, with the content that the embedded engine gives it."""
        embedded = self.stream(bounded=True).run(show=False)
        expected = embedded.results.filter(pl.col("sensor") != "end")
        until(lambda: run.accounting.total.received == embedded.accounting.total.received, run)
        until(lambda: read_topic(self.broker.address, self.out, expected.schema).height >= expected.height, run)
        assert run.accounting == embedded.accounting
        run.stop()
        same(read_topic(self.broker.address, self.out, expected.schema), expected)


def test_a_killed_task_manager_changes_nothing(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "killed")
    run = story.start(3)  # more than one TaskManager has slots for
    story.is_in_the_middle(run)
    flink.cluster.kill(1)
    flink.cluster.start_task_manager(1)
    story.send_the_rest()
    until(lambda: run.job.restarts() > 0 and run.status().state == "RUNNING", run)
    story.ends_as_if_nothing_had_happened(run)


def test_stopped_with_a_savepoint_and_resumed_with_another_parallelism_changes_nothing(
    flink: Flink, broker: Kafka
) -> None:
    story = Story(flink, broker, "resumed")
    run = story.start(2)
    story.is_in_the_middle(run)
    savepoint = run.stop()
    assert run.status().state == "FINISHED"
    story.send_the_rest()
    story.ends_as_if_nothing_had_happened(story.start(1, savepoint))


def test_state_on_the_disks_of_the_task_managers_changes_nothing(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "rocks")
    on_disk = {"state.backend.type": "rocksdb"}
    run = story.start(2, settings=on_disk)
    story.is_in_the_middle(run)
    assert "RocksDB" in run.job.rest.get(f"/jobs/{run.job.id}/checkpoints/config")["state_backend"]
    savepoint = run.stop()
    story.send_the_rest()
    story.ends_as_if_nothing_had_happened(story.start(3, savepoint, on_disk))


def test_rescaled_while_it_runs_changes_nothing(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "rescaled")
    run = story.start(1)
    story.is_in_the_middle(run)
    story.send_the_rest()
    story.ends_as_if_nothing_had_happened(run.rescale(4))


def stopped_while_rows_come(run: FlinkRun, folder: Path) -> str:
    """The savepoint of a job that is stopped as soon as it wrote a row. Files are looked at, because the cluster tells
    its counts seconds later.
    """

    def size() -> int:
        return sum(file.stat().st_size for file in folder.glob("*"))

    before = size()
    until(lambda: size() > before, run)
    return run.stop()


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_a_file_is_stopped_in_its_middle_twice_and_every_line_comes_once(
    flink: Flink, tmp_path: Path, ending: str
) -> None:
    number = pl.int_range(LINES, eager=True)
    frame = pl.DataFrame({"sensor": "s" + (number % 9).cast(str), "at": START_MS + number, "dose": number % 800 / 8})
    frame.write_csv(tmp_path / f"one.{ending}", compression="gzip" if ending == "csv.gz" else "uncompressed")
    stream = windows(et.read_csv(str(tmp_path / f"one.{ending}"), schema=SCHEMA))
    expected = stream.run(show=False)
    written = stream.write(et.write_ndjson(f"{tmp_path}/out/"))
    savepoint, read = None, [0]
    while len(read) < 4:  # two that are stopped, and one to the end
        run: FlinkRun = written.run(on="flink", flink_url=flink.address, checkpoint_every="200ms", start_from=savepoint)
        if len(read) < 3:
            savepoint = stopped_while_rows_come(run, tmp_path / "out")
        read.append(run.wait().accounting.total.received)
    assert run.accounting == expected.accounting
    assert 0 < read[1] < read[2] < read[3] == LINES
    same(read_rows(tmp_path / "out", expected.results.schema), expected.results)


def test_more_parts_than_slots_are_refused_with_the_remedy(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "too-many")
    with pytest.raises(FlinkError, match=r"4 of its 4 slots free, and parallelism=9 needs 9: .*--slots"):
        story.start(9)


def test_a_job_that_would_not_fit_when_rescaled_runs_on(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "too-wide")
    run = story.start(2)
    story.is_in_the_middle(run)
    with pytest.raises(
        FlinkError, match=r"4 of its 4 slots free \(with those of this job\), and parallelism=9 needs 9"
    ):
        run.rescale(9)
    assert run.status().state == "RUNNING"
    story.send_the_rest()
    story.ends_as_if_nothing_had_happened(run)


def test_a_job_is_stopped_before_its_tasks_have_begun(
    flink: Flink, broker: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    story = Story(flink, broker, "at-once")
    run = story.start(2)
    with caplog.at_level(logging.WARNING, "eventide.flink"):
        savepoint = run.stop()
    assert "its savepoint is written when they do" in caplog.text
    story.send_the_rest()
    story.ends_as_if_nothing_had_happened(story.start(1, savepoint))


def test_a_savepoint_that_is_not_there_is_told(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "nowhere")
    with pytest.raises(FlinkError, match=r"Cannot find checkpoint or savepoint.*Give the savepoint that"):
        story.start(1, "file:///tmp/there-is-no-such-savepoint")


def test_a_savepoint_of_another_plan_is_told(flink: Flink, broker: Kafka) -> None:
    story = Story(flink, broker, "one-plan")
    savepoint = story.start(1).stop()
    other = windows(et.read_kafka(story.topic, servers=broker.address, schema=SCHEMA), lateness="5s")
    stream = other.write(et.write_kafka(story.out, servers=broker.address))
    with pytest.raises(FlinkError, match=r"refuses the job: .*The savepoint is of another plan: give that plan"):
        stream.run(on="flink", flink_url=flink.address, start_from=savepoint)
