"""From end to end with a real cluster: Kafka to Kafka, files to files, upserts; at several parallelisms."""

from __future__ import annotations

import base64
from pathlib import Path

import polars as pl
import psycopg
import pytest
from tests.flink.feed import SCHEMA, compacted, make_topic, partitions, read_topic, same, send, windows, write_files

import eventide as et
from eventide.errors import FlinkError
from eventide.runners.flink.compile import compile_plan
from eventide.runners.flink.jar import jar_path
from eventide.runners.flink.kept import read_rows
from eventide.runners.flink.remote import Start, begin
from eventide.runners.flink.rest import Rest
from eventide.runners.flink.run import FlinkRun
from eventide.testing.services.flink import Flink
from eventide.testing.services.kafka import Kafka
from eventide.testing.services.postgres import Postgres

EVENTS = partitions(6_000)


@pytest.fixture(scope="module")
def topic(broker: Kafka) -> str:
    name = make_topic(broker.address, "events", 3)
    send(broker.address, name, EVENTS)
    return name


def from_topic(broker: Kafka, topic: str) -> et.Stream:
    return et.read_kafka(topic, servers=broker.address, schema=SCHEMA, bounded=True)


@pytest.mark.parametrize("parallelism", [1, 2, 4])
def test_kafka_to_kafka_gives_each_result_and_late_row_once(
    flink: Flink, broker: Kafka, topic: str, parallelism: int
) -> None:
    stream = windows(from_topic(broker, topic))
    expected = stream.run(show=False)
    results = make_topic(broker.address, f"results-{parallelism}", 2)
    late = make_topic(broker.address, f"late-{parallelism}")
    written = stream.write(et.write_kafka(results, servers=broker.address)).write(
        et.write_kafka(late, servers=broker.address), output="late"
    )
    run: FlinkRun = written.run(on="flink", flink_url=flink.address, parallelism=parallelism, checkpoint_every="500ms")
    outcome = run.wait()
    same(read_topic(broker.address, results, expected.results.schema), expected.results)
    assert (
        read_topic(broker.address, late, {"sensor": pl.String(), "dose": pl.Float64()}).height == expected.late.height
    )
    assert expected.late.height > 10
    assert outcome.accounting == expected.accounting


@pytest.mark.parametrize("parallelism", [1, 2, 4])
def test_files_to_files_and_outputs_without_a_sink_are_those_of_the_embedded_engine(
    flink: Flink, tmp_path: Path, parallelism: int
) -> None:
    stream = windows(et.read_csv(write_files(tmp_path / "in", EVENTS), schema=SCHEMA))
    expected = stream.run(show=False)
    written = stream.write(et.write_ndjson(f"{tmp_path}/out/"))
    run: FlinkRun = written.run(on="flink", flink_url=flink.address, parallelism=parallelism, checkpoint_every="500ms")
    outcome = run.wait()
    same(read_rows(tmp_path / "out", expected.results.schema), expected.results)
    same(outcome.late.select("sensor", "at", "dose"), expected.late.select("sensor", "at", "dose"))
    assert expected.late.height > 10
    assert outcome.accounting == expected.accounting


def test_a_plan_without_sinks_gives_its_outputs_as_frames(flink: Flink, tmp_path: Path) -> None:
    parts = [rows[:200] for rows in EVENTS]
    pattern = write_files(tmp_path / "in", parts)
    with (tmp_path / "in" / "part-0.csv").open("a") as file:
        file.write("s1,not a time,1.0\n")
    stream = windows(et.read_csv(pattern, schema=SCHEMA), lateness="1m")
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    same(outcome.final().drop("revision"), expected.final().drop("revision"))
    same(outcome.late.select("sensor", "at"), expected.late.select("sensor", "at"))
    same(outcome.dead_letters.select("reason", "_log"), expected.dead_letters.select("reason", "_log"))
    assert (expected.dead_letters.height, outcome.finished) == (1, True)
    assert outcome.accounting == expected.accounting
    assert outcome.accounting.total.closes


