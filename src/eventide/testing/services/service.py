"""What every server has in common: it starts, says where it listens, and stops.

Law: a service that was started by `running` is stopped whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from eventide.errors import ServiceError
from eventide.servers.process import Process, free_port, is_listening, kept_folder, program

__all__ = ["Process", "Service", "ServiceError", "free_port", "is_listening", "kept_folder", "program", "running"]


class Service(Protocol):
    """A server for tests."""

    @property
    def name(self) -> str:
        """What it is called: the word for the command line."""

    @property
    def address(self) -> str:
        """Where clients find it, once it was started."""

    def start(self) -> None:
        """Start it, on the data that it had before if it ran before, and wait until clients can work with it."""

    def stop(self) -> None:
        """Stop it and wait for its end. Its data stays until the folder is removed."""


_S = TypeVar("_S", bound=Service)


@contextmanager
def running(service: _S) -> Iterator[_S]:
    """Start a server and stop it at the end, whatever happens in between."""
    try:
        service.start()
        yield service
    finally:
        service.stop()
