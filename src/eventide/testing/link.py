"""A link to a server on loopback that can be cut, held, reset and slowed: a network with faults, for tests.

    with Link(server.port) as link:
        client = connect(f"127.0.0.1:{link.port}")
        link.cut()

Law: what passes is in order and unchanged; a connection that is broken stays broken, and new ones find the link as it
is then.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from typing import Literal

from eventide.servers.process import free_port

_CHUNK_BYTES = 2**16
_AT_ONCE_S = 10
_LINGER_NOT = struct.pack("ii", 1, 0)

Way = Literal["there", "back"]


class Link:
    """Listens on `port` and passes on to the server at `server_port`, which may be away."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.passed_bytes = 0
        """How much has passed in both ways."""
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="eventide-link")
        self._open: dict[Way, asyncio.Event] = {}
        self._bytes_per_s: float | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._door: socket.socket | None = None
        self._thread.start()
        self._do(self._begin())

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut(self) -> None:
        """Break all connections; nobody is let in until `heal`."""
        self._do(self._cut())

    def hold(self, *, answers_only: bool = False) -> None:
        """Let nothing pass until `heal`, as when packets vanish; connections stay. With `answers_only` what clients say
        still arrives.
        """
        self._do(self._hold(answers_only=answers_only))

    def reset(self) -> None:
        """Break all connections with a reset, with what is on its way; new ones are let in."""
        self._do(self._break())

    def slow(self, bytes_per_s: float) -> None:
        """Let so much pass in each connection and way."""
        self._bytes_per_s = bytes_per_s

    def heal(self) -> None:
        """Be a link without faults again."""
        self._bytes_per_s = None
        self._do(self._heal())

    def close(self) -> None:
        """Break all connections and end."""
        self._do(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_AT_ONCE_S)  # type: ignore[arg-type] # a coroutine

    async def _begin(self) -> None:
        self._open = {"there": asyncio.Event(), "back": asyncio.Event()}
        await self._heal()

    async def _heal(self) -> None:
        for way in self._open.values():
            way.set()
        if self._door is None:
            self._door = socket.create_server(("127.0.0.1", self.port))
            self._door.setblocking(False)
            self._loop.add_reader(self._door, self._answer, self._door)

    def _answer(self, door: socket.socket) -> None:
        try:
            one, _ = door.accept()
        except OSError:  # who knocked has gone
            return
        here = self._loop.create_task(self._let_in(one))
        self._passing.add(here)
        here.add_done_callback(self._passing.discard)

    async def _cut(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            self._loop.remove_reader(door)
            door.close()
        await self._break()

    async def _hold(self, *, answers_only: bool) -> None:
        self._open["back"].clear()
        if not answers_only:
            self._open["there"].clear()

    async def _break(self) -> None:
        await asyncio.sleep(0)  # those that were just let in have begun
        for writer in list(self._writers):
            made = writer.get_extra_info("socket")
            if made is not None:
                with suppress(OSError):  # the other side was quicker
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()
        broken = list(self._passing)
        for one in broken:
            one.cancel()
        await asyncio.gather(*broken, return_exceptions=True)
        await asyncio.sleep(0)  # their sockets are closed

    async def _let_in(self, one: socket.socket) -> None:
        writers: list[asyncio.StreamWriter] = []
        try:
            reader, writer = await asyncio.open_connection(sock=one)
            writers.append(writer)
            self._writers.add(writer)
            answers, beyond = await asyncio.open_connection("127.0.0.1", self._server_port)
            writers.append(beyond)
            self._writers.add(beyond)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, beyond, "there"))
                both.create_task(self._pass(answers, writer, "back"))
        except* (OSError, asyncio.CancelledError):
            pass  # the server is away, or the link was broken
        finally:
            if not writers:
                one.close()
            for made in writers:
                self._writers.discard(made)
                made.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if self._bytes_per_s is not None:
                await asyncio.sleep(len(data) / self._bytes_per_s)
            await self._open[way].wait()
            writer.write(data)
            self.passed_bytes += len(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
