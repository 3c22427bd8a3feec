"""A thread that talks to RabbitMQ: connected, connected again when that breaks, ended when it is told to.

Law: what stops the run is told by the reader; what may be over soon is tried again, about half a minute long.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from eventide.connectors.rabbitmq.config import Broker, is_missing, passing, plain
from eventide.errors import SourceError

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, DeliveredMessage

WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_QUIET_S = 5.0

Got = asyncio.Queue["DeliveredMessage | None"]
"""What has come; None when there is something else to look at: the connection, or the end."""


class Consumer(threading.Thread):
    """Consumes a queue in a thread of its own. `work` gets an open channel and what comes from it, and returns when it
    shall end; `moved` says whether it got any further since it was asked last.
    """

    def __init__(
        self,
        broker: Broker,
        queue: str,
        work: Callable[[AbstractChannel, Got], Awaitable[None]],
        moved: Callable[[], bool],
        wake: threading.Event,
    ) -> None:
        super().__init__(daemon=True, name=f"eventide-rabbitmq-{queue}")
        self.fault: BaseException | None = None
        """What stops the run."""
        self.stopping = False
        self._broker = broker
        self._queue = queue
        self._work = work
        self._moved = moved
        self._wake = wake
        self._loop: asyncio.AbstractEventLoop | None = None
        self._got: Got | None = None
        self._begun = threading.Event()

    def run(self) -> None:
        try:
            asyncio.run(self._consume())
        except BaseException as fault:  # told by the reader, whatever it is
            self.fault = fault
        self._begun.set()
        self._wake.set()

    def stop(self) -> None:
        """End it, and wait for that."""
        self.stopping = True
        self._begun.wait(10)
        self.nudge()
        self.join(20)

    def nudge(self) -> None:
        """Let the work look around."""
        if self._loop is not None and self._got is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._got.put_nowait, None)

    async def _consume(self) -> None:
        self._loop = asyncio.get_running_loop()
        waits = iter(WAITS_S)
        while not self.stopping:
            self._got = Got()
            self._begun.set()
            try:
                await self._session(self._got)
            except passing() as fault:
                self._see_whether_it_may_pass(fault)
                waits = iter(WAITS_S) if self._moved() else waits
                wait_s = next(waits, None)
                if wait_s is None:
                    raise SourceError(
                        f"cannot read queue {self._queue} of RabbitMQ: {plain(fault)}. Check that the broker runs, and "
                        "its address"
                    ) from None
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._until_stopped(), wait_s)

    async def _until_stopped(self) -> None:
        assert self._got is not None
        while not self.stopping:
            await self._got.get()

    def _see_whether_it_may_pass(self, fault: BaseException) -> None:
        from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed

        if isinstance(fault, ChannelNotFoundEntity) and is_missing(fault):
            raise SourceError(
                f"there is no queue {self._queue!r} in RabbitMQ: make it, with a durable queue and its bindings"
            ) from None
        if isinstance(fault, ChannelPreconditionFailed) and "x-stream-offset" in plain(fault):
            raise SourceError(f"queue {self._queue} of RabbitMQ is no stream: leave out stream=True") from None

    async def _session(self, got: Got) -> None:
        connection = await self._broker.connect(SourceError)
        try:
            connection.closing.add_done_callback(lambda _: got.put_nowait(None))
            channel = await connection.channel(publisher_confirms=False)
            channel.closing.add_done_callback(lambda _: got.put_nowait(None))
            await self._work(channel, got)
            if not channel.is_closed:
                await channel.close()
        finally:
            with suppress(*passing()):
                await connection.close()


async def next_ones(channel: AbstractChannel, got: Got, queue: str, most: int) -> list[DeliveredMessage]:
    """What has come, without the rest of what is there to look at; nothing where that is all. Raises what the broker
    said when it closed the channel, or that the queue is gone.
    """
    try:
        first = await asyncio.wait_for(got.get(), _QUIET_S)
    except TimeoutError:
        await channel.queue_declare(queue, passive=True)  # a queue that was deleted says nothing by itself
        return []
    found = [] if first is None else [first]
    while len(found) < most and not got.empty():
        if (one := got.get_nowait()) is not None:
            found.append(one)
    if channel.is_closed and not found:
        raise channel.closing.exception() or ConnectionError("the connection broke off")
    return found
