"""Bodies of requests: read within bounds, unpacked within bounds, split into records.

Law: a body is refused as soon as it is too large, however small it was sent; what is refused was not accepted.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Literal

import msgspec

BodyFormat = Literal["json", "ndjson", "csv"]

ROWS_MOST = 100_000
"""Records in one request or message."""

_LINES = ("ndjson", "jsonl", "json-lines", "jsonlines", "json-seq")
_BLANK = b" \t\r\n"
_GZIP = 31


class Refused(Exception):
    """A request that is not accepted: the status and the reason that its sender is told."""

    def __init__(self, status: int, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, dict(headers or {})


def too_large(bytes_most: int) -> Refused:
    """For a body that is larger than allowed."""
    return Refused(413, f"more than {bytes_most:,} bytes: send smaller requests")


class Room:
    """How many bytes of bodies may be in memory at one time."""

    def __init__(self, bytes_most: int) -> None:
        self._left = bytes_most

    def take(self, size: int) -> None:
        """Take room; raises `Refused` when there is none."""
        if size > self._left:
            raise busy("too many requests at one time")
        self._left -= size

    def give(self, size: int) -> None:
        """Give room back."""
        self._left += size


def busy(why: str) -> Refused:
    """For a request that shall come again a little later."""
    return Refused(503, f"{why}: send it again a little later", {"Retry-After": "1"})


class Body:
    """The body of one request on its way in."""

    def __init__(self, bytes_most: int, room: Room) -> None:
        self._bytes_most = bytes_most
        self._room = room
        self._held = 0

    async def read(self, pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> bytes:
        """The whole body, unpacked. Raises `Refused`."""
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip"):
            raise Refused(415, f"the content coding {coding[:20]!r} is not taken: send gzip, or none")
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._bytes_most:
            raise too_large(self._bytes_most)
        unpacking = zlib.decompressobj(_GZIP) if coding == "gzip" else None
        body = bytearray()
        async for piece in pieces:
            self._add(body, piece, unpacking)
        if unpacking is not None and not unpacking.eof:
            raise Refused(400, "the body is not whole gzip data")
        return bytes(body)

    def _add(self, body: bytearray, piece: bytes, unpacking: zlib._Decompress | None) -> None:
        if unpacking is not None:
            try:
                piece = unpacking.decompress(piece, self._bytes_most - len(body) + 1)
            except zlib.error:
                raise Refused(400, "the body is not gzip data") from None
            if unpacking.unused_data:
                raise Refused(400, "there is something behind the gzip data")
        if len(body) + len(piece) > self._bytes_most:
            raise too_large(self._bytes_most)
        self._room.take(len(piece))
        self._held += len(piece)
        body += piece

    def close(self) -> None:
        """Give back the room it took."""
        self._room.give(self._held)


def records(body: bytes, form: BodyFormat, content_type: str = "") -> list[bytes]:
    """The records of a body: the lines that are not blank, one JSON value, or the items of a JSON array. Raises
    `Refused` when it cannot be taken apart; whether a record fits the schema is not looked at here.
    """
    if form != "json" or any(one in content_type.lower() for one in _LINES):
        return _lines(body)
    try:
        if not body.lstrip(_BLANK).startswith(b"["):
            return [bytes(msgspec.json.decode(body, type=msgspec.Raw))]
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except RecursionError:
        raise Refused(400, "the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Refused(400, f"the body cannot be read: {fault}") from None
    if len(items) > ROWS_MOST:
        raise _too_many()
    return [bytes(item) for item in items]


def _lines(body: bytes) -> list[bytes]:
    if body.count(b"\n") > ROWS_MOST:
        raise _too_many()
    return [line for line in body.split(b"\n") if line.strip(_BLANK)]


def _too_many() -> Refused:
    return Refused(413, f"more than {ROWS_MOST:,} records: send smaller requests")
