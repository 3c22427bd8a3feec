"""The partitions of a consumer: one thread polls for all of them, each has a reader with what came for it.

Law: at most so much is held as `HELD_BYTES` and `HELD_MESSAGES` say, then polling waits; messages of a partition are
handed out in their order, none twice, none left out but those that Kafka itself does not show.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.kafka.config import Connection, Presence, explained
from eventide.errors import SourceError
from eventide.flow import Batch, Position, ReadContext

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

HELD_BYTES = 64 * 2**20
HELD_MESSAGES = 300_000

_POLLED_MOST = 10_000
_POLL_S = 0.1
_JOIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition of a topic; its log is named `topic/number`."""

    topic: str
    number: int

    @property
    def log(self) -> str:
        return f"{self.topic}/{self.number}"


class Parts(Protocol):
    """What of messages becomes columns beside their values."""

    @property
    def key(self) -> str | None: ...

    @property
    def headers(self) -> str | None: ...


class PartitionReader:
    """Reads one partition from what the poller got for it."""

    def __init__(
        self, partition: Partition, begin: int, end: int | None, poller: Poller, parser: MessageParser, parts: Parts
    ) -> None:
        self.partition = partition
        self.log = partition.log
        self.begin = begin
        self.end = end
        self._next = begin
        self._poller = poller
        self._parser = parser
        self._parts = parts
        self._held: deque[list[Message] | int] = deque()

    @property
    def finished(self) -> bool:
        return self.end is not None and self._next >= self.end

    def give(self, messages: list[Message]) -> None:
        """Take messages from the poller."""
        self._held.append(messages)

    def give_end(self, offset: int) -> None:
        """Hear from the poller that nothing that can be shown lies in front of this offset."""
        self._held.append(offset)

    def read(self, rows_max: int) -> Batch | None:
        return self._read(rows_max, None)

    def read_before(self, offset: int, rows_max: int) -> Batch | None:
        """The next rows with smaller offsets; when there are none, the position moves up to `offset`."""
        return self._read(rows_max, offset)

    def _read(self, rows_max: int, before: int | None) -> Batch | None:
        self._poller.check()
        limit = min((one for one in (self.end, before) if one is not None), default=None)
        taken = self._taken(rows_max, limit)
        if not taken:
            return None
        self._poller.let_go(taken)
        return self._parser.batch(self.log, self._messages(taken))

    def _taken(self, most: int, limit: int | None) -> list[Message]:
        """The next messages in front of a limit."""
        taken: list[Message] = []
        while self._held and len(taken) < most:
            first = self._held.popleft()
            if isinstance(first, int):
                self._next = max(self._next, first if limit is None else min(first, limit))
                continue
            part = first[: most - len(taken)]
            if limit is not None and _offset(part[-1]) >= limit:
                part = [one for one in part if _offset(one) < limit]
            taken += part
            if part:
                self._next = _offset(part[-1]) + 1
            if len(part) < len(first):
                self._held.appendleft(first[len(part) :])
                if limit is not None and _offset(first[len(part)]) >= limit:
                    self._next = max(self._next, limit)
                    break
        if self.finished:
            self._leave()
        return taken

    def _leave(self) -> None:
        """Forget what lies behind the end."""
        while self._held:
            rest = self._held.popleft()
            if not isinstance(rest, int):
                self._poller.let_go(rest)

    def _messages(self, taken: list[Message]) -> Messages:
        # comprehensions over the client's own methods: every call of Python's costs as much as a message
        stamps = [at_ms if kind else None for kind, at_ms in (one.timestamp() for one in taken)]
        arrivals = pl.Series(stamps, dtype=pl.Int64) * 1_000
        if arrivals.null_count():
            arrivals = arrivals.fill_null(self._poller.context.clock.now_us())
        extra: dict[str, pl.Series] = {}
        faults: dict[int, str] = {}
        if self._parts.key is not None:
            texts = [_text(one.key(), number, faults) for number, one in enumerate(taken)]
            extra[self._parts.key] = pl.Series(texts, dtype=pl.String)
        if self._parts.headers is not None:
            extra[self._parts.headers] = pl.Series([_headers(one.headers()) for one in taken], dtype=pl.String)
        offsets: list[int] = [one.offset() for one in taken]  # type: ignore[misc] # what was read has an offset
        return Messages([one.value() for one in taken], offsets, arrivals, extra, faults)

    def position(self) -> Position:
        return {"offset": self._next} | ({} if self.end is None else {"end": self.end})

    def close(self) -> None:
        """The consumer is closed with the source."""


def _offset(message: Message) -> int:
    return message.offset()  # type: ignore[return-value] # what was read has an offset


def _text(key: Any, number: int, faults: dict[int, str]) -> str | None:
    if key is None:
        return None
    try:
        return str(key.decode())
    except UnicodeDecodeError:
        faults[number] = "the key is not UTF-8 text"
        return None


def _headers(given: Any) -> str | None:
    """Headers as a JSON object; of those with one name the last."""
    if not given:
        return None
    made = {name: None if value is None else value.decode("utf-8", "replace") for name, value in given}
    return json.dumps(made, ensure_ascii=False)


