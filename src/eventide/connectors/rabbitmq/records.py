"""Messages of a queue as records of a journal: what identifies the message, its routing key, its body.

Law: a message that RabbitMQ delivers again has the same name, and messages that differ in anything that their sender
wrote have different ones.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.journal import Record
from eventide.flow import Batch

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage

NAME_BYTES = 16
_KEY = struct.Struct("<H")


def name_of(message: DeliveredMessage, unique_ids: bool = False) -> bytes:
    """What tells a message from others: all that its sender wrote; not what RabbitMQ adds on the way (`x-...`). With
    `unique_ids` the id alone, where there is one.
    """
    sent = message.header.properties
    if unique_ids and sent.message_id:
        return hashlib.blake2b(sent.message_id.encode(), digest_size=NAME_BYTES, person=b"id").digest()
    headers = sorted((name, repr(one)) for name, one in (sent.headers or {}).items() if not name.startswith("x-"))
    told = (sent.message_id, sent.timestamp, sent.correlation_id, sent.message_type, sent.app_id, sent.content_type)
    text = repr((message.exchange, message.routing_key, told, headers)).encode()
    return hashlib.blake2b(struct.pack("<I", len(text)) + text + message.body, digest_size=NAME_BYTES).digest()


def packed(name: bytes, message: DeliveredMessage) -> bytes:
    """A message as a record."""
    key = (message.routing_key or "").encode()
    return name + _KEY.pack(len(key)) + key + message.body


def batch_of(parser: MessageParser, log: str, records: Sequence[Record], routing_key: str | None) -> Batch:
    """The rows of records."""
    bodies, keys = [], []
    for record in records:
        value = record.value
        start = NAME_BYTES + _KEY.size
        end = start + _KEY.unpack_from(value, NAME_BYTES)[0]
        bodies.append(value[end:])
        keys.append(value[start:end].decode("utf-8", "replace"))
    extra: Mapping[str, pl.Series] = {} if routing_key is None else {routing_key: pl.Series(keys, dtype=pl.String)}
    offsets = [record.offset for record in records]
    return parser.batch(log, Messages(bodies, offsets, [record.arrival_us for record in records], extra))
