"""What tests of RabbitMQ have in common: a client of their own, and readers read to a number of rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel
from aiormq.exceptions import PublishError

import eventide as et
from eventide.flow import Batch, LogReader, LogSet, ReadContext
from eventide.plan import Stream
from eventide.testing.services.rabbitmq import RabbitMq

SCHEMA: dict[str, Any] = {"n": int, "text": str}
T = TypeVar("T")

NO_ROUTE = 312
"""The reply code of a message that no queue takes."""


def on(broker: RabbitMq, work: Callable[[AbstractChannel], Awaitable[T]]) -> T:
    """What a client of its own gets."""

    async def done() -> T:
        connection = await aiormq.connect(broker.address)
        try:
            return await work(await connection.channel(publisher_confirms=True))
        finally:
            await connection.close()

    return asyncio.run(done())


def make(broker: RabbitMq, queue: str, kind: str = "classic", **more: Any) -> str:
    """A new durable queue."""
    arguments = {"x-queue-type": kind, **{name.replace("_", "-"): value for name, value in more.items()}}
    on(broker, lambda channel: channel.queue_declare(queue, durable=True, arguments=arguments))
    return queue


def send(broker: RabbitMq, queue: str, values: Sequence[bytes], **properties: Any) -> None:
    """Send persistent messages, all confirmed and in their order.

    A broker just started returns what it gets until a queue has its leader again, so the first goes alone until it is taken.
    """

    async def work(channel: AbstractChannel) -> None:
        told = {"delivery_mode": 2, **properties}

        async def one(value: bytes) -> None:
            await channel.basic_publish(
                value, routing_key=queue, properties=spec.Basic.Properties(**told), mandatory=True
            )

        async def taken(value: bytes) -> bool:
            try:
                await one(value)
            except PublishError as error:
                if error.message is None or getattr(error.message.delivery, "reply_code", None) != NO_ROUTE:
                    raise
                return False
            return True

        async with asyncio.timeout(60):
            while not await taken(values[0]):
                await asyncio.sleep(0.05)
        for start in range(1, len(values), 200):
            await asyncio.gather(*map(one, values[start : start + 200]))

    on(broker, work)


def held(broker: RabbitMq, queue: str) -> list[Any]:
    """The messages of a queue, which stay there."""

    async def work(channel: AbstractChannel) -> list[Any]:
        found = []
        while (one := await channel.basic_get(queue)).delivery_tag is not None:
            found.append(one)
        return found

    return on(broker, work)


def waiting(broker: RabbitMq, queue: str) -> int:
    """How many messages a queue has that were not delivered."""

    async def work(channel: AbstractChannel) -> int:
        return int((await channel.queue_declare(queue, passive=True)).message_count or 0)

    return on(broker, work)


def numbered(*numbers: int) -> list[bytes]:
    return [json.dumps({"n": number, "text": "ü"}).encode() for number in numbers]


def source(broker: RabbitMq, queue: str, **settings: Any) -> Stream:
    return et.read_rabbitmq(queue, address=broker.address, **{"schema": SCHEMA, **settings})


def opened(made: Stream, context: ReadContext | None = None, position: dict[str, Any] | None = None) -> LogSet:
    one = made.plan.inputs[0].source
    return one.open(context or ReadContext(), {} if position is None else {one.name: position})


def read(logs: LogSet, context: ReadContext, rows: int, rows_max: int = 97) -> tuple[LogReader, list[Batch]]:
    """Read until so many entries have come."""
    reader = logs.reader if hasattr(logs, "reader") else logs.discover()[0]
    found: list[Batch] = []
    while sum(batch.received for batch in found) < rows:
        batch = reader.read(rows_max)
        if batch is None:
            assert context.wake.wait(60), f"only {sum(one.received for one in found)} of {rows} came"
            context.wake.clear()
        else:
            found.append(batch)
    return reader, found


def numbers(batches: Sequence[Batch]) -> list[int]:
    return [number for batch in batches for number in batch.rows.get_column("n")]
