"""Avro and JSON Schema with a real registry: what a plan can read becomes rows, the rest dead letters or a stop."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import fastavro
import pytest
from tests.servers.conftest import Topics

import eventide as et
from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.registry.client import Answers
from eventide.connectors.registry.config import Registry
from eventide.flow import Batch
from eventide.semantics.schema import as_schema
from eventide.testing.services.apicurio import Apicurio
from eventide.testing.services.kafka import Kafka

READING: list[tuple[str, Any]] = [("sensor", "string"), ("at", {"type": "long", "logicalType": "timestamp-millis"})]
SCHEMA: dict[str, Any] = {"sensor": str, "at": et.Instant, "dose": float}


@pytest.fixture(scope="module")
def registry(apicurio: Apicurio) -> Answers:
    return Answers(Registry(apicurio.address))


def record(*fields: tuple[str, Any] | dict[str, Any], name: str = "Reading") -> dict[str, Any]:
    made = [one if isinstance(one, dict) else {"name": one[0], "type": one[1]} for one in fields]
    return {"type": "record", "name": name, "fields": made}


def registered(registry: Answers, subject: str, schema: dict[str, Any], language: str = "AVRO") -> int:
    return registry.registered(subject, json.dumps(schema), language, make=True)


def avro(number: int, schema: dict[str, Any], *rows: dict[str, Any]) -> list[bytes]:
    made = []
    for row in rows:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
        made.append(struct.pack(">bI", 0, number) + out.getvalue())
    return made


def parsed(parser: MessageParser, values: Sequence[bytes | None]) -> Batch:
    return parser.batch("log", Messages(values, range(len(values)), [0] * len(values)))


def parser(registry: Answers, subject: str, schema: dict[str, Any] = SCHEMA, **settings: Any) -> MessageParser:
    form = et.avro_format(registry.registry.url, subject=subject, **settings)
    return MessageParser(as_schema(schema), form).opened()


def reasons(batch: Batch) -> list[str]:
    return batch.refused.get_column("reason").to_list()


def test_avro_of_kafka_becomes_rows(kafka: Kafka, topics: Topics, registry: Answers) -> None:
    topic = topics.make()
    schema = record(*READING, ("dose", "double"))
    number = registered(registry, f"{topic}-value", schema)
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    rows = [{"sensor": f"ü{n}", "at": at, "dose": n / 4} for n in range(100)]
    topics.send(topic, *avro(number, schema, *rows))
    form = et.avro_format(registry.registry.url)
    stream = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format=form, bounded=True)
    out = et.Stream.from_yaml(stream.to_yaml()).run(show=False)
    assert out.results.rows() == [(f"ü{n}", at, n / 4) for n in range(100)]
    assert out.notes == ()
