"""Topics of Kafka as plain values and back, for plans as text, and what they promise.

Law: secrets are in the text by the name of their environment variable only; what is as usual is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.formats.encoded import format_from, format_to
from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.kafka.config import Connection, connection
from eventide.connectors.kafka.sink import KafkaSink, Writing
from eventide.connectors.kafka.source import KafkaTopics, Reading, Start
from eventide.connectors.schemas import schema_to
from eventide.flow import Promise, Sink, Source
from eventide.instants import duration_text, positive_us
from eventide.semantics.schema import Schema

Tree = dict[str, Any]
_USUAL = Reading()
_USUAL_WRITING = Writing()

PROMISES = (
    Promise(
        "Kafka topic",
        "source",
        "exactly once",
        "a position is a partition's next offset, kept in the state folder; nothing is committed to a group",
        "the topic keeps messages until they are read; with compaction, what was overwritten meanwhile is not seen",
    ),
    Promise(
        "Kafka topic",
        "sink",
        "exactly once",
        "an epoch is a transaction, which also holds the epoch's number (topic `eventide-epochs`); without a state "
        "folder at least once",
        "consumers with isolation.level=read_committed; the right to transactions and to the topic `eventide-epochs`; "
        "if the newest checkpoint is damaged, what came behind the one before is sent again",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, KafkaTopics)
    reading, parser = source.reading, source.parser
    tree: Tree = {"kind": "kafka", "topics": list(source.topics), "name": source.name, "format": parser.format}
    tree |= _connection_to(source.connection) | {"start": str(reading.start), "schema": schema_to(source.schema)}
    given = {
        "bounded": reading.bounded,
        "arrival": parser.arrival,
        "group": reading.group,
        "key": reading.key,
        "headers": reading.headers,
        "header": list(parser.header),
    }
    tree |= {name: value for name, value in given.items() if value}
    if reading.isolation != _USUAL.isolation:
        tree["isolation"] = reading.isolation
    if reading.discover_every_us != _USUAL.discover_every_us:
        tree["discover_every"] = duration_text(reading.discover_every_us)
    if reading.patience_us != _USUAL.patience_us:
        tree["patience"] = duration_text(reading.patience_us)
    if parser.record_max_bytes != RECORD_MAX_BYTES:
        tree["record_max_bytes"] = parser.record_max_bytes
    return tree


def source_from(tree: Mapping[str, Any], schema: Schema) -> KafkaTopics:
    """A source of plain values."""
    reading = Reading(
        Start.of(tree.get("start", "earliest")),
        bool(tree.get("bounded")),
        tree.get("group"),
        tree.get("isolation", _USUAL.isolation),
        tree.get("key"),
        tree.get("headers"),
        _duration(tree, "discover_every", _USUAL.discover_every_us),
        _duration(tree, "patience", _USUAL.patience_us),
    )
    record_max_bytes = int(tree.get("record_max_bytes", RECORD_MAX_BYTES))
    header = tuple(tree.get("header", ()))
    form = tree.get("format", "json")
    parser = MessageParser(schema, form, tree.get("arrival"), record_max_bytes, header, reading.extra)
    return KafkaTopics(tuple(tree["topics"]), _connection_from(tree), parser, reading, tree.get("name", ""))


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, KafkaSink)
    tree: Tree = {"kind": "kafka", "topic": sink.topic} | _connection_to(sink.connection)
    if sink.writing.key:
        tree["key"] = list(sink.writing.key)
    if sink.writing.retractions != _USUAL_WRITING.retractions:
        tree["retractions"] = sink.writing.retractions
    if sink.writing.patience_us != _USUAL_WRITING.patience_us:
        tree["patience"] = duration_text(sink.writing.patience_us)
    if sink.writing.format is not None:
        tree["format"] = format_to(sink.writing.format)
    if not sink.writing.register:
        tree["register"] = False
    return tree


def sink_from(tree: Mapping[str, Any]) -> KafkaSink:
    """A sink of plain values."""
    writing = Writing(
        tuple(tree.get("key", ())),
        tree.get("retractions", _USUAL_WRITING.retractions),
        _duration(tree, "patience", _USUAL_WRITING.patience_us),
        format_from(tree.get("format")),
        bool(tree.get("register", True)),
    )
    return KafkaSink(str(tree["topic"]), _connection_from(tree), writing)


def _connection_to(reached: Connection) -> Tree:
    return {"servers": reached.servers} | ({"settings": dict(reached.settings)} if reached.settings else {})


def _connection_from(tree: Mapping[str, Any]) -> Connection:
    return connection(str(tree["servers"]), tree.get("settings"))


def _duration(tree: Mapping[str, Any], name: str, usual_us: int) -> int:
    return positive_us(tree[name], name) if name in tree else usual_us
