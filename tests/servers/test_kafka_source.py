"""Topics of a real Kafka as sources: every message one row or one dead letter, wherever reading begins or breaks off."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.cimpl import NewPartitions
from tests.servers.conftest import Topics

import eventide as et
from eventide.flow import Batch, GappedReader, Position, ReadContext
from eventide.runners.embedded import Running
from eventide.semantics.schema import SchemaLike
from eventide.testing.services.kafka import Kafka

SCHEMA: SchemaLike = {"k": str, "n": int}
READINGS: SchemaLike = {"k": str, "at": et.field(et.Instant, unit="ms"), "n": int}


def lines(count: int, key: str = "a", start: int = 0) -> list[str]:
    return [json.dumps({"k": key, "at": (start + n) * 100, "n": n}) for n in range(count)]


def ended_after(rows: int) -> Callable[[Running], Callable[[], None]]:
    """An observer that stops a run once so many rows were received."""

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            if running.pipeline.accounting.total.received >= rows:
                running.stop.set()

        return beat

    return observe


def windows(stream: et.Stream) -> et.Stream:
    return (
        stream.event_time("at", et.bounded("1s"))
        .group_by("k")
        .window(et.tumbling("2s"))
        .agg(n=et.count(), total=et.col("n").sum())
    )


def batches(
    stream: et.Stream, positions: Mapping[str, Position], rows_max: int
) -> tuple[list[Batch], dict[str, Position]]:
    """All batches of a bounded source, and where its readers stood at the end."""
    context = ReadContext()
    logs = stream.plan.inputs[0].source.open(context, positions)
    readers, found = logs.discover(), []
    while not all(reader.finished for reader in readers):
        context.wake.clear()
        made = [batch for reader in readers if (batch := reader.read(rows_max)) is not None]
        found += made
        if not made:
            context.clock.wait(context.wake, 50_000)
    ends = {reader.log: reader.position() for reader in readers}
    logs.close()
    return found, ends


def test_types_nulls_and_nested_values_come_as_the_schema_says(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    topics.send(topic, '{"a":{"b":[1,2.5]},"t":"ü\\n\\"☃","w":7,"on":true,"at":"2026-01-31T12:00:00Z"}', '{"t":null}')
    schema: SchemaLike = {"deep": et.field(float, path="a.b[1]"), "t": str, "w": int, "on": bool, "at": et.Instant}
    out = et.read_kafka(topic, servers=kafka.address, schema=schema, bounded=True).run(show=False)
    assert out.results.rows() == [(2.5, 'ü\n"☃', 7, True, at), (None, None, None, None, None)]


def test_rows_arrive_at_the_timestamp_of_their_message(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, "a", "b", at_ms=5_000)
    stream = et.read_kafka(topic, servers=kafka.address, format="raw", bounded=True)
    (batch,), _ = batches(stream, {}, 10)
    assert batch.rows.get_column("_arrival").cast(pl.Int64).to_list() == [5_000_000, 5_001_000]
    assert batch.rows.get_column("value").to_list() == ["a", "b"]


def test_poison_becomes_dead_letters_with_log_offset_and_text(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    good, deep = '{"k":"a","n":1}', "[" * 100_000
    topics.send(
        topic, good, None, "", '{"k":"a","n":"x"}', "nope", b"\xff", '{"k":"a"\n,"n":2}', deep, f"{good}\n{good}"
    )
    out = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, bounded=True).run(show=False)
    assert out.results.rows() == [("a", 1), ("a", 2)]
    told = out.dead_letters.sort("_offset").select("_log", "_offset", "field", pl.col("raw").str.slice(0, 20)).rows()
    assert told == [
        (f"{topic}/0", 1, None, ""),
        (f"{topic}/0", 2, None, ""),
        (f"{topic}/0", 3, "n", '{"k":"a","n":"x"}'),
        (f"{topic}/0", 4, None, "nope"),
        (f"{topic}/0", 5, None, "\ufffd"),
        (f"{topic}/0", 7, None, "[" * 20),
        (f"{topic}/0", 8, None, f"{good} {good}"[:20]),
    ]
    assert out.dead_letters.get_column("reason")[0] == "the message has no value (a tombstone)"


def test_csv_values_are_read_each_by_itself(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, "a,1", '"b\nc",2', '"open,3', 'd"x",4', '"e,f",5', "g,6\nh,7", "2")
    out = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format="csv", bounded=True).run(show=False)
    assert out.results.rows() == [("a", 1), ("b\nc", 2), ('d"x"', 4), ("e,f", 5)]
    assert out.dead_letters.get_column("_offset").sort().to_list() == [2, 5, 6]
    named = et.read_kafka(
        topic, servers=kafka.address, schema={"n": int}, format="csv", header=["k", "n"], bounded=True
    ).run(show=False)
    assert named.results.get_column("n").to_list() == [1, 2, 4, 5]


def test_key_and_headers_become_columns(kafka: Kafka, topics: Topics) -> None:
    from confluent_kafka import Producer

    topic = topics.make()
    producer = Producer({"bootstrap.servers": kafka.address})
    producer.produce(topic, '{"k":"a","n":1}', key="ü", headers=[("h", b"1"), ("g", None)])
    producer.produce(topic, '{"k":"b","n":"x"}', key="bad row")
    producer.produce(topic, '{"k":"c","n":3}', key=b"\xff")
    producer.produce(topic, '{"k":"d","n":4}')
    producer.flush()
    stream = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, bounded=True, key="key", headers="headers")
    out = stream.run(show=False)
    assert out.results.rows() == [("a", 1, "ü", '{"h": "1", "g": null}'), ("d", 4, None, None)]
    assert out.dead_letters.sort("_offset").get_column("reason")[1] == "the key is not UTF-8 text"


def test_a_bounded_read_is_the_same_as_reading_files(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    topic = topics.make(3)
    for number in range(3):
        values = [*lines(2_000 + number, "abc"[number]), "broken", *lines(50, "late", -30)]
        topics.send(topic, *values, partition=number)
        (tmp_path / str(number)).write_text("\n".join(values) + "\n")
    read = windows(et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True))
    files = windows(et.read_ndjson(tmp_path, schema=READINGS))
    out, expected = read.run(show=False), files.run(show=False)
    order = ["window_start", "k"]
    assert out.results.sort(order).equals(expected.results.sort(order))
    assert out.accounting.total == expected.accounting.total
    assert out.late.height == expected.late.height > 0


def test_reading_goes_on_at_positions_wherever_it_was_cut(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, *lines(10))
    topics.transaction(topic, *lines(10), commit=False)
    topics.transaction(topic, *lines(7), commit=True)
    topics.send(topic, *lines(5))
    stream = et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True)
    whole, ends = batches(stream, {}, 1_000)
    rows = pl.concat([batch.rows for batch in whole])
    offsets = rows.get_column("_offset").to_list()
    assert offsets == [*range(10), *range(21, 28), *range(29, 34)], "aborted messages and markers leave gaps"
    assert ends == {f"{topic}/0": {"offset": 34, "end": 34}}
    for cut in range(0, 22, 3):
        at = offsets[cut]
        rest, _ = batches(stream, {f"{topic}/0": {"offset": at, "end": 34}}, 3)
        assert pl.concat([batch.rows for batch in rest]).equals(rows.filter(pl.col("_offset") >= at))


def test_a_reader_stops_in_front_of_an_offset_that_lies_in_a_gap(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, *lines(3))
    topics.transaction(topic, *lines(5), commit=False)
    topics.send(topic, *lines(2))
    source = et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True).plan.inputs[0].source
    context = ReadContext()
    logs = source.open(context, {})
    (reader,) = logs.discover()
    assert isinstance(reader, GappedReader)
    found: list[int] = []
    while reader.position()["offset"] != 6:
        batch = reader.read_before(6, 100)
        found += [] if batch is None else batch.rows.get_column("_offset").to_list()
        context.clock.wait(context.wake, 1_000)
    assert found == [0, 1, 2]
    while not reader.finished:
        batch = reader.read(100)
        found += [] if batch is None else batch.rows.get_column("_offset").to_list()
    logs.close()
    assert found == [0, 1, 2, 9, 10]


def test_a_run_that_was_stopped_goes_on_where_it_was(kafka: Kafka, topics: Topics, tmp_path: Path) -> None:
    topic = topics.make(2)
    for number in range(2):
        topics.send(topic, *lines(3_000, "ab"[number]), partition=number)
    expected = windows(et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True)).run(show=False)

    def job(rows: int) -> et.Outcome:
        read = et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True)
        stream = windows(read).write(et.write_ndjson(tmp_path / "out.ndjson"))
        out: et.Outcome = stream.run(show=False, state=tmp_path / "state", rows_max=500, observe=ended_after(rows))
        return out

    for rows in (700, 2_600, 10**9):
        out = job(rows)
    assert out.finished
    got = pl.read_ndjson(tmp_path / "out.ndjson")
    assert (
        got.select("k", "n", "total").sort(pl.all()).equals(expected.results.select("k", "n", "total").sort(pl.all()))
    )
    assert out.accounting.total == expected.accounting.total


def test_a_quiet_partition_holds_nobody_back_once_it_is_idle(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make(3)
    topics.send(topic, *lines(100), partition=1)
    stream = et.read_kafka(topic, servers=kafka.address, schema=READINGS)
    timed = stream.event_time("at", et.bounded("1s"), idle_after="300ms")
    seen: list[pl.DataFrame] = []
    more = False

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            nonlocal more
            clocks = running.pipeline.clocks
            assert clocks is not None
            if not more and len(clocks.logs) == 3 and clocks.all_idle:
                more = True
                topics.send(topic, *lines(1, "b", 200), partition=1)
            if seen:
                running.stop.set()

        return beat

    windowed = timed.group_by("k").window(et.tumbling("2s")).agg(n=et.count())
    windowed.write(et.call(seen.append)).run(show=False, observe=observe)
    assert pl.concat(seen).get_column("n").to_list() in ([20] * 4, [20] * 5)


def test_partitions_that_come_later_are_read_from_their_beginning(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make(1)
    topics.send(topic, *lines(10))
    grown = False

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            nonlocal grown
            received = running.pipeline.accounting.total.received
            if received == 10 and not grown:
                grown = True
                topics.admin.create_partitions([NewPartitions(topic, 2)])[topic].result()
                topics.send(topic, *lines(7, "b"), partition=1)
            if received >= 17:
                running.stop.set()

        return beat

    stream = et.read_kafka(topic, servers=kafka.address, schema=READINGS, start="earliest", discover_every="100ms")
    out = stream.run(show=False, observe=observe)
    assert sorted(out.results.get_column("k").to_list()) == ["a"] * 10 + ["b"] * 7


@pytest.mark.parametrize(
    ("start", "expected"),
    [("earliest", [0, 1, 2, 3]), ("1970-01-01T00:00:01.002Z", [2, 3]), ("committed", [1, 2, 3]), ("latest", [])],
)
def test_reading_starts_where_it_is_told_to(start: str, expected: list[int], kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, *lines(4))
    member = Consumer({"bootstrap.servers": kafka.address, "group.id": f"{topic}-group"})
    member.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    member.close()
    group = f"{topic}-group"
    stream = et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True, start=start, group=group)
    assert stream.run(show=False).results.get_column("n").to_list() == expected


def test_committed_messages_only_are_read_unless_others_are_asked_for(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.transaction(topic, *lines(3), commit=False)
    topics.transaction(topic, *lines(2))
    read: dict[str, Any] = {"servers": kafka.address, "schema": READINGS, "bounded": True}
    assert et.read_kafka(topic, **read).run(show=False).results.height == 2
    assert et.read_kafka(topic, **read, isolation="read_uncommitted").run(show=False).results.height == 5


def test_messages_that_were_deleted_before_they_were_read_are_told(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, *lines(10))
    topics.admin.delete_records([TopicPartition(topic, 0, 6)])[TopicPartition(topic, 0, 6)].result()
    stream = et.read_kafka(topic, servers=kafka.address, schema=READINGS, bounded=True)
    assert stream.run(show=False).results.height == 4
    with pytest.raises(et.SourceError, match=rf"offsets 3 to 5 of {topic}/0 were deleted before they were read"):
        batches(stream, {f"{topic}/0": {"offset": 3}}, 10)
    with pytest.raises(et.SourceError, match="the topic was made anew"):
        batches(stream, {f"{topic}/0": {"offset": 11}}, 10)


def test_a_broker_that_is_stopped_and_started_again_costs_nothing(
    own_kafka: Callable[[], Kafka], caplog: pytest.LogCaptureFixture
) -> None:
    broker = own_kafka()
    topics = Topics(broker.address)
    topic = topics.make(2)
    topics.send(topic, *lines(500), partition=0)
    restarted = False

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            nonlocal restarted
            received = running.pipeline.accounting.total.received
            if received == 500 and not restarted:
                broker.stop()
            if received == 500 and not restarted and "does not answer" in caplog.text:
                restarted = True
                broker.start()
                topics.send(topic, *lines(300, "b"), partition=1)
                topics.send(topic, *lines(200, "a", 500), partition=0)
            if received >= 1_000:
                running.stop.set()

        return beat

    out = et.read_kafka(topic, servers=broker.address, schema=READINGS).run(show=False, observe=observe)
    assert restarted
    assert out.results.filter(k="b").get_column("n").to_list() == list(range(300))
    assert out.results.filter(k="a").get_column("n").to_list() == [*range(500), *range(200)]
    assert "answers again" in caplog.text


def test_what_is_wrong_with_a_source_is_told_with_its_remedy(
    kafka: Kafka, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(et.SourceError, match=r"127\.0\.0\.1:9.*Is the broker running, and is servers= right\?"):
        et.read_kafka("t", servers="127.0.0.1:9", schema=SCHEMA, patience="500ms").run(show=False)
    with pytest.raises(et.SourceError, match="topic missing at .*Create the topic first, or check its name"):
        et.read_kafka("missing", servers=kafka.address, schema=SCHEMA).run(show=False)
    with pytest.raises(et.SourceError, match="No such configuration property"):
        et.read_kafka("t", servers=kafka.address, schema=SCHEMA, settings={"no.such": 1}).run(show=False)
    with pytest.raises(ValueError, match='start="committed" needs the group'):
        et.read_kafka("t", servers=kafka.address, schema=SCHEMA, start="committed")
    with pytest.raises(ValueError, match="start='tomorrow' is no place to start"):
        et.read_kafka("t", servers=kafka.address, schema=SCHEMA, start="tomorrow")
    with pytest.raises(ValueError, match="topic 'a b' is not a name"):
        et.read_kafka("a b", servers=kafka.address, schema=SCHEMA)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    stream = et.read_kafka("t", servers=kafka.address, schema=SCHEMA)
    with pytest.raises((et.PlanError, et.SourceError), match=r'pip install "eventide\[kafka\]"'):
        stream.run(show=False)


def test_secrets_come_from_the_environment_and_are_shown_nowhere(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'sasl.password' is a secret and must not stand in a plan") as refused:
        et.read_kafka("t", servers="h:1", schema=SCHEMA, settings={"sasl.password": "hunter2"})
    assert "hunter2" not in str(refused.value)
    settings: dict[str, str | int] = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "env:KAFKA_USER",
        "sasl.password": "env:KAFKA_PASSWORD",
    }
    stream = et.read_kafka("t", servers=kafka.address, schema=SCHEMA, settings=settings, patience="500ms")
    with pytest.raises(et.PlanError, match="names the environment variable KAFKA_PASSWORD, which is not set"):
        stream.run(show=False)
    monkeypatch.setenv("KAFKA_USER", "somebody")
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    with pytest.raises(et.SourceError) as failed:
        stream.run(show=False)
    assert "hunter2" not in str(failed.value) + repr(stream.plan) + stream.to_yaml() + stream.explain()


def test_a_topic_can_be_written_as_text_and_read_back() -> None:
    stream = et.read_kafka(
        ["a", "b"],
        servers=["h:1", "h:2"],
        schema=SCHEMA,
        format="csv",
        start="2026-01-31T12:00:00Z",
        bounded=True,
        key="key",
        header=["k", "n"],
        isolation="read_uncommitted",
        discover_every="1s",
        settings={"sasl.password": "env:P"},
        name="both",
    ).write(et.write_kafka("out", servers="h:1", key="k", retractions="tombstone", patience="5s"))
    assert et.Stream.from_yaml(stream.to_yaml()).plan == stream.plan
    assert et.Stream.from_json(stream.to_json()).plan == stream.plan
    assert "Kafka topics a, b at h:1,h:2, csv, from 2026-01-31" in stream.explain()
    assert "Kafka topic out at h:1, keyed by k, retractions as tombstones" in stream.explain()