def test_sessions_keep_their_account_for_each_log(flink: Flink, tmp_path: Path) -> None:
    read = et.read_csv(write_files(tmp_path / "in", EVENTS), schema=SCHEMA)
    timed = read.event_time("at", et.bounded("2s"), max_future=None).group_by("sensor")
    stream = timed.window(et.session("300ms")).agg(n=et.count(), total=et.col("dose").sum())
    expected = stream.run(show=False)
    outcome = stream.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    assert outcome.accounting == expected.accounting
    assert expected.accounting.total.late > 10


def test_upserts_to_kafka_leave_the_last_row_of_each_window(flink: Flink, broker: Kafka, topic: str) -> None:
    stream = windows(from_topic(broker, topic), lateness="1m")
    expected = stream.run(show=False)
    assert expected.results.height > expected.final().height > 100
    upserts = make_topic(broker.address, "upserts", 2)
    key = ["sensor", "window_start"]
    written = stream.write(et.write_kafka(upserts, servers=broker.address, key=key))
    written.run(on="flink", flink_url=flink.address, parallelism=2, checkpoint_every="500ms").wait()
    found = read_topic(broker.address, upserts, expected.results.schema)
    last = found.sort("revision", "final").unique(key, keep="last")
    same(last.drop("revision"), expected.final().drop("revision"))


def test_sessions_upserted_to_kafka_leave_what_stands_and_tombstones_for_what_was_taken_back(
    flink: Flink, broker: Kafka, topic: str
) -> None:
    timed = from_topic(broker, topic).event_time("at", et.bounded("100ms"), max_future=None).group_by("sensor")
    stream = timed.window(et.session("200ms"), lateness="1m").agg(n=et.count(), total=et.col("dose").sum())
    expected = stream.run(show=False)
    name = make_topic(broker.address, "upserted")
    written = stream.write(et.write_kafka(name, servers=broker.address, retractions="tombstone"))
    run: FlinkRun = written.run(on="flink", flink_url=flink.address, parallelism=2, checkpoint_every="500ms")
    assert run.wait().accounting == expected.accounting
    kept, tombstones = compacted(broker.address, name)
    wanted = expected.final().select("sensor", "window_start", "log", "window_end", "n", "total")
    texts = pl.col("^window_.*$").str.to_datetime(time_unit="us", time_zone="UTC")
    same(pl.DataFrame(kept).select(wanted.columns).with_columns(texts), wanted)
    assert tombstones > 10


def test_upserts_to_postgresql_leave_the_last_row_of_each_window(
    flink: Flink, broker: Kafka, topic: str, database: Postgres
) -> None:
    stream = windows(from_topic(broker, topic), lateness="1m")
    expected = stream.run(show=False)
    table = (
        "create table doses (sensor text, window_start timestamptz, window_end timestamptz, n bigint, total float8,"
        " mean float8, low float8, high float8, revision bigint, final boolean, primary key (sensor, window_start))"
    )
    with psycopg.connect(database.address, autocommit=True) as session:
        session.execute(table)
        written = stream.write(et.write_postgres("doses", dsn=database.address))
        written.run(on="flink", flink_url=flink.address, parallelism=2, checkpoint_every="500ms").wait()
        rows = session.execute("select * from doses").fetchall()
    found = pl.DataFrame(rows, schema=expected.results.schema, orient="row")
    same(found.drop("revision"), expected.final().drop("revision"))


def test_a_cluster_with_another_release_of_the_job_refuses_it(flink: Flink, tmp_path: Path) -> None:
    stream = windows(et.read_csv(write_files(tmp_path / "in", EVENTS), schema=SCHEMA))
    job = compile_plan(stream.write(et.write_ndjson(f"{tmp_path}/out/")).plan).job
    plan = base64.urlsafe_b64encode(job.encode()).decode()
    with pytest.raises(FlinkError, match="another release of the job"):
        begin(Rest(flink.address), jar_path(), Start(("--plan", plan, "--jar", "0" * 16)))
