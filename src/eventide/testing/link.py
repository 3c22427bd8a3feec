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
        self._listening: asyncio.Server | None = None
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
        self._do(self._end())
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
        if self._listening is None:
            self._listening = await asyncio.start_server(self._let_in, "127.0.0.1", self.port)

    async def _cut(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        await self._break()

    async def _hold(self, *, answers_only: bool) -> None:
        self._open["back"].clear()
        if not answers_only:
            self._open["there"].clear()

    async def _break(self) -> None:
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

    async def _end(self) -> None:
        await self._cut()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here = asyncio.current_task()
        assert here is not None
        self._passing.add(here)
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            answers, beyond = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._writers.add(beyond)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, beyond, "there"))
                both.create_task(self._pass(answers, writer, "back"))
        except* (OSError, asyncio.CancelledError):
            pass  # the server is away, or the link was broken
        finally:
            self._passing.discard(here)
            for one in (writer, beyond):
                if one is not None:
                    self._writers.discard(one)
                    one.close()

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
