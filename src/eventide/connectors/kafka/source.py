"""Topics of Kafka as a source: a partition is a log, its offsets are the log's.

Law: reading begins where a position says or, without one, where `start` says; partitions that come later are read from
their beginning. A bounded read ends where the partitions ended when it began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.kafka.config import Connection, check_topic, explained, library, patiently, problems_of, told
from eventide.connectors.kafka.partitions import Partition, PartitionReader, Poller
from eventide.errors import SourceError
from eventide.flow import LogReader, Position, ReadContext
from eventide.instants import instant_text, instant_us
from eventide.semantics.schema import Schema

if TYPE_CHECKING:
    from confluent_kafka import Consumer

Isolation = Literal["read_committed", "read_uncommitted"]
_WORDS = ("earliest", "latest", "committed")
_CLIENT: Mapping[str, object] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
}
_USUAL: Mapping[str, object] = {
    # what is held ahead is limited by its size, not by 100,000 messages, behind which the client rests for a second
    "queued.max.messages.kbytes": 32_768,
    "queued.min.messages": 1_000_000,
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 100,
    "fetch.error.backoff.ms": 100,
    "reconnect.backoff.max.ms": 2_000,
    "receive.message.max.bytes": 256 * 2**20,
}


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading begins: a word, or the first message at or behind an instant."""

    word: str = "earliest"
    at_us: int | None = None

    @staticmethod
    def of(given: str | datetime) -> Start:
        """As `read_kafka` takes it. Raises `ValueError` for what is neither a word nor an instant."""
        if isinstance(given, str) and given in _WORDS:
            return Start(given)
        try:
            return Start("instant", instant_us(given))
        except ValueError:
            raise ValueError(
                f'start={given!r} is no place to start: use "earliest", "latest", "committed", or an instant such as '
                '"2026-01-31T12:00:00Z"'
            ) from None

    def __str__(self) -> str:
        return self.word if self.at_us is None else instant_text(self.at_us)


@dataclass(frozen=True, slots=True)
class Reading:
    """How topics are read."""

    start: Start = field(default_factory=Start)
    bounded: bool = False
    group: str | None = None
    isolation: Isolation = "read_committed"
    key: str | None = None
    headers: str | None = None
    discover_every_us: int = 30_000_000
    patience_us: int = 10_000_000

    def __post_init__(self) -> None:
        if self.start.word == "committed" and not self.group:
            raise ValueError('start="committed" needs the group whose offsets are meant: give group=')
        if self.isolation not in ("read_committed", "read_uncommitted"):
            raise ValueError(f'isolation={self.isolation!r} is not a choice: "read_committed" or "read_uncommitted"')

    @property
    def extra(self) -> dict[str, pl.DataType]:
        """The columns that come from messages beside their values."""
        return {name: pl.String() for name in (self.key, self.headers) if name is not None}


