"""RabbitMQ as a sink: each row a persistent JSON message that the broker has confirmed, with an id.

Law: an epoch's messages are confirmed before its number is noted in a queue of the run's own. A message that is sent
again, because a kill came between the two, has the same id.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from eventide.connectors.by_commit import ByCommit
from eventide.connectors.files.encoding import rows_as_bytes
from eventide.connectors.kinds import check_kinds
from eventide.connectors.rabbitmq.config import Broker, driver, is_installed, is_missing, passing, plain
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand, Writer

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, AbstractConnection

_AT_ONCE = 500
_BYTES_AT_ONCE = 16 * 2**20
_CONFIRM_S = 10
_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_KEPT_MS = 90 * 86_400_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RabbitMqExchange:
    """An exchange and a routing key; the exchange without a name takes the name of a queue as key."""

    broker: Broker
    routing_key: str
    exchange: str = ""

    def __post_init__(self) -> None:
        if len(self.routing_key.encode()) > 255:
            raise ValueError("routing_key= is longer than 255 bytes, which RabbitMQ does not take")
        if not self.exchange and not self.routing_key:
            raise ValueError("say where messages go: routing_key= is the name of a queue, or give exchange= as well")

    @property
    def name(self) -> str:
        return f"rabbitmq {self.exchange}/{self.routing_key}" if self.exchange else f"rabbitmq queue {self.routing_key}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "rabbitmq"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        publisher = Publisher(self, f"{uuid.uuid4().hex}:{output}")
        return ByCommit(publisher.send, publisher.close, publisher.look)

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return RabbitMqEpochs(Publisher(self, f"{opening.run}:{opening.output}"))


class Publisher:
    """Sends messages from a thread of its own, and notes how far it has come."""

    def __init__(self, sink: RabbitMqExchange, prefix: str) -> None:
        driver(SinkError)
        self._sink = sink
        self._prefix = prefix
        self._notes = f"eventide.epochs.{prefix}"
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._is_taken = False
        """True once a queue has taken something: if none does later, it is one that comes back with its broker."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="eventide-rabbitmq")
        self._thread.start()

    def send(self, epoch: int, rows: pl.DataFrame) -> None:
        """Send the rows of an epoch; all is confirmed on return."""
        lines = [line for line in rows_as_bytes(rows, "ndjson", header=False).split(b"\n") if line]
        ids = [f"{self._prefix}:{epoch}:{number}:{_digest(line)}" for number, line in enumerate(lines)]
        start = 0
        while start < len(lines):
            count = _count(lines, start)
            part = list(zip(ids[start : start + count], lines[start : start + count], strict=True))
            self._do(lambda channel, part=part: self._publish(channel, part))  # type: ignore[misc] # bound at once
            start += count

    async def _publish(self, channel: AbstractChannel, part: Sequence[tuple[str, bytes]]) -> None:
        where = (self._sink.exchange, self._sink.routing_key)
        await _confirmed([asyncio.ensure_future(_sent(channel, *where, *one)) for one in part])
        self._is_taken = True

    def note(self, epoch: int) -> None:
        """Note that an epoch was sent."""

        async def work(channel: AbstractChannel) -> None:
            await self._declare(channel)
            await _confirmed([asyncio.ensure_future(_sent(channel, "", self._notes, "", b"%d" % epoch))])

        self._do(work)

    def noted(self) -> int:
        """The last epoch that was noted; -1 before any."""

        async def work(channel: AbstractChannel) -> int:
            await self._declare(channel)
            found = await channel.basic_get(self._notes, timeout=_CONFIRM_S)
            if found.delivery_tag is None:
                return -1
            await channel.basic_nack(found.delivery_tag, requeue=True)
            return int(found.body)

        return self._do(work)

    async def _declare(self, channel: AbstractChannel) -> None:
        """Make the queue of one message for notes, which goes when it was not used for 90 days."""
        kept: dict[str, object] = {"x-max-length": 1, "x-expires": _KEPT_MS}
        await channel.queue_declare(self._notes, durable=True, arguments=kept)  # type: ignore[arg-type] # as AMQP's table

    def look(self) -> None:
        """See that the broker and the exchange are there."""

        async def work(channel: AbstractChannel) -> None:
            if self._sink.exchange:
                await channel.exchange_declare(self._sink.exchange, passive=True)
            else:
                await channel.queue_declare(self._sink.routing_key, passive=True)

        self._do(work)

    def _do(self, work: Callable[[AbstractChannel], Awaitable[_T]]) -> _T:
        return asyncio.run_coroutine_threadsafe(self._tried(work), self._loop).result()

    async def _tried(self, work: Callable[[AbstractChannel], Awaitable[_T]]) -> _T:
        """Do work; while the broker is away it is tried again, about half a minute long. Work may be done again."""
        for wait_s in (*_WAITS_S, None):
            try:
                return await work(await self._connected())
            except passing() as fault:
                await self._disconnect()
                self._see_whether_it_may_pass(fault, last=wait_s is None)
                if wait_s is None:
                    raise SinkError(
                        f"cannot send to {self._sink.name}: {plain(fault)}. Check that the broker runs, its address, "
                        "and that it has memory and disk left (it stops senders when it has not)"
                    ) from None
            await asyncio.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _see_whether_it_may_pass(self, fault: BaseException, *, last: bool) -> None:
        from aiormq.exceptions import (
            ChannelAccessRefused,
            ChannelNotFoundEntity,
            ChannelPreconditionFailed,
            PublishError,
        )

        if isinstance(fault, PublishError) and (last or not self._is_taken):
            raise SinkError(
                f"no queue of RabbitMQ takes what is sent to {self._sink.name}: make one and bind it, or nothing would "
                "be kept"
            ) from None
        if isinstance(fault, ChannelNotFoundEntity) and is_missing(fault):
            raise SinkError(f"there is no {self._sink.name}: make it, and bind a queue") from None
        if isinstance(fault, ChannelAccessRefused | ChannelPreconditionFailed):
            raise SinkError(f"cannot send to {self._sink.name}: {plain(fault)}") from None

    async def _connected(self) -> AbstractChannel:
        if self._connection is None or self._connection.is_closed:
            self._connection, self._channel = await self._sink.broker.connect(SinkError), None
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        return self._channel

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*passing()):
                await connection.close()

    def close(self) -> None:
        """Release connection and thread."""
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _sent(channel: AbstractChannel, exchange: str, routing_key: str, name: str, line: bytes) -> None:
    """Send a persistent message, and wait for its confirmation."""
    from aiormq import spec

    told = spec.Basic.Properties(content_type="application/json", delivery_mode=2, message_id=name, app_id="eventide")
    await channel.basic_publish(line, exchange=exchange, routing_key=routing_key, properties=told, mandatory=True)


