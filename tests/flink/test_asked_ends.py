"""Topics and tables that are asked for before a job is sent."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
import pytest
from tests.flink.feed import SCHEMA, make_topic, partitions, windows, write_files

import eventide as et
from eventide.errors import SinkError, SourceError
from eventide.runners.flink.ends import ask_ends
from eventide.servers.process import free_port
from eventide.testing.services.kafka import Kafka
from eventide.testing.services.postgres import Postgres


@pytest.fixture
def stream(tmp_path: Path) -> et.Stream:
    return windows(et.read_csv(write_files(tmp_path / "in", partitions(10)), schema=SCHEMA))


def test_a_topic_that_is_not_there_is_refused(stream: et.Stream, broker: Kafka) -> None:
    there = make_topic(broker.address, "asked")
    reads = windows(et.read_kafka("unasked", servers=broker.address, schema=SCHEMA))
    with pytest.raises(SourceError, match=r"source unasked: topic unasked at .*Create the topic first"):
        ask_ends(reads.write(et.write_kafka(there, servers=broker.address)).plan)
    with pytest.raises(SinkError, match=r"sink Kafka topic unasked: topic unasked at .*Create the topic first"):
        ask_ends(stream.write(et.write_kafka("unasked", servers=broker.address)).plan)
    ask_ends(stream.write(et.write_kafka(there, servers=broker.address)).plan)


def test_a_table_that_does_not_take_the_rows_is_refused(stream: et.Stream, database: Postgres) -> None:
    written = stream.write(et.write_postgres("asked", dsn=database.address))
    with pytest.raises(SinkError, match=r"there is no table asked in PostgreSQL: make it"):
        ask_ends(written.plan)
    with psycopg.connect(database.address, autocommit=True) as connection:
        connection.execute("CREATE TABLE asked (sensor text, window_start timestamptz)")
        with pytest.raises(SinkError, match=r"lacks columns of this output: add \"window_end\""):
            ask_ends(written.plan)


def test_servers_that_do_not_answer_here_may_answer_to_the_cluster(
    stream: et.Stream, caplog: pytest.LogCaptureFixture
) -> None:
    away = free_port()
    table = et.write_postgres("asked", dsn=f"postgresql://postgres@127.0.0.1:{away}/postgres")
    written = stream.write(table).write(et.write_kafka("asked", servers=f"127.0.0.1:{away}"), output="late")
    with caplog.at_level(logging.WARNING, "eventide.flink"):
        ask_ends(written.plan)
    told = [record.message for record in caplog.records if record.name == "eventide.flink"]
    assert any(one.startswith("sink postgres table asked: cannot connect") for one in told)
    assert f"sink Kafka topic asked: no broker answers here at 127.0.0.1:{away}: the job waits for one" in told
