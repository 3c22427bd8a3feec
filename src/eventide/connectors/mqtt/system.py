"""MQTT as plain values and back, for plans as text, and what it promises.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.mqtt.config import Broker
from eventide.connectors.mqtt.kept import Parts
from eventide.connectors.mqtt.sink import MqttTopic
from eventide.connectors.mqtt.source import Listening, MqttTopics
from eventide.connectors.schemas import schema_to
from eventide.flow import Promise, Sink, Source
from eventide.instants import duration_text, positive_us
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "MQTT 5 topics",
        "source",
        "at least once",
        "QoS 1, acknowledged when the message is in a journal, behind its fsync; from there on exactly once. A message "
        "whose acknowledgement is lost on the way comes again, as MQTT has it",
        "a broker that keeps the session while the run is away; its queue limits (Mosquitto: max_queued_messages) hold "
        "what comes meanwhile; the folder of the journal stays as it is",
    ),
    Promise(
        "MQTT 5 topic",
        "sink",
        "at least once",
        "QoS 1, each epoch once it is decided; after a kill the last epoch comes again, each message with the same id "
        "in the user property `eventide-id`",
        "subscribers that do not mind, or leave out ids they have seen",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, MqttTopics)
    parser, parts, listening = source.parser, source.parts, source.listening
    tree: Tree = {"kind": "mqtt", **source.broker.as_tree(), "topics": list(source.topics), "format": parser.format}
    given = {
        "topic": parts.topic,
        "levels": list(parts.levels) or None,
        "properties": parts.properties,
        "client_id": listening.client_id or None,
        "journal": source.journal,
        "arrival": parser.arrival,
    }
    tree |= {name: value for name, value in given.items() if value is not None}
    return tree | {
        "session": duration_text(listening.session_us),
        "patience": duration_text(listening.patience_us),
        "retained": listening.retained,
        "journal_bytes_most": listening.journal_bytes_most,
        "record_max_bytes": parser.record_max_bytes,
        "name": source.name,
        "schema": schema_to(parser.schema),
    }


def source_from(tree: Mapping[str, Any], schema: Schema) -> MqttTopics:
    """A source of plain values."""
    parts = Parts(tree.get("topic"), tuple(tree.get("levels", ())), tree.get("properties"))
    most = tree.get("record_max_bytes", RECORD_MAX_BYTES)
    parser = MessageParser(schema, tree.get("format", "json"), tree.get("arrival"), most, (), parts.columns)
    listening = Listening(
        tree.get("client_id", ""),
        positive_us(tree.get("session", "1d"), "session"),
        positive_us(tree.get("patience", "30s"), "patience"),
        bool(tree.get("retained", True)),
        int(tree.get("journal_bytes_most", Listening().journal_bytes_most)),
    )
    topics = (tree["topics"],) if isinstance(tree["topics"], str) else tuple(tree["topics"])
    return MqttTopics(_broker(tree), topics, parser, parts, listening, tree.get("journal"), tree.get("name", ""))


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, MqttTopic)
    return {"kind": "mqtt", **sink.broker.as_tree(), "topic": sink.topic} | ({"retain": True} if sink.retain else {})


def sink_from(tree: Mapping[str, Any]) -> MqttTopic:
    """A sink of plain values."""
    return MqttTopic(_broker(tree), str(tree["topic"]), bool(tree.get("retain", False)))


def _broker(tree: Mapping[str, Any]) -> Broker:
    return Broker(tree.get("server"), tree.get("env"))
