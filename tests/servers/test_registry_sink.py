"""Outputs in Avro and JSON Schema: what was written is read back, by us and by the registry's own client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from tests.servers.conftest import Topics
from typer.testing import CliRunner

import eventide as et
from eventide.cli import app
from eventide.testing.services.apicurio import Apicurio
from eventide.testing.services.kafka import Kafka

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"k": "ü", "at": NOON + timedelta(microseconds=1), "x": 0.1, "n": 2**62, "ok": True},
    {"k": None, "at": None, "x": None, "n": None, "ok": None},
]
SCHEMA: dict[str, Any] = {"k": str, "at": et.Instant, "x": float, "n": int, "ok": bool}


@pytest.mark.parametrize("language", ["avro", "json_schema"])
def test_what_is_written_is_read_back(
    language: str, kafka: Kafka, topics: Topics, apicurio: Apicurio, tmp_path: Path
) -> None:
    topic = topics.make()
    form = (et.avro_format if language == "avro" else et.json_schema_format)(apicurio.address)
    sink = et.write_kafka(topic, servers=kafka.address, format=form)
    stream = et.from_rows(ROWS, schema=SCHEMA).write(sink)
    stream.run(show=False, state=tmp_path / "state")
    read = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format=form, bounded=True)
    out = read.run(show=False)
    assert out.results.rows() == [tuple(row.values()) for row in ROWS]
    assert out.notes == ()
    job = tmp_path / "job.yaml"
    job.write_text(read.to_yaml())
    asked = CliRunner().invoke(app, ["schema", "check", str(job), f"{topic}-value"])
    assert (asked.exit_code, asked.output) == (0, f"{topic}: reads it\n")


def test_the_client_of_others_reads_our_avro(kafka: Kafka, topics: Topics, apicurio: Apicurio) -> None:
    topic = topics.make()
    sink = et.write_kafka(topic, servers=kafka.address, format=et.avro_format(apicurio.address))
    et.from_rows(ROWS, schema=SCHEMA).write(sink).run(show=False)
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "others"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    with SchemaRegistryClient({"url": apicurio.address}) as client:
        decode = AvroDeserializer(client)
        values = [consumer.poll(30).value() for _ in ROWS]  # type: ignore[union-attr] # it comes, or the test fails
        found = [decode(value, SerializationContext(topic, MessageField.VALUE)) for value in values]
    consumer.close()
    assert found == ROWS


def test_a_schema_that_is_not_there_stops_before_anything_is_written(
    kafka: Kafka, topics: Topics, apicurio: Apicurio
) -> None:
    topic = topics.make()
    form = et.avro_format(apicurio.address)
    sink = et.write_kafka(topic, servers=kafka.address, format=form, register=False)
    with pytest.raises(et.SinkError, match=f"does not have this output's schema in {topic}-value"):
        et.from_rows(ROWS, schema=SCHEMA).write(sink).run(show=False)
    named = et.from_rows([{"a b": 1}], schema={"a b": int})
    with pytest.raises(et.SinkError, match="'a b' has a name that Avro does not take: rename it"):
        named.write(et.write_kafka(topic, servers=kafka.address, format=form)).run(show=False)
    away = et.write_kafka(topic, servers=kafka.address, format=et.avro_format("http://127.0.0.1:9", patience="100ms"))
    with pytest.raises(et.SinkError, match="schema registry at http://127.0.0.1:9: it does not answer"):
        et.from_rows(ROWS, schema=SCHEMA).write(away).run(show=False)
    plan = et.from_rows(ROWS, schema=SCHEMA).write(sink)
    with pytest.raises(ValueError, match="envelope= is for reading"):
        et.write_kafka(topic, servers="h:1", format=et.avro_format("http://h:1", envelope="a"))
    read = et.read_kafka("t", servers="h:1", schema=SCHEMA).write(sink)
    assert et.Stream.from_yaml(read.to_yaml()).plan == read.plan
    assert "avro with the schema registry at" in plan.explain()


def test_a_schema_that_the_registry_does_not_take_stops_before_anything_is_written(
    kafka: Kafka, topics: Topics, apicurio: Apicurio
) -> None:
    """The rule is BACKWARD: a text where a number was cannot be read by those who have the new schema."""
    topic = topics.make()
    form = et.avro_format(apicurio.address)
    sink = et.write_kafka(topic, servers=kafka.address, format=form)
    et.from_rows([{"x": 0.1}], schema={"x": float}).write(sink).run(show=False)
    with SchemaRegistryClient({"url": apicurio.address}) as client:
        client.set_compatibility(f"{topic}-value", "BACKWARD")
    with pytest.raises(et.SinkError, match="does not go with the versions before it .* name another subject="):
        et.from_rows([{"x": "much"}], schema={"x": str}).write(sink).run(show=False)
    read = et.read_kafka(topic, servers=kafka.address, schema={"x": float}, format=form, bounded=True)
    assert read.run(show=False).results.rows() == [(0.1,)]