class Poller:
    """The thread that asks the consumer for messages and gives them to the readers."""

    def __init__(self, source: str, connection: Connection, context: ReadContext, discover_every_us: int) -> None:
        self.context = context
        self.presence = Presence(connection.servers, wake=context.wake.set)
        self._source = source
        self._every_us = discover_every_us
        self._readers: dict[tuple[str, int], PartitionReader] = {}
        self._found: deque[PartitionReader] = deque()
        self._room = threading.Condition()
        self._bytes = 0
        self._messages = 0
        self._stop = False
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(
        self,
        consumer: Consumer,
        readers: Sequence[PartitionReader],
        later: Callable[[Sequence[Partition]], list[PartitionReader]],
    ) -> None:
        """Begin to poll for the readers; `later` looks for partitions that are not known."""
        self._consumer = consumer
        self._later = later
        self._assign(readers, consumer.assign)
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"eventide-{self._source}")
        self._thread.start()

    def _assign(self, readers: Sequence[PartitionReader], assign: Callable[[list[Any]], None]) -> None:
        from confluent_kafka import TopicPartition

        for one in readers:
            self._readers[one.partition.topic, one.partition.number] = one
        open_ones = [one for one in readers if not one.finished]
        assign([TopicPartition(one.partition.topic, one.partition.number, one.begin) for one in open_ones])

    def found(self) -> list[PartitionReader]:
        """Readers of partitions that came since the last time."""
        found: list[PartitionReader] = []
        while self._found:
            found.append(self._found.popleft())
        return found

    def check(self) -> None:
        """Raise what the thread met."""
        if self._fault is not None:
            raise self._fault
        if self.presence.fault is not None:
            raise self._error(f"source {self._source}", self.presence.fault)

    def let_go(self, messages: Sequence[Message]) -> None:
        """These messages are not held any more."""
        with self._room:
            self._bytes -= sum(map(len, messages))
            self._messages -= len(messages)
            self._room.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._room:
            self._stop = True
            self._room.notify()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            looked_us = self.context.clock.now_us()
            while not self._stop:
                with self._room:
                    self._room.wait_for(self._has_room, timeout=_POLL_S)
                    if not self._has_room():
                        continue
                first = self._consumer.poll(_POLL_S)
                if first is not None:
                    self._take([first, *self._consumer.consume(_POLLED_MOST, 0)])
                if self.context.clock.now_us() - looked_us >= self._every_us:
                    self._look()
                    looked_us = self.context.clock.now_us()
        except BaseException as fault:
            self._fault = fault
            self.context.wake.set()

    def _has_room(self) -> bool:
        return self._stop or (self._bytes < HELD_BYTES and self._messages < HELD_MESSAGES)

    def _take(self, messages: list[Message]) -> None:
        """Give each run of messages of one partition to its reader."""
        if len(self._readers) == 1 and not any([one.error() for one in messages]):  # noqa: C419 - half as dear as a generator
            self._give(next(iter(self._readers)), messages)
        else:
            self._sort_out(messages)
        self.context.wake.set()

    def _sort_out(self, messages: list[Message]) -> None:
        run: list[Message] = []
        where: tuple[Any, Any] = ("", -1)
        for message in messages:
            error = message.error()
            if error is None:
                if message.partition() != where[1] or message.topic() != where[0]:
                    self._give(where, run)
                    run, where = [], (message.topic(), message.partition())
                run.append(message)
                continue
            self._give(where, run)
            run = []
            self._hear(message, error)
        self._give(where, run)

    def _give(self, where: tuple[Any, Any], run: list[Message]) -> None:
        if not run:
            return
        self.presence.back()
        with self._room:
            self._bytes += sum(map(len, run))
            self._messages += len(run)
        reader = self._readers[where]
        if reader.finished:
            self.let_go(run)
        else:
            reader.give(run)
            if reader.end is not None and _offset(run[-1]) + 1 >= reader.end:
                self._pause(reader)

    def _pause(self, reader: PartitionReader) -> None:
        from confluent_kafka import TopicPartition

        self._consumer.pause([TopicPartition(reader.partition.topic, reader.partition.number)])

    def _hear(self, message: Message, error: KafkaError) -> None:
        from confluent_kafka import KafkaError as Kinds

        code = error.code()
        reader = self._readers.get((message.topic(), message.partition()))  # type: ignore[arg-type]
        log = f"source {self._source}" if reader is None else reader.log
        if code == Kinds._PARTITION_EOF:
            self.presence.back()
            if reader is not None:
                reader.give_end(_offset(message))
        elif code in (Kinds._AUTO_OFFSET_RESET, Kinds.OFFSET_OUT_OF_RANGE):
            raise SourceError(
                f"{log}: messages were deleted before they were read ({error.str()}). Give the topic a longer "
                "retention, or read faster"
            )
        elif code in _lasting():
            raise self._error(log, error)
        elif code == Kinds._ALL_BROKERS_DOWN:
            self.presence.heard(error)

    def _error(self, where: str, error: KafkaError) -> SourceError:
        return SourceError(f"{where}: {explained(error)}")

    def _look(self) -> None:
        """Look for new partitions. A broker that does not answer is asked again later."""
        try:
            new = self._later([one.partition for one in self._readers.values()])
        except SourceError:
            return
        if new:
            self._assign(new, self._consumer.incremental_assign)
            self._found += new
            self.context.wake.set()


def _lasting() -> frozenset[int]:
    """Errors of partitions that waiting does not mend."""
    from confluent_kafka import KafkaError as Kinds

    return frozenset(
        {
            *(Kinds.UNKNOWN_TOPIC_OR_PART, Kinds._UNKNOWN_TOPIC, Kinds._UNKNOWN_PARTITION, Kinds._FATAL),
            *(Kinds.TOPIC_AUTHORIZATION_FAILED, Kinds.CLUSTER_AUTHORIZATION_FAILED, Kinds._AUTHENTICATION),
            *(Kinds._BAD_MSG, Kinds._BAD_COMPRESSION, Kinds.INVALID_MSG, Kinds._SSL),
        }
    )
