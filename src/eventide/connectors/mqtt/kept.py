"""A message as a record of the journal, and records as rows.

Law: a record holds all that a row is made of, so that a replay needs no broker.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from eventide.connectors.formats.messages import Messages
from eventide.connectors.formats.text import RAW_MAX, too_long
from eventide.connectors.journal import Record

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage


class Kept(msgspec.Struct, array_like=True):
    """What is kept of a message."""

    topic: str
    value: bytes
    properties: list[tuple[str, str]] = []
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """Columns beside the message's value: its topic, the levels of its topic, its user properties as JSON."""

    topic: str | None = None
    levels: tuple[str | None, ...] = ()
    properties: str | None = None

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        """Their names and types."""
        names = [name for name in (self.topic, *self.levels, self.properties) if name is not None]
        if len(set(names)) < len(names):
            raise ValueError(f"two columns have one name: {', '.join(names)}")
        return dict.fromkeys(names, pl.String())

    def messages(self, records: Sequence[Record]) -> Messages:
        """Records of the journal as messages with these columns."""
        kept = [msgspec.msgpack.decode(one.value, type=Kept) for one in records]
        extra: dict[str, list[str | None]] = {}
        if self.topic is not None:
            extra[self.topic] = [one.topic for one in kept]
        topics = [one.topic.split("/") for one in kept] if self.levels else []
        for place, name in enumerate(self.levels):
            if name is not None:
                extra[name] = [levels[place] if place < len(levels) else None for levels in topics]
        if self.properties is not None:
            extra[self.properties] = [_as_json(one.properties) for one in kept]
        return Messages(
            [one.value for one in kept],
            [one.offset for one in records],
            [one.arrival_us for one in records],
            {name: pl.Series(name, values, dtype=pl.String) for name, values in extra.items()},
            {number: one.fault for number, one in enumerate(kept) if one.fault is not None},
        )


def record_of(message: MQTTMessage, record_max_bytes: int) -> bytes:
    """A message as a record; of one that is too long only the beginning, with the fault."""
    try:
        topic = message.topic
    except UnicodeDecodeError:
        topic = ""
    properties = [] if message.properties is None else getattr(message.properties, "UserProperty", [])
    fault = too_long(record_max_bytes) if len(message.payload) > record_max_bytes else None
    value = bytes(message.payload if fault is None else message.payload[: RAW_MAX * 4])
    return msgspec.msgpack.encode(Kept(topic, value, [tuple(one) for one in properties], fault))


def _as_json(properties: Sequence[tuple[str, str]]) -> str | None:
    return json.dumps(dict(properties), ensure_ascii=False) if properties else None
