"""The wire between the main process and a worker: a short message in JSON, then frames as Arrow.

Law: a message is whole or not there; what ends in the middle of one is a connection that has broken off. Nothing on
the wire is ever run as code.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import msgspec
import polars as pl

_LENGTH = struct.Struct("<Q")
_PIECE = 1 << 20


class Head(msgspec.Struct):
    """What a message says of itself: its number, what it is, plain values, and the names and bytes of its frames."""

    number: int
    kind: str
    values: dict[str, Any]
    frames: dict[str, int]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. An answer has the number of its question."""

    number: int
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)


class BrokenOff(Exception):
    """The other side is gone."""


def send(wire: socket.socket, message: Message) -> None:
    """Send a message whole. Raises `BrokenOff` when nobody takes it."""
    parts = {name: _encoded(frame) for name, frame in message.frames.items()}
    sizes = {name: part.nbytes for name, part in parts.items()}
    head = msgspec.json.encode(Head(message.number, message.kind, dict(message.values), sizes))
    try:
        wire.sendall(_LENGTH.pack(len(head)) + head)
        for part in parts.values():
            wire.sendall(part)
    except OSError as fault:
        raise BrokenOff(str(fault)) from None


def receive(wire: socket.socket) -> Message:
    """The next message. Raises `BrokenOff` when there will be none."""
    (size,) = _LENGTH.unpack(_read(wire, _LENGTH.size))
    head = msgspec.json.decode(_read(wire, size), type=Head)
    frames = {name: pl.read_ipc_stream(BytesIO(_read(wire, part))) for name, part in head.frames.items()}
    return Message(head.number, head.kind, head.values, frames)


def _encoded(frame: pl.DataFrame) -> memoryview:
    made = BytesIO()
    frame.write_ipc_stream(made)
    return made.getbuffer()


def _read(wire: socket.socket, size: int) -> bytearray:
    room = bytearray(size)
    rest = memoryview(room)
    while rest:
        try:
            got = wire.recv_into(rest, min(len(rest), _PIECE))
        except OSError as fault:
            raise BrokenOff(str(fault)) from None
        if not got:
            raise BrokenOff("it ended")
        rest = rest[got:]
    return room
