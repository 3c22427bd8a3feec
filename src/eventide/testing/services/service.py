"""What every server has in common: it starts, says where it listens, and stops.

Law: a service that was started by `running` is stopped whatever happens.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from eventide.errors import ServiceError
from eventide.servers.process import Process, free_port, is_listening, kept_folder, program

__all__ = [
    "OneProcess",
    "Process",
    "Service",
    "ServiceError",
    "free_port",
    "is_listening",
    "kept_folder",
    "own_folder",
    "program",
    "running",
]

_OWNER = "owner"


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


class OneProcess:
    """A service that is one process: prepared at its first start, started again on what it had."""

    ends_by: ClassVar[signal.Signals] = signal.SIGTERM
    """The signal that it is stopped by."""
    _process: Process | None = None

    def start(self) -> None:
        if self._process is None:
            self._process = self._prepared()
        self._process.start(self._answers)

    def stop(self, *, how: signal.Signals | None = None) -> None:
        """End it by a signal."""
        if self._process is not None:
            self._process.stop(how=how or self.ends_by)

    def _prepared(self) -> Process:
        """Its process, with all that it needs in its folder."""
        raise NotImplementedError

    def _answers(self) -> bool:
        """True when clients can work with it."""
        raise NotImplementedError


def own_folder(name: str) -> Path:
    """A folder for the data of a server, which goes when this program ends. What programs left that were killed goes
    now.
    """
    for left in Path(tempfile.gettempdir()).glob(f"eventide-{name}-*"):
        with suppress(OSError, ValueError):  # of somebody else, or not one of ours
            if not _is_alive(int((left / _OWNER).read_text())):
                shutil.rmtree(left, ignore_errors=True)
    folder, mine = Path(tempfile.mkdtemp(prefix=f"eventide-{name}-")), os.getpid()
    (folder / _OWNER).write_text(str(mine))

    def remove() -> None:
        if os.getpid() == mine:  # not a process that was forked
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_S = TypeVar("_S", bound=Service)


@contextmanager
def running(service: _S) -> Iterator[_S]:
    """Start a server and stop it at the end, whatever happens in between."""
    try:
        service.start()
        yield service
    finally:
        service.stop()
