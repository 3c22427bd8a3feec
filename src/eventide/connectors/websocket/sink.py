"""A server that pushes the rows of an output to connected viewers, such as a live page.

Law: rows leave as they come out. Who is not connected or too slow misses some, and the run does not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.files.encoding import rows_as_bytes
from eventide.connectors.kinds import check_kinds
from eventide.connectors.pieces import pieces
from eventide.connectors.serving import Address, Door, Serving, is_installed
from eventide.errors import SinkError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.websockets import WebSocket

_ROWS = 500
_MESSAGE_BYTES = 256 * 2**10
_WAITING_MOST = 128
_LAST_S = 2
_HEARD_BYTES = 2**10
_CODES = {401: 4401, 403: 4403}
_TOO_SLOW = 1013


@dataclass(frozen=True, slots=True)
class WebSocketOut:
    """Where the server listens, and how many of the last rows a new viewer gets at once."""

    door: Door
    path: str = "/live"
    recent: int = 100

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or any(one in self.path for one in "{}?# "):
            raise ValueError(f'path={self.path!r} is no path: write for example "/live"')
        if self.recent < 0:
            raise ValueError(f"recent={self.recent} must be 0 or more: it is how many rows a new viewer gets at once")

    @property
    def name(self) -> str:
        return f"websocket {self.door.address}{self.path}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "http"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> WebSocketWriter:
        return WebSocketWriter(self)


class Viewers:
    """Those who are connected. Everything here happens in the server's own loop."""

    def __init__(self, sink: WebSocketOut) -> None:
        self._door = sink.door
        self._token = sink.door.token(SinkError)
        self._path = sink.path
        self._recent: deque[str] = deque(maxlen=sink.recent)
        self._waiting: set[asyncio.Queue[str | None]] = set()

    def application(self) -> Starlette:
        """The web application."""
        from starlette.applications import Starlette
        from starlette.routing import WebSocketRoute

        return Starlette(routes=[WebSocketRoute(self._path, self._show)])

    def push(self, messages: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Show messages to all viewers; each comes with its rows."""
        for message, rows in messages:
            self._recent.extend(rows)
            for waiting in list(self._waiting):
                try:
                    waiting.put_nowait(message)
                except asyncio.QueueFull:
                    self._waiting.discard(waiting)  # it hears of that behind what waits for it

    async def last(self) -> None:
        """Wait until all has been sent."""
        for waiting in list(self._waiting):
            await waiting.join()

    async def _show(self, socket: WebSocket) -> None:
        refusal = self._door.refusal(socket.headers, self._token)
        if refusal is not None:
            await socket.close(_CODES[refusal[0]], refusal[1])
            return
        await socket.accept()
        waiting: asyncio.Queue[str | None] = asyncio.Queue(_WAITING_MOST)
        if self._recent:
            waiting.put_nowait(_array(self._recent))
        self._waiting.add(waiting)
        sending = asyncio.create_task(self._send(socket, waiting))
        try:
            while (await socket.receive())["type"] == "websocket.receive":
                pass  # what viewers say is not listened to
        finally:
            self._waiting.discard(waiting)
            sending.cancel()
            while not waiting.empty():
                waiting.get_nowait()
                waiting.task_done()

    async def _send(self, socket: WebSocket, waiting: asyncio.Queue[str | None]) -> None:
        while (message := await waiting.get()) is not None:
            try:
                await socket.send_text(message)
            except Exception:  # the kind depends on the server's library; the viewer is gone either way
                return
            finally:
                waiting.task_done()
            if waiting not in self._waiting and waiting.empty():
                await socket.close(_TOO_SLOW, "too slow: rows were left out")
                return


class WebSocketWriter:
    """Pushes frames as they come out."""

    def __init__(self, sink: WebSocketOut) -> None:
        self._viewers = Viewers(sink)
        self._serving = Serving(self._viewers.application(), sink.door.address, _HEARD_BYTES, SinkError)

    def write(self, frame: pl.DataFrame) -> None:
        lines = rows_as_bytes(frame, "ndjson", header=False).decode().split("\n")
        messages = [(_array(part), part) for part in pieces([line for line in lines if line], _ROWS, _MESSAGE_BYTES)]
        if not self._serving.is_alive:
            raise SinkError("the server that pushes rows has ended: start the run again")
        self._serving.loop.call_soon_threadsafe(self._viewers.push, messages)

    def commit(self) -> None:
        """Rows are pushed as they come out."""

    def close(self) -> None:
        last = asyncio.run_coroutine_threadsafe(self._viewers.last(), self._serving.loop)
        try:
            last.result(_LAST_S)
        except NotInTime:
            last.cancel()
        self._serving.close()

    def abort(self) -> None:
        self._serving.close()


def _array(rows: Sequence[str] | deque[str]) -> str:
    return f"[{','.join(rows)}]"


def write_websocket(
    address: str = "127.0.0.1:8081",
    *,
    path: str = "/live",
    recent: int = 100,
    token_env: str | None = None,
    origins: Sequence[str] = (),
) -> WebSocketOut:
    """A sink that pushes rows to whoever is connected to `ws://address/path`, such as a live page.

    Each message is a JSON array of rows; a new viewer gets the `recent` last ones first. Rows are pushed as they come
    out; who is not there or too slow (a few hundred messages behind) misses rows, and the run does not wait.
    `token_env` names the environment variable that holds the token which viewers must show; without it the server
    listens on this machine only. `origins` are the web pages that may look, such as `"https://example.org"`.

    >>> write_websocket("127.0.0.1:8081").name
    'websocket 127.0.0.1:8081/live'
    """
    check_kinds(write_websocket, locals())
    return WebSocketOut(Door(Address.of(address), token_env, tuple(origins)), path, recent)
