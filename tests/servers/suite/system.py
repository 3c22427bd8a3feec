"""What the suites ask of a system: a place of its own for each test, rows put there or looked at there, stop and start."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, ClassVar, Protocol

import pytest
from tests.servers.suite.distant_link import DistantLink

import eventide as et
from eventide.flow import Sink
from eventide.testing.link import Link

Row = Mapping[str, Any]

SCHEMA: dict[str, Any] = {"id": int, "k": str, "x": float, "ok": bool, "at": et.Instant}

INSTANTS = ("at", "window_start", "window_end")

ASKED = (
    "dead letters",
    "a wrong password",
    "away at the start",
    "read through a restart",
    "read through faults",
    "whole epochs",
    "take epochs back",
    "write through a restart",
    "write through faults",
)
"""What a system may be unable to do: the words of `cannot`. A test that is about one of them leaves out who cannot."""


class Server(Protocol):
    """A server on a port of loopback."""

    port: int

    def start(self) -> None:
        """Start it, with what it had confirmed."""

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it by a signal."""


class System:
    """A system behind a link. `stream`, `refused_stream` and `away_stream` are there for who rows come from; `sink`,
    `rows`, `refused_sink` and `away_sink` for who they go to.
    """

    cannot: ClassVar[Mapping[str, str]] = {}
    """What it cannot do, by the words of `ASKED`, with the reason."""
    follows: ClassVar[bool] = True
    """A source waits for rows to come, if it is asked to."""
    repeats: ClassVar[bool] = False
    """A source may hand a row out twice when a connection broke off: it promises at least once."""
    patient: ClassVar[Sequence[str]] = ()
    """The modules of its connector that wait between attempts."""

    server: Server
    link: Link | DistantLink

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._places: dict[str, str] = {}
        self._shared = False

    def put_behind_link(self, server: Server, link: Link | DistantLink | None = None, *, shared: bool = False) -> None:
        """Have a server behind a link: one of its own, which is started, or one that it shares with other tests."""
        self.server, self._shared = server, shared
        if not shared:
            server.start()
        self.link = link or Link(server.port)

    def stop(self) -> None:
        """Let it be away."""
        self.server.stop()

    def kill(self) -> None:
        """Let it be away without a farewell."""
        self.server.stop(how=signal.SIGKILL)

    def start(self) -> None:
        """Let it come back with what it had confirmed."""
        self.server.start()

    def close(self) -> None:
        """End it for good."""
        self.link.close()
        if not self._shared:
            self.server.stop()

    def be_patient(self, monkeypatch: pytest.MonkeyPatch, waits_s: Sequence[float]) -> None:
        """Let its connector wait so long between attempts."""
        for name in self.patient:
            module = import_module(f"eventide.connectors.{name}")
            monkeypatch.setattr(module, "WAITS_S" if hasattr(module, "WAITS_S") else "_WAITS_S", waits_s)

    def named(self, place: str) -> str:
        """A short name for a place; it is made there at the first time."""
        if place not in self._places:
            name = self._places[place] = f"place{len(self._places)}"
            self.make(name)
        return self._places[place]

    def make(self, name: str) -> None:
        """Make what a place needs."""

    def put(self, place: str, rows: Sequence[Row]) -> None:
        """Put rows with the columns of `SCHEMA`, in this order, into one log."""
        raise NotImplementedError

    def broken(self, place: str) -> None:
        """Put a row between others there whose `x` is the text `much`."""
        self.put(place, [{"id": -1, "x": "much"}])

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        """The rows of a place; with `follow` also those that are yet to come."""
        raise NotImplementedError

    def refused_stream(self) -> et.Stream:
        """The same with a wrong password, `hush`."""
        raise NotImplementedError

    def away_stream(self) -> et.Stream:
        """The same where nobody listens, with little patience."""
        raise NotImplementedError

    def sink(self, place: str) -> Sink:
        """A sink to a place."""
        raise NotImplementedError

    def rows(self, place: str) -> list[dict[str, Any]]:
        """The rows that are visible there; instants in microseconds. Those that their receiver knows by an id, where
        the promise is at least once, are there once.
        """
        raise NotImplementedError

    def refused_sink(self) -> Sink:
        """A sink with a wrong password, `hush`."""
        raise NotImplementedError

    def away_sink(self) -> Sink:
        """A sink to where nobody listens, with little patience."""
        raise NotImplementedError

    @property
    def secrets(self) -> Mapping[str, str]:
        """The variables with a wrong password."""
        return {"SUITE_USER": "me", "SUITE_PASSWORD": "hush"}


SENT = "what was sent cannot be taken back: where a damaged checkpoint makes a run go back, it is sent again"


def as_json(row: Row) -> bytes:
    """A row as a message."""
    return json.dumps(row, ensure_ascii=False).encode()


def of_json(text: str | bytes) -> dict[str, Any]:
    """A message as a row."""
    row = json.loads(text)
    return {name: micros(value) if name in INSTANTS else value for name, value in row.items()}


def micros(value: Any) -> int | None:
    """An instant in microseconds, whatever a system has made of it."""
    if value is None or isinstance(value, int):
        return value
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return round(at.timestamp() * 1e6)