@dataclass(frozen=True, slots=True)
class KafkaTopics:
    """Topics of Kafka."""

    topics: tuple[str, ...]
    connection: Connection
    parser: MessageParser
    reading: Reading = field(default_factory=Reading)
    name: str = ""

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError("topic names nothing: give the name of a topic, or a list of names")
        for topic in self.topics:
            check_topic(topic)
        if not self.name:
            object.__setattr__(self, "name", ",".join(self.topics))

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return self.parser.columns

    @property
    def schema(self) -> Schema:
        return self.parser.schema

    @property
    def arrival(self) -> str | None:
        return self.parser.arrival

    @property
    def single_log(self) -> bool:
        return False

    @property
    def bounded(self) -> bool:
        return self.reading.bounded

    @property
    def explanation(self) -> str:
        """What is read from where, in words."""
        end = "to where they end at the start" if self.bounded else "without end"
        topics = f"Kafka topic{'s' * (len(self.topics) > 1)} {', '.join(self.topics)} at {self.connection.servers}"
        return f"{topics}, {self.parser.format}, from {self.reading.start} {end}, {self.reading.isolation}"

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong before anything is opened, each with its remedy."""
        return [*problems_of(self.connection), *self.parser.problems]

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> KafkaLogs:
        return KafkaLogs(self, context, positions)


class KafkaLogs:
    """The partitions of topics, read by one consumer."""

    def __init__(self, source: KafkaTopics, context: ReadContext, positions: Mapping[str, Position]) -> None:
        self._source = source
        self._positions = positions
        kafka = library(SourceError)
        self._parsers = {topic: source.parser.opened(f"{topic}-value") for topic in source.topics}
        own = {**_CLIENT, "group.id": source.reading.group or "eventide", "isolation.level": source.reading.isolation}
        self._poller = Poller(source.name, source.connection, context, source.reading.discover_every_us)
        own["error_cb"] = self._poller.presence.heard
        settings = {**_USUAL, **source.connection.client(own, SourceError)}
        with told(SourceError, f"source {source.name}: Kafka at {source.connection.servers}"):
            self._consumer: Consumer = kafka.Consumer(settings)
        try:
            self._new: list[PartitionReader] = self._begin(context)
        except BaseException:
            self._consumer.close()
            raise
        self._poller.start(self._consumer, self._new, self._later)

    @property
    def may_grow(self) -> bool:
        return not self._source.bounded

    def discover(self) -> Sequence[LogReader]:
        self._new += self._poller.found()
        new, self._new = self._new, []
        return new

    def _begin(self, context: ReadContext) -> list[PartitionReader]:
        """The readers of the partitions that are there now."""
        there = [one for topic in self._source.topics for one in self._partitions(topic)]
        with told(SourceError, f"source {self._source.name}: cannot find where to start"):
            starts = self._starts([one for one in there if one.log not in self._positions])
            return [self._reader(one, starts.get(one.log), context) for one in there]

    def _later(self, known: Sequence[Partition]) -> list[PartitionReader]:
        """Readers of partitions that were not known before, from their beginning."""
        if self._source.bounded:
            return []
        new = [one for topic in self._source.topics for one in self._partitions(topic) if one not in known]
        return [self._reader(one, self._reach(one)[0], self._poller.context) for one in new]

    def _partitions(self, topic: str) -> list[Partition]:
        where = f"source {self._source.name}: topic {topic} at {self._source.connection.servers}"
        with told(SourceError, where):
            found = self._consumer.list_topics(topic, timeout=self._patience_s).topics[topic]
        if found.error is not None:
            raise SourceError(f"{where}: {explained(found.error)}")
        return [Partition(topic, number) for number in sorted(found.partitions)]

    @property
    def _patience_s(self) -> float:
        return self._source.reading.patience_us / 1e6

    def _reach(self, partition: Partition) -> tuple[int, int]:
        """The first offset of a partition and the one behind its last."""
        patience_us, timeout_s = self._source.reading.patience_us, self._patience_s
        low, high = patiently(
            lambda: self._consumer.get_watermark_offsets(_at(partition), timeout=timeout_s), patience_us
        )
        return int(low), int(high)

    def _starts(self, partitions: Sequence[Partition]) -> dict[str, int]:
        """Where to begin in partitions without a position; those that begin at their first offset are left out."""
        start = self._source.reading.start
        if start.word == "earliest" or not partitions:
            return {}
        if start.word == "latest":
            return {one.log: self._reach(one)[1] for one in partitions}
        if start.word == "committed":
            found = self._consumer.committed([_at(one) for one in partitions], timeout=self._patience_s)
            return {Partition(one.topic, one.partition).log: one.offset for one in found if one.offset >= 0}
        assert start.at_us is not None
        wanted = [_at(one, -(-start.at_us // 1_000)) for one in partitions]
        found = self._consumer.offsets_for_times(wanted, timeout=self._patience_s)
        made = {Partition(one.topic, one.partition): one.offset for one in found}
        return {one.log: made[one] if made[one] >= 0 else self._reach(one)[1] for one in partitions}

    def _reader(self, partition: Partition, start: int | None, context: ReadContext) -> PartitionReader:
        low, high = self._reach(partition)
        position = self._positions.get(partition.log, {})
        begin = int(position.get("offset") or 0) if position else low if start is None else start
        if begin < low:
            raise SourceError(
                f"source {self._source.name}: offsets {begin:,} to {low - 1:,} of {partition.log} were deleted before "
                "they were read. Give the topic a longer retention; to go on without them begin anew with another "
                'state folder or group, from start="earliest"'
            )
        if begin > high:
            raise SourceError(
                f"source {self._source.name}: {partition.log} ends at offset {high:,}, reading was to go on at "
                f"{begin:,}: the topic was made anew. Begin anew with another state folder or group"
            )
        end = (int(position["end"] or 0) if "end" in position else high) if self._source.bounded else None
        return PartitionReader(
            partition, begin, end, self._poller, self._parsers[partition.topic], self._source.reading
        )

    def close(self) -> None:
        self._poller.stop()
        self._consumer.close()


def _at(partition: Partition, offset: int | None = None) -> Any:
    from confluent_kafka import TopicPartition

    place = (partition.topic, partition.number)
    return TopicPartition(*place) if offset is None else TopicPartition(*place, offset)
