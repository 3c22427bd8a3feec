"""RabbitMQ as plain values and back, for plans as text, and what it promises.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from eventide.connectors.journal import JournalSettings
from eventide.connectors.rabbitmq.config import Broker
from eventide.connectors.rabbitmq.sink import RabbitMqExchange
from eventide.connectors.rabbitmq.source import RabbitMqQueue
from eventide.connectors.schemas import schema_to
from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "RabbitMQ queue",
        "source",
        "exactly once",
        "a message is acknowledged when it is in a journal on the disk; one that is delivered again is told by what "
        "its sender wrote, among the last 50,000, and left out",
        "a durable queue that one run at a time reads; a state folder on a local disk. Two messages that are the same "
        "in body and all properties may pass for one if the connection breaks between them: a `message_id` tells them "
        "apart",
    ),
    Promise(
        "RabbitMQ stream",
        "source",
        "exactly once",
        "a position is an offset of the stream; nothing is kept by the broker",
        "a stream that keeps messages until they are read; a gap stops the run",
    ),
    Promise(
        "RabbitMQ exchange, queue",
        "sink",
        "at least once",
        "persistent messages, confirmed; the last epoch sent is noted in a queue of one message. After a kill in the "
        "middle of an epoch its messages are sent again, with the same `message_id`",
        "a queue that takes the messages; the right to make queues `eventide.epochs.*`; consumers that leave out a "
        "`message_id` they know",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, RabbitMqQueue)
    start = source.start.isoformat() if isinstance(source.start, datetime) else source.start
    tree: Tree = {
        "kind": "rabbitmq",
        **source.broker.as_tree(),
        "queue": source.queue,
        "stream": source.stream,
        "format": source.format,
        "start": start,
        "prefetch": source.prefetch,
        "unique_ids": source.unique_ids,
        "journal_bytes_most": source.journal_bytes_most,
        "name": source.name,
        "schema": schema_to(source.schema),
    }
    rest = {"arrival": source.arrival, "routing_key": source.routing_key, "journal": source.journal}
    return tree | {name: value for name, value in rest.items() if value is not None}


def source_from(tree: Mapping[str, Any], schema: Schema) -> RabbitMqQueue:
    """A source of plain values."""
    start = tree.get("start", "earliest")
    if isinstance(start, str) and start not in ("earliest", "latest"):
        start = datetime.fromisoformat(start)
    return RabbitMqQueue(
        _broker(tree),
        str(tree["queue"]),
        schema,
        bool(tree.get("stream")),
        tree.get("format", "json"),
        start,
        tree.get("arrival"),
        tree.get("routing_key"),
        int(tree.get("prefetch", 256)),
        bool(tree.get("unique_ids")),
        tree.get("journal"),
        int(tree.get("journal_bytes_most", JournalSettings().most_bytes)),
        tree.get("name", ""),
    )


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, RabbitMqExchange)
    tree: Tree = {"kind": "rabbitmq", **sink.broker.as_tree(), "routing_key": sink.routing_key}
    return tree | ({"exchange": sink.exchange} if sink.exchange else {})


def sink_from(tree: Mapping[str, Any]) -> RabbitMqExchange:
    """A sink of plain values."""
    return RabbitMqExchange(_broker(tree), str(tree["routing_key"]), str(tree.get("exchange", "")))


def _broker(tree: Mapping[str, Any]) -> Broker:
    return Broker(tree.get("address"), tree.get("env"))
