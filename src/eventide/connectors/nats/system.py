"""NATS as plain values and back, for plans as text, and what it promises.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from eventide.connectors.nats.config import Server
from eventide.connectors.nats.sink import NatsSubject
from eventide.connectors.nats.source import NatsStream
from eventide.connectors.schemas import schema_to
from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "NATS JetStream stream",
        "source",
        "exactly once",
        "a position is a sequence of the stream; nothing is acknowledged",
        "a stream that keeps messages until they are read (limits, not workqueue or interest); a gap stops the run",
    ),
    Promise(
        "NATS JetStream subject",
        "sink",
        "exactly once",
        "each message has an id of run, output, epoch, its place and row; after a kill the stream is read from where "
        "the epoch began, and what is missing is sent. Readers may see part of an epoch for a while",
        "a stream that keeps an epoch's messages until the next epoch; nobody deletes them",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, NatsStream)
    tree: Tree = {"kind": "nats", **source.server.as_tree(), "stream": source.stream, "subject": source.subject}
    start = source.start.isoformat() if isinstance(source.start, datetime) else source.start
    tree |= {
        "format": source.format,
        "start": start,
        "follow": source.follow,
        "name": source.name,
        "schema": schema_to(source.schema),
    }
    return tree | ({} if source.arrival is None else {"arrival": source.arrival})


def source_from(tree: Mapping[str, Any], schema: Schema) -> NatsStream:
    """A source of plain values."""
    start = tree.get("start", "earliest")
    if isinstance(start, str) and start not in ("earliest", "latest"):
        start = datetime.fromisoformat(start)
    form, follow = tree.get("format", "json"), bool(tree.get("follow", True))
    rest = tree.get("subject", ">"), form, start, follow, tree.get("arrival"), tree.get("name", "")
    return NatsStream(_server(tree), tree["stream"], schema, *rest)


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, NatsSubject)
    return {"kind": "nats", **sink.server.as_tree(), "subject": sink.subject}


def sink_from(tree: Mapping[str, Any]) -> NatsSubject:
    """A sink of plain values."""
    return NatsSubject(_server(tree), str(tree["subject"]))


def _server(tree: Mapping[str, Any]) -> Server:
    return Server(tree.get("servers"), tree.get("env"), tree.get("credentials"))
