"""The systems that connectors exist for, found by the word of a plan's text or by one of their values.

Law: a system's modules are brought along when a plan names it; its folder's `system.py` is all that this file knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

_FOLDERS = {
    "cassandra": "cassandra",
    "delta": "delta",
    "duckdb": "tables",
    "http": "http",
    "iceberg": "iceberg",
    "kafka": "kafka",
    "mongodb": "mongodb",
    "mqtt": "mqtt",
    "nats": "nats",
    "notify": "notifications",
    "postgres": "postgres",
    "rabbitmq": "rabbitmq",
    "webhook": "webhook",
    "websocket": "websocket",
}
"""The folder of each kind, in the order of the table of promises."""


class System(Protocol):
    """What a folder's `system.py` tells: its promises, and its values as plain values and back. A system without
    sources or without sinks leaves those functions out.
    """

    PROMISES: tuple[Promise, ...]

    def source_to(self, source: Source) -> dict[str, Any]:
        """A source as plain values."""

    def source_from(self, tree: Mapping[str, Any], schema: Schema) -> Source:
        """A source of plain values."""

    def sink_to(self, sink: Sink) -> dict[str, Any]:
        """A sink as plain values."""

    def sink_from(self, tree: Mapping[str, Any]) -> Sink:
        """A sink of plain values."""


def kinds() -> Iterable[str]:
    """The words for all systems."""
    return _FOLDERS


def system_named(kind: object) -> System | None:
    """The system that a plan's text names; None when there is none."""
    folder = _FOLDERS.get(kind) if isinstance(kind, str) else None
    return None if folder is None else cast("System", import_module(f"eventide.connectors.{folder}.system"))


def system_of(value: Source | Sink) -> System | None:
    """The system whose folder a source or sink comes from; None when it comes from none."""
    folder = type(value).__module__.removeprefix("eventide.connectors.").split(".")[0]
    return next((system_named(kind) for kind, one in _FOLDERS.items() if one == folder), None)