async def _confirmed(sending: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all. A queue that begins to work again may forget what it did not confirm: so silence is a fault."""
    waiting = set(sending)
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=_CONFIRM_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise TimeoutError(f"the broker has confirmed nothing for {_CONFIRM_S} s")
            for one in done:
                one.result()
    except asyncio.CancelledError:  # by the client, when its connection breaks
        raise ConnectionError("the connection broke off before all was confirmed") from None
    finally:
        for one in sending:
            one.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


def _digest(line: bytes) -> str:
    return hashlib.blake2b(line, digest_size=8).hexdigest()


def _count(lines: Sequence[bytes], start: int) -> int:
    """How many messages go together: some hundreds, or some megabytes."""
    size = count = 0
    while start + count < len(lines) and count < _AT_ONCE and size < _BYTES_AT_ONCE:
        size += len(lines[start + count])
        count += 1
    return count


class RabbitMqEpochs:
    """The rows of an output as messages. An epoch that was noted is not sent again."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def stand(self) -> Stand:
        return {}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            self._publisher.send(epoch, rows)
            self._publisher.note(epoch)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        self._publisher.look()
        noted = self._publisher.noted()
        if noted > epoch:  # a damaged checkpoint: what later epochs sent cannot be taken back
            self._publisher.note(epoch)
        elif noted < epoch:
            self.deliver(epoch, rows)

    def close(self) -> None:
        self._publisher.close()


def write_rabbitmq(
    routing_key: str, *, exchange: str = "", address: str | None = None, env: str | None = None
) -> RabbitMqExchange:
    """A sink that sends each row as a persistent JSON message, and waits until the broker has confirmed it.

    Without `exchange` the routing key is the name of a queue. A queue must take the messages, else the run stops. The
    broker is named as in `read_rabbitmq`. Each message has a `message_id` that stays the same when it is sent again.

    >>> write_rabbitmq("doses", address="amqp://127.0.0.1").name
    'rabbitmq queue doses'
    """
    check_kinds(write_rabbitmq, locals())
    return RabbitMqExchange(Broker(address, env), routing_key, exchange)
