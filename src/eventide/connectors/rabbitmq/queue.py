"""A queue of RabbitMQ as a log: its messages go into a journal on our disk and are acknowledged then.

Law: a message counts when it is in the journal, under its offset there, and is acknowledged behind that, never before.
One that RabbitMQ delivers again is told by its name among the last ones in the journal, and left out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventide.connectors.journal import (
    Journal,
    JournalLogs,
    JournalReader,
    JournalSettings,
    Keeper,
    Record,
    open_journal,
)
from eventide.connectors.journal.keeper import Full
from eventide.connectors.rabbitmq.records import NAME_BYTES, batch_of, name_of, packed
from eventide.connectors.rabbitmq.thread import Consumer, Got, next_ones
from eventide.errors import SourceError
from eventide.flow import Batch, Position, ReadContext

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, DeliveredMessage

    from eventide.connectors.rabbitmq.source import RabbitMqQueue

REMEMBERED = 50_000
_AT_ONCE = 1_000
_READ_BYTES = 16 * 2**20


@dataclass
class Names:
    """The names of the last messages that were taken."""

    most: int = REMEMBERED
    _order: deque[bytes] = field(default_factory=deque)
    _known: set[bytes] = field(default_factory=set)

    def add(self, name: bytes) -> None:
        if name in self._known:
            return
        self._known.add(name)
        self._order.append(name)
        if len(self._order) > self.most:
            self._known.discard(self._order.popleft())

    def __contains__(self, name: object) -> bool:
        return name in self._known


def names_in(journal: Journal) -> Names:
    """The names of the last messages that a journal holds."""
    names = Names()
    offset = max(journal.first, journal.next - REMEMBERED)
    while offset < journal.next:
        for record in journal.read(offset, _AT_ONCE, _READ_BYTES):
            names.add(record.value[:NAME_BYTES])
            offset = record.offset + 1
    return names


class QueueReader(JournalReader):
    """Reads the journal, and leaves the last messages in it by which copies are told."""

    def decided(self, position: Position, oldest: Position) -> None:
        offset = int(oldest.get("offset") or 0)
        if not self._journal.is_full:
            offset = min(offset, max(0, self._journal.next - REMEMBERED))
        super().decided(position, {"offset": offset})


@dataclass
class Taking:
    """Takes messages into a journal, and acknowledges them when they are there."""

    source: RabbitMqQueue
    keeper: Keeper
    names: Names
    consumer: Consumer = field(init=False)
    _unsettled: int = 0
    _fault: OSError | None = None
    _acked: int = 0
    _settled: int = 0
    _last: int = 0
    _kept: int = 0
    _seen: int = 0

    async def work(self, channel: AbstractChannel, got: Got) -> None:
        """Take messages until the end. Those of a connection that broke are settled before others are asked for, so
        that whatever comes again finds its name.
        """
        self._acked = self._settled = self._last = 0
        await channel.basic_qos(prefetch_count=self.source.prefetch)

        async def arrived(message: DeliveredMessage) -> None:
            got.put_nowait(message)

        try:
            await channel.basic_consume(self.source.queue, arrived, exclusive=True)
            while not self.consumer.stopping:
                found = await next_ones(channel, got, self.source.queue, _AT_ONCE)
                self._see_that_it_is_a_queue(found)
                await self._take(found)
                await self._acknowledge(channel)
        finally:
            while self._unsettled and self._fault is None:
                await asyncio.sleep(0.005)
        await self._acknowledge(channel)

    def moved(self) -> bool:
        """True when something was kept since it was asked last."""
        before, self._seen = self._seen, self._kept
        return self._kept > before

    def _see_that_it_is_a_queue(self, found: Sequence[DeliveredMessage]) -> None:
        if found and "x-stream-offset" in (found[0].header.properties.headers or {}):
            raise SourceError(f"queue {self.source.queue} of RabbitMQ is a stream: say stream=True")

    async def _take(self, found: Sequence[DeliveredMessage]) -> None:
        values = []
        for one in found:
            name = name_of(one, self.source.unique_ids)
            named = self.source.unique_ids and bool(one.header.properties.message_id)
            again = named or bool(one.delivery.redelivered)  # type: ignore[union-attr] # a delivery
            if not (again and name in self.names):
                self.names.add(name)
                values.append(packed(name, one))
        if not found:
            return
        last = int(found[-1].delivery_tag or 0)
        if values:
            await self._hand(values, last)
            return
        self._last = last
        if not self._unsettled:
            self._settled = last

    async def _hand(self, values: Sequence[bytes], last: int) -> None:
        loop = asyncio.get_running_loop()

        def done(answer: int | OSError) -> None:
            with suppress(RuntimeError):  # the loop has ended, with a fault
                loop.call_soon_threadsafe(self._settle, answer, last, len(values))

        while not self.consumer.stopping:
            try:
                self.keeper.hand(values, done)
            except Full:
                await asyncio.sleep(0.02)
            else:
                self._unsettled += 1  # before the answer, which comes by this thread's loop
                self._last = last
                return

    def _settle(self, answer: int | OSError, last: int, count: int) -> None:
        """Called when the journal has messages, or has not."""
        self._unsettled -= 1
        if isinstance(answer, OSError):
            self._fault = self._fault or answer
        elif self._fault is None:
            self._kept += count
            self._settled = last if self._unsettled else self._last
        self.consumer.nudge()

    async def _acknowledge(self, channel: AbstractChannel) -> None:
        if self._fault is not None:
            raise SourceError(
                f"cannot keep messages of queue {self.source.queue} in {self.keeper.journal.folder}: "
                f"{self._fault.strerror or self._fault}. They were not acknowledged and will come again; mend that and "
                "start again"
            )
        if self._settled > self._acked and not channel.is_closed:
            self._acked = self._settled  # before others are settled, while this one is on its way
            await channel.basic_ack(self._acked, multiple=True)


def open_queue(source: RabbitMqQueue, context: ReadContext, positions: Mapping[str, Position]) -> JournalLogs:
    """Open a queue: its journal, and the thread that fills it."""
    parser = source.parser.opened()

    def as_batch(log: str, records: Sequence[Record]) -> Batch:
        return batch_of(parser, log, records, source.routing_key)

    logs = open_journal(
        source.name, source.journal, context, positions, as_batch, JournalSettings(source.journal_bytes_most)
    )
    journal, keeper = logs.keeper.journal, logs.keeper
    reader = QueueReader(source.name, journal, int(logs.reader.position()["offset"] or 0), as_batch)
    taking = Taking(source, keeper, names_in(journal))
    taking.consumer = Consumer(source.broker, source.queue, taking.work, taking.moved, context.wake)

    def watch() -> None:
        if taking.consumer.fault is not None:
            raise taking.consumer.fault

    reader.watch = watch
    logs.reader = reader
    taking.consumer.start()
    logs.held.callback(taking.consumer.stop)
    return logs
