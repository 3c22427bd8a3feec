"""What the suites ask of a system: a place of its own for each test, rows put there or looked at there, stop and start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import eventide as et
from eventide.flow import Sink

Row = Mapping[str, Any]

SCHEMA: dict[str, Any] = {"id": int, "k": str, "x": float, "ok": bool, "at": et.Instant}


class Server(Protocol):
    """A system that can be away."""

    def stop(self) -> None:
        """Let it be away."""

    def start(self) -> None:
        """Let it come back with what it had confirmed."""

    def close(self) -> None:
        """End it for good."""


class SourceSystem(Server, Protocol):
    """A system that rows come from. `follows` says that a source may wait for rows to come."""

    follows: bool

    def put(self, place: str, rows: Sequence[Row]) -> None:
        """Put rows with the columns of `SCHEMA`, in this order, into one log; the place is made if it is not there."""

    def broken(self, place: str) -> None:
        """Put a row between others there whose `x` is the text `much`."""

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        """The rows of a place; with `follow` also those that are yet to come."""

    def refused(self) -> et.Stream:
        """The same with a wrong password, `hush`."""

    def away(self) -> et.Stream:
        """The same where nobody listens, with little patience."""


class SinkSystem(Server, Protocol):
    """A system that rows go to. `remote` is false for what lies in this process's own files."""

    remote: bool

    def sink(self, place: str) -> Sink:
        """A sink to a place, which is made if it is not there."""

    def rows(self, place: str) -> list[dict[str, Any]]:
        """The rows that are visible there; instants in microseconds."""

    def refused(self) -> Sink:
        """The same with a wrong password, `hush`."""

    def away(self) -> Sink:
        """The same where nobody listens, with little patience."""


def micros(value: Any) -> int | None:
    """An instant in microseconds, whatever a system has made of it."""
    if value is None:
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return round(at.timestamp() * 1e6)
