"""A stream of RabbitMQ as a log: a queue of the type stream, whose messages stay and have offsets.

Law: a position is the next offset. Acknowledging only asks for more; reading again from a position gives the same
messages, and what the broker has thrown away before it was read stops the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from eventide.connectors.formats.messages import Messages
from eventide.connectors.intake import Intake
from eventide.connectors.one_log import OneLog
from eventide.connectors.rabbitmq.thread import Consumer, Got, next_ones
from eventide.errors import SourceError
from eventide.flow import Batch, Position, ReadContext

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, DeliveredMessage

    from eventide.connectors.rabbitmq.source import RabbitMqQueue

_AT_ONCE = 1_000
_FIRST_S = 30.0
_PART_BYTES = 4 * 2**20
_ROOM_S = 0.01


@dataclass(frozen=True, slots=True)
class Part:
    """Messages in a row."""

    values: Sequence[bytes]
    offsets: Sequence[int]
    keys: Sequence[str]
    arrival_us: int

    def cut(self, rows: int) -> tuple[Part, Part]:
        """The first rows, and the rest."""
        first = Part(self.values[:rows], self.offsets[:rows], self.keys[:rows], self.arrival_us)
        return first, Part(self.values[rows:], self.offsets[rows:], self.keys[rows:], self.arrival_us)


class StreamReader:
    """Reads what a thread has fetched."""

    finished = False

    def __init__(self, source: RabbitMqQueue, context: ReadContext, start: int | None) -> None:
        self.log = source.name
        self._source = source
        self._parser = source.parser.opened()
        self._next = start
        self._left: Part | None = None
        self._intake: Intake[Part] = Intake(context.wake)
        taking = Taking(source, self._intake, context, start)
        self._consumer = Consumer(source.broker, source.queue, taking.work, taking.moved, context.wake)
        taking.consumer = self._consumer
        self._consumer.start()

    def read(self, rows_max: int) -> Batch | None:
        part, self._left = self._left or self._intake.take(), None
        if part is None:
            if self._consumer.fault is not None:
                raise self._consumer.fault
            return None
        if len(part.values) > rows_max:
            part, self._left = part.cut(rows_max)
        self._next = part.offsets[-1] + 1
        key = self._source.routing_key
        extra = {} if key is None else {key: pl.Series(part.keys, dtype=pl.String)}
        arrivals = [part.arrival_us] * len(part.values)
        return self._parser.batch(self.log, Messages(part.values, part.offsets, arrivals, extra))

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._consumer.stopping = True
        self._intake.close()
        self._consumer.stop()


@dataclass
class Taking:
    """Takes messages from an offset on."""

    source: RabbitMqQueue
    intake: Intake[Part]
    context: ReadContext
    next: int | None
    consumer: Consumer = field(init=False)
    _seen: int | None = None

    async def work(self, channel: AbstractChannel, got: Got) -> None:
        """Take messages until the end."""
        await channel.basic_qos(prefetch_count=self.source.prefetch)
        if self.next:
            await self._see_that_it_is_there(channel, self.next)

        async def arrived(message: DeliveredMessage) -> None:
            got.put_nowait(message)

        await self._begin(channel, arrived, self._place())
        while not self.consumer.stopping:
            found = await next_ones(channel, got, self.source.queue, _AT_ONCE)
            fresh = [one for one in found if self.next is None or _offset(one, self.source.queue) >= self.next]
            if fresh:
                await self._put(fresh)
            if found and not channel.is_closed:
                await channel.basic_ack(int(found[-1].delivery_tag or 0), multiple=True)

    def moved(self) -> bool:
        """True when it got further since it was asked last."""
        before, self._seen = self._seen, self.next
        return self._seen != before

    def _place(self) -> Any:
        if self.next is not None:
            return self.next
        match self.source.start:
            case "earliest":
                return "first"
            case "latest":
                return "next"
            case datetime() | int():
                return self.source.start

    async def _begin(self, channel: AbstractChannel, arrived: Any, place: Any) -> str:
        begun = await channel.basic_consume(self.source.queue, arrived, arguments={"x-stream-offset": place})
        return str(begun.consumer_tag)

    async def _see_that_it_is_there(self, channel: AbstractChannel, wanted: int) -> None:
        """Look at the first message that the stream still has: what was not read yet must not be in front of it."""
        first: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def arrived(message: DeliveredMessage) -> None:
            if not first.done():
                first.set_result(_offset(message, self.source.queue))
            await channel.basic_ack(int(message.delivery_tag or 0))

        tag = await self._begin(channel, arrived, "first")
        done, _ = await asyncio.wait([first], timeout=_FIRST_S)
        await channel.basic_cancel(tag)
        if not done:
            raise SourceError(
                f"stream {self.source.queue} of RabbitMQ has no messages, but was read up to {wanted:,}: it was made "
                "anew, or has thrown them away. Begin anew with another state folder"
            )
        if first.result() > wanted:
            raise SourceError(
                f"RabbitMQ has thrown away what stream {self.source.queue} held from {wanted:,} to "
                f"{first.result() - 1:,}, which was not read yet: give it a longer x-max-age or x-max-length-bytes. To "
                "go on behind the gap, begin with another state folder"
            )

    async def _put(self, found: Sequence[DeliveredMessage]) -> None:
        """Hand messages on, some megabytes at a time: a stream sends whole chunks, whatever was asked for."""
        start = 0
        while start < len(found):
            while not self.intake.has_room and not self.consumer.stopping:
                await asyncio.sleep(_ROOM_S)
            if self.consumer.stopping:
                return
            size, end = 0, start
            while end < len(found) and size < _PART_BYTES:
                size += len(found[end].body)
                end += 1
            part = self._part(found[start:end])
            self.intake.put(part, len(part.values), size)
            self.next, start = part.offsets[-1] + 1, end

    def _part(self, found: Sequence[DeliveredMessage]) -> Part:
        offsets = [_offset(one, self.source.queue) for one in found]
        keys = [one.routing_key or "" for one in found]
        return Part([one.body for one in found], offsets, keys, self.context.clock.now_us())


def _offset(message: DeliveredMessage, queue: str) -> int:
    offset = (message.header.properties.headers or {}).get("x-stream-offset")
    if not isinstance(offset, int):
        raise SourceError(f"queue {queue} of RabbitMQ is no stream: leave out stream=True")
    return offset


def open_stream(source: RabbitMqQueue, context: ReadContext, positions: Mapping[str, Position]) -> OneLog:
    """Open a stream."""
    offset = positions.get(source.name, {}).get("offset")
    return OneLog(StreamReader(source, context, None if offset is None else int(offset)))
