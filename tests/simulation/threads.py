"""Workers of a simulated run: threads that work at the far ends of the same wires, where a run has processes.

Law: a thread gets and gives the same messages as a process does, and ends when its wire does.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from unittest.mock import patch

from eventide.engine.workers import crew
from eventide.engine.workers.__main__ import work
from eventide.engine.workers.wire import BrokenOff


class WorkingThread:
    """What a run waits for when it ends its workers."""

    def __init__(self, wire: socket.socket, of: int) -> None:
        self._wire = wire.dup()  # whoever starts a worker closes the wire that was given to it
        self._thread = threading.Thread(target=self._work, name=f"one of {of} workers")
        self._thread.start()

    def _work(self) -> None:
        with self._wire, suppress(BrokenOff):
            work(self._wire)

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it has ended."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "a worker goes on behind the end of its wire"
        return 0


@contextmanager
def threads_for_processes() -> Iterator[None]:
    """Runs within have threads for workers: a Python that starts costs more than all that a simulated worker does."""
    with patch.object(crew, "process_at", WorkingThread):
        yield
