"""NATS JetStream as a sink: each row a JSON message, with an id made of run, output, epoch, its place and row.

Law: behind a recovery the stream holds each row of the epoch once: what is there since the epoch began is read first,
and only what is missing is sent. So nothing depends on how long the server remembers ids.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from eventide.connectors.by_commit import ByCommit
from eventide.connectors.files.encoding import rows_as_bytes
from eventide.connectors.kinds import check_kinds
from eventide.connectors.nats.config import Server, closed, driver, is_installed, plain
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand

_ID = "Nats-Msg-Id"
_AT_ONCE = 500
_LOOK_S = 0.1
_LOOKS_MOST = 100
_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NatsSubject:
    """A subject of a NATS server, which a stream must listen to."""

    server: Server
    subject: str

    def __post_init__(self) -> None:
        if not self.subject or any(mark in self.subject for mark in "*> \t\r\n"):
            raise ValueError(f"subject={self.subject!r} is not one subject: leave out *, > and spaces")

    @property
    def name(self) -> str:
        return f"nats subject {self.subject}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "nats"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> ByCommit:
        publisher = Publisher(self, f"{uuid.uuid4().hex}:{output}")
        return ByCommit(lambda epoch, rows: publisher.bring(epoch, rows, None), publisher.close, publisher.look)

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return NatsEpochs(Publisher(self, f"{opening.run}:{opening.output}"))


class Publisher:
    """Sends messages from a thread of its own, and knows what the stream holds."""

    def __init__(self, sink: NatsSubject, prefix: str) -> None:
        self._nats = driver(SinkError)
        self._sink = sink
        self._prefix = prefix
        self._connection: Any = None
        self.last = 0
        """The last sequence of the stream that is known."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="eventide-nats")
        self._thread.start()

    def bring(self, epoch: int, rows: pl.DataFrame, since: int | None) -> None:
        """See that the stream holds each row once; what it holds of this epoch stands behind sequence `since`. None:
        nothing of it was ever sent.
        """
        payloads = [line for line in rows_as_bytes(rows, "ndjson", header=False).split(b"\n") if line]
        sent, begin = since is not None, self.last if since is None else since
        # with the place where the epoch begins: what was taken back is not taken for the same by the server
        wanted = {f"{self._prefix}:{epoch}:{begin}:{n}": payload for n, payload in enumerate(payloads)}

        async def work(jetstream: Any, stream: str) -> None:
            nonlocal sent
            there: set[str] = set()
            if sent:
                there = await self._there(jetstream, stream, epoch, begin)
            sent = True
            await self._send(jetstream, {one: payload for one, payload in wanted.items() if one not in there})

        self._do(work)

    def look(self) -> None:
        """Find out where the stream ends."""

        async def work(jetstream: Any, stream: str) -> None:
            self.last = (await jetstream.stream_info(stream)).state.last_seq

        self._do(work)

    async def _there(self, jetstream: Any, stream: str, epoch: int, since: int) -> set[str]:
        """The ids of this epoch that the stream holds; messages of later epochs are deleted."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=since + 1,
            headers_only=True,
            inactive_threshold=60,
        )
        pulled = await jetstream.pull_subscribe(self._sink.subject, stream=stream, config=config)
        found: set[str] = set()
        left = (await pulled.consumer_info()).num_pending
        while left:
            for message in await pulled.fetch(min(left, _AT_ONCE), timeout=2):
                left = message.metadata.num_pending
                name = (message.headers or {}).get(_ID, "")
                if not name.startswith(f"{self._prefix}:"):
                    continue
                if int(name.split(":")[-3]) > epoch:
                    await jetstream.delete_msg(stream, message.metadata.sequence.stream)
                found.add(name)
        return found

    async def _send(self, jetstream: Any, wanted: Mapping[str, bytes]) -> None:
        for part in _parts(list(wanted.items())):
            waiting = [
                await jetstream.publish_async(self._sink.subject, payload, headers={_ID: name})
                for name, payload in part
            ]
            for confirmed in await self._confirmed(waiting):
                self.last = max(self.last, confirmed.seq)

    async def _confirmed(self, waiting: Sequence[asyncio.Future[Any]]) -> list[Any]:
        """The answers to messages. The client does not say that none will come any more: so its connection is asked."""
        looks = 0
        while not all(one.done() for one in waiting):
            done, _ = await asyncio.wait([one for one in waiting if not one.done()], timeout=_LOOK_S)
            looks = 0 if done else looks + 1
            if not self._connection.is_connected or looks > _LOOKS_MOST:
                raise ConnectionError("the connection broke off before all was confirmed")
        return [one.result() for one in waiting]

    def _do(self, work: Callable[[Any, str], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(self._tried(work), self._loop).result()

    async def _tried(self, work: Callable[[Any, str], Coroutine[Any, Any, None]]) -> None:
        """Do work; while the server is away it is tried again, about half a minute long."""
        errors = self._nats.errors
        for wait_s in (*_WAITS_S, None):
            try:
                await work(*await self._connected())
                return
            except errors.MaxPayloadError:
                raise SinkError(
                    f"a row is larger than NATS takes for subject {self._sink.subject}: raise max_payload of the server"
                ) from None
            except (errors.Error, OSError, TimeoutError) as fault:
                await self._disconnect()
                if wait_s is None:
                    raise SinkError(
                        f"cannot send to subject {self._sink.subject} of NATS: {plain(fault, self._sink.server.env)}. "
                        "Check that the server runs, and that a stream takes the subject"
                    ) from None
            await asyncio.sleep(wait_s)

    async def _connected(self) -> tuple[Any, str]:
        if self._connection is None or not self._connection.is_connected:
            self._connection = await self._sink.server.connect(SinkError)
        jetstream = self._connection.jetstream()
        missing = self._nats.js.errors.NotFoundError
        try:
            return jetstream, await jetstream.find_stream_name_by_subject(self._sink.subject)
        except missing:
            raise SinkError(
                f"no stream of NATS takes the subject {self._sink.subject}: make one, or nothing would be kept"
            ) from None

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await closed(connection)

    def close(self) -> None:
        """Release connection and thread."""
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _parts(items: list[_T]) -> Iterator[list[_T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


class NatsEpochs:
    """The rows of an output as messages, each once."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def stand(self) -> Stand:
        return {"sequence": self._publisher.last}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            self._publisher.bring(epoch, rows, None)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        if epoch and stand:
            self._publisher.bring(epoch, rows, int(stand["sequence"] or 0))
        self._publisher.look()

    def close(self) -> None:
        self._publisher.close()


def write_nats(
    subject: str, *, servers: str | None = None, env: str | None = None, credentials: str | None = None
) -> NatsSubject:
    """A sink that sends each row as a JSON message to a subject, which a JetStream stream must take.

    The server is named as in `read_nats`. A run with a state folder sends each row once.

    >>> write_nats("air.doses", servers="nats://127.0.0.1:4222").name
    'nats subject air.doses'
    """
    check_kinds(write_nats, locals())
    return NatsSubject(Server(servers, env, credentials), subject)
