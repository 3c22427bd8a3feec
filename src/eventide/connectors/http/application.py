"""What senders meet: POST and WebSocket at one path, and `/health`.

Law: a request is answered with 202, a message with its offset, only behind the sync of the journal. A sender that is
faster than the engine for too long is told to wait; nothing is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from eventide.connectors.http.body import Body, BodyFormat, Refused, Room, busy, records
from eventide.connectors.journal import Keeper
from eventide.connectors.journal.keeper import Ended, Full
from eventide.connectors.serving import Door

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

HEALTH = "/health"
_BODY_S = 30
_DRAIN_S = 5
_ROOM_BYTES = 64 * 2**20
_UNANSWERED_MOST = 64
_LOOK_S = 0.05
_CODES = {401: 4401, 403: 4403}


class Ingest:
    """Takes bodies and messages in for one source."""

    def __init__(self, keeper: Keeper, form: BodyFormat, door: Door, token: bytes | None, body_bytes_most: int) -> None:
        self._keeper = keeper
        self._form = form
        self._door = door
        self._token = token
        self._body_bytes_most = body_bytes_most
        self._room = Room(max(_ROOM_BYTES, body_bytes_most))

    def application(self, path: str) -> Starlette:
        """The web application."""
        from starlette.applications import Starlette
        from starlette.routing import Route, WebSocketRoute

        posted, talked = Route(path, self._post, methods=["POST"]), WebSocketRoute(path, self._talk)
        return Starlette(routes=[posted, talked, Route(HEALTH, self._health, methods=["GET"])])

    async def _post(self, request: Request) -> Response:
        from starlette.requests import ClientDisconnect

        body = Body(self._body_bytes_most, self._room)
        try:
            refusal = self._door.refusal(request.headers, self._token)
            if refusal is not None:
                raise Refused(*refusal, {"WWW-Authenticate": "Bearer"} if refusal[0] == 401 else {})
            if not self._keeper.has_room:
                raise self._no_room()
            try:
                whole = await asyncio.wait_for(body.read(request.stream(), request.headers), _BODY_S)
            except ClientDisconnect:
                raise Refused(400, "the body broke off") from None
            except TimeoutError:
                raise Refused(408, f"the body did not come within {_BODY_S} s") from None
            values = records(whole, self._form, request.headers.get("content-type", ""))
            offset = await self._hand(values)
        except Refused as fault:
            await self._drain(request)
            return _answer({"error": fault.why}, fault.status, fault.headers | {"Connection": "close"})
        finally:
            body.close()
        return _answer({"accepted": len(values), "offset": offset}, 202)

    async def _drain(self, request: Request) -> None:
        """Let the rest of a refused body pass by: whoever still sends would see a broken connection, not the answer."""
        from starlette.requests import ClientDisconnect

        left = 2 * self._body_bytes_most
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > left:
            return
        with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last where all was read
            async with asyncio.timeout(_DRAIN_S):
                async for piece in request.stream():
                    left -= len(piece)
                    if left < 0:
                        return

    def _hand(self, values: Sequence[bytes]) -> Awaitable[int | None]:
        """Hand records to the keeper; what comes back in time is the offset of the first, or raises `Refused`."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[int | None] = loop.create_future()
        if not values:
            kept.set_result(None)
            return kept

        def done(answer: int | OSError) -> None:
            try:
                loop.call_soon_threadsafe(_resolve, kept, answer)
            except RuntimeError:  # the server has ended: nobody waits any more
                return

        try:
            self._keeper.hand(values, done)
        except (Full, Ended):
            raise self._no_room() from None
        return kept

    def _no_room(self) -> Refused:
        return busy("what was accepted is not yet worked off")

    async def _talk(self, socket: WebSocket) -> None:
        refusal = self._door.refusal(socket.headers, self._token)
        if refusal is not None:
            await socket.close(_CODES[refusal[0]], refusal[1])
            return
        await socket.accept()
        answers: asyncio.Queue[Awaitable[dict[str, Any]] | None] = asyncio.Queue(_UNANSWERED_MOST)
        answering = asyncio.create_task(_answer_all(socket, answers))
        try:
            while (message := await socket.receive())["type"] == "websocket.receive":
                data = message.get("bytes") or (message.get("text") or "").encode()
                while not self._keeper.has_room:
                    await asyncio.sleep(_LOOK_S)  # nothing is read from the socket meanwhile: its sender has to wait
                await answers.put(self._taken(data))
        finally:
            await answers.put(None)
            await answering

    def _taken(self, data: bytes) -> Awaitable[dict[str, Any]]:
        """Take in a message now; what its sender is told comes later."""
        try:
            values = records(data, self._form)
            kept = self._hand(values)
        except Refused as fault:
            return _said({"error": fault.why})
        return _told(kept, len(values))

    async def _health(self, request: Request) -> Response:
        if self._keeper.fault is not None:
            return _answer({"status": "cannot write"}, 503)
        if not self._keeper.has_room:
            return _answer({"status": "full"}, 503)
        return _answer({"status": "ok"}, 200)


async def _said(answer: dict[str, Any]) -> dict[str, Any]:
    return answer


async def _told(kept: Awaitable[int | None], count: int) -> dict[str, Any]:
    try:
        return {"accepted": count, "offset": await kept}
    except Refused as fault:
        return {"error": fault.why}


async def _answer_all(socket: WebSocket, answers: asyncio.Queue[Awaitable[dict[str, Any]] | None]) -> None:
    """Send answers in the order of the messages; go on taking them when nobody hears any more."""
    heard = True
    while (waiting := await answers.get()) is not None:
        answer = await waiting
        try:
            if heard:
                await socket.send_text(msgspec.json.encode(answer).decode())
        except Exception:  # the kind depends on the server's library; the sender is gone either way
            heard = False


def _resolve(kept: asyncio.Future[int | None], answer: int | OSError) -> None:
    if kept.cancelled():
        return
    if isinstance(answer, int):
        kept.set_result(answer)
    else:
        kept.set_exception(busy("it cannot be written to the disk"))


def _answer(told: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import Response

    return Response(msgspec.json.encode(told), status, headers, media_type="application/json")
