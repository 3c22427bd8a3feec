"""A topic of Kafka as a sink: a message for each row.

Law: messages of one key keep their order. Without a state folder every message comes at least once, and a commit waits
until all are confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import polars as pl

from eventide.connectors.formats.encoded import RegistryFormat
from eventide.connectors.formats.rows import registered
from eventide.connectors.kafka.config import Connection, Presence, check_topic, explained, library, problems_of, told
from eventide.connectors.kafka.encoding import Retractions, RowEncoder, missing
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, SystemClock

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

_ROWS_AT_ONCE = 10_000
_BYTES_AT_ONCE = 16 * 2**20
_UNDER_WAY_MOST = 100_000
_UNDER_WAY_BYTES = 64 * 2**20
_USUAL: Mapping[str, object] = {
    "linger.ms": 5,
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
    "reconnect.backoff.max.ms": 2_000,
    "retry.backoff.max.ms": 500,
}


@dataclass(frozen=True, slots=True)
class Writing:
    """How rows are written."""

    key: tuple[str, ...] = ()
    retractions: Retractions = "mark"
    patience_us: int = 60_000_000
    format: RegistryFormat | None = None
    register: bool = True

    def __post_init__(self) -> None:
        if self.format is not None and self.format.envelope is not None:
            raise ValueError("envelope= is for reading: rows are written as they are, leave it out")
        if self.retractions not in get_args(Retractions):
            raise ValueError(f'retractions={self.retractions!r} is not a choice: use "mark" or "tombstone"')


@dataclass(frozen=True, slots=True)
class KafkaSink:
    """A topic of Kafka."""

    topic: str
    connection: Connection
    writing: Writing = field(default_factory=Writing)

    def __post_init__(self) -> None:
        check_topic(self.topic)

    @property
    def name(self) -> str:
        return f"Kafka topic {self.topic}"

    @property
    def explanation(self) -> str:
        """What is written how, in words."""
        key = f", keyed by {', '.join(self.writing.key)}" if self.writing.key else ""
        how = ", retractions as tombstones" if self.writing.retractions == "tombstone" else ""
        form = f", {self.writing.format}" if self.writing.format else ""
        return f"{self.name} at {self.connection.servers}{key}{how}{form}"

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong before anything is opened, each with its remedy."""
        form = self.writing.format
        return [*problems_of(self.connection), *(form.registry.problems if form is not None else ())]

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> KafkaWriter:
        return KafkaWriter(self, self.encoder(output, columns, identity), self.sending({"enable.idempotence": True}))

    def open_epochs(self, opening: Opening) -> EpochWriter:
        from eventide.connectors.kafka.epochs import KafkaEpochs

        return KafkaEpochs(self, self.encoder(opening.output, opening.columns, opening.identity), opening)

    def encoder(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> RowEncoder:
        """The encoder of an output's rows. Raises `SinkError` when it cannot have the key that is asked for."""
        key = self.writing.key or tuple(identity)
        if lacking := missing(key, tuple(columns)):
            raise SinkError(
                f"{self.name}: the output {output} has no column {lacking[0]!r} for the key. It has "
                f"{', '.join(columns)}"
            )
        if self.writing.retractions == "tombstone" and "op" in columns and not key:
            raise SinkError(f"{self.name}: tombstones need a key, and rows of {output} have none: give key=")
        form = self.writing.format
        if form is None:
            return RowEncoder(key, self.writing.retractions)
        subject = form.subject or f"{self.topic}-value"
        made = registered(form, subject, columns, register=self.writing.register)
        return RowEncoder(key, self.writing.retractions, made)

    def sending(self, own: Mapping[str, object]) -> Sending:
        """A producer with these settings, once the topic was seen."""
        kafka = library(SinkError)
        presence = Presence(self.connection.servers)
        settings = {**_USUAL, **self.connection.client({**own, "error_cb": presence.heard}, SinkError)}
        where = f"{self.name} at {self.connection.servers}"
        with told(SinkError, where):
            producer: Producer = kafka.Producer(settings)
            found = producer.list_topics(self.topic, timeout=min(self.writing.patience_us / 1e6, 10)).topics[self.topic]
        if found.error is not None:
            raise SinkError(f"{where}: {explained(found.error)}")
        return Sending(self, producer, presence)


@dataclass
class Sending:
    """A producer with what is under way, and the first of its messages that could not be sent."""

    sink: KafkaSink
    producer: Producer
    presence: Presence
    fault: KafkaError | None = None
    under_way_bytes: int = 0

    def __post_init__(self) -> None:
        self._clock = SystemClock()

    def now_us(self) -> int:
        return self._clock.now_us()

    def produce(self, messages: list[dict[str, Any]], until_us: int) -> None:
        """Hand messages to the client, in order, waiting while too much is under way."""
        start = 0
        while start < len(messages):
            end, size = _some(messages, start)
            while self._is_full(size):
                self.producer.poll(0.05)
                self.check()
                if self.now_us() > until_us:
                    raise self.away()
            self._hand_over(messages[start:end], size)
            start = end

    def _is_full(self, size: int) -> bool:
        many = len(self.producer) > _UNDER_WAY_MOST
        return many or (self.under_way_bytes > 0 and self.under_way_bytes + size > _UNDER_WAY_BYTES)

    def _hand_over(self, messages: list[dict[str, Any]], size: int) -> None:
        count = self.producer.produce_batch(self.sink.topic, messages, on_delivery=self.delivered)
        if count < len(messages):
            error = next(one["_error"] for one in messages if "_error" in one)
            raise SinkError(f"{self.sink.name}: a row could not be sent: {explained(error)}")
        self.under_way_bytes += size
        self.producer.poll(0)

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """The client's callback for each message."""
        self.under_way_bytes -= len(message)
        if error is not None and self.fault is None:
            self.fault = error

    def check(self) -> None:
        """Raise what cannot be mended by waiting."""
        fault = self.fault or self.presence.fault
        if fault is not None:
            raise SinkError(f"{self.sink.name}: a row could not be sent: {explained(fault)}")

    def away(self) -> SinkError:
        """The error of a Kafka that does not answer for longer than patience lasts."""
        seconds = self.sink.writing.patience_us / 1e6
        return SinkError(
            f"{self.sink.name}: Kafka at {self.sink.connection.servers} did not confirm within {seconds:g} s. Is the "
            "broker running? Mend that and start again; with a state folder nothing is lost"
        )


def _some(messages: Sequence[dict[str, Any]], start: int) -> tuple[int, int]:
    """Where the next messages to send at once end, and how many bytes their values have."""
    end, size = start, 0
    while end < len(messages) and end - start < _ROWS_AT_ONCE and size < _BYTES_AT_ONCE:
        size += len(messages[end]["value"] or b"")
        end += 1
    return end, size


class KafkaWriter:
    """Sends rows as they come."""

    def __init__(self, sink: KafkaSink, encoder: RowEncoder, sending: Sending) -> None:
        self._patience_us = sink.writing.patience_us
        self._encoder = encoder
        self._sending = sending

    def write(self, frame: pl.DataFrame) -> None:
        self._sending.produce(self._encoder.messages(frame), self._sending.now_us() + self._patience_us)

    def commit(self) -> None:
        left = self._sending.producer.flush(self._patience_us / 1e6)
        self._sending.check()
        if left:
            raise self._sending.away()

    def close(self) -> None:
        self.commit()

    def abort(self) -> None:
        self._sending.producer.purge()
        self._sending.producer.flush(1)
