"""The crew: the worker processes of a run, started together and ended together.

Law: a worker that ends before its time stops the run with a message, and never lets it wait; workers end when the main
process does, however that ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import polars as pl

from eventide.engine.workers.wire import BrokenOff, Message, receive, send
from eventide.errors import WorkerError

_MODULE = "eventide.engine.workers"
_PATIENCE_S = 5.0

Frames = Mapping[str, pl.DataFrame]


def process_at(wire: socket.socket, of: int) -> subprocess.Popen[bytes]:
    """A process that works at this end of a wire, one of so many."""
    threads = str(max(1, (os.cpu_count() or 1) // of))
    command = [sys.executable, "-m", _MODULE, str(wire.fileno())]
    # a group of its own: Ctrl-C is for the main process, which ends its workers in order
    return subprocess.Popen(  # noqa: S603 - this Python, a module of ours and a number
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=[wire.fileno()],
        process_group=0,
        env={**os.environ, "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS", threads)},
    )


@dataclass
class Worker:
    """One process at the other end of a wire. `number` counts from 2: the main process is the first."""

    number: int
    of: int
    _wire: socket.socket = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)
    _asked: int = 0

    def __post_init__(self) -> None:
        if not sys.executable:
            raise WorkerError("workers need a Python to start, and sys.executable names none: run with workers=1")
        self._wire, theirs = socket.socketpair()
        self._process = process_at(theirs, self.of)
        theirs.close()

    @property
    def process_id(self) -> int:
        """The number by which the system knows the process."""
        return self._process.pid

    def ask(self, kind: str, values: Mapping[str, Any], frames: Frames) -> int:
        """Send a question; gives its number, for `answer`."""
        self._asked += 1
        try:
            send(self._wire, Message(self._asked, kind, values, frames))
        except BrokenOff:
            raise self._ended() from None
        return self._asked

    def answer(self, number: int) -> Message:
        """The answer to a question; answers to earlier ones that nobody took are passed over."""
        try:
            told = receive(self._wire)
            while told.number < number:
                told = receive(self._wire)
        except BrokenOff:
            raise self._ended() from None
        if told.kind == "fault":
            raise WorkerError(f"worker {self.number} of {self.of} failed:\n{told.values['text']}")
        return told

    def _ended(self) -> WorkerError:
        try:
            code = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if code >= 0:
            how = f"ended with exit code {code}; what it said stands above"
        else:
            name = signal.Signals(-code).name
            how = f"was killed by {name}" + (" (somebody's, or the system's for lack of memory)" if code == -9 else "")
        return WorkerError(
            f"worker {self.number} of {self.of} (process {self._process.pid}) {how}. The run has stopped; with a state "
            "folder, run it again to go on behind its last epoch"
        )

    def end(self) -> None:
        """End the process: it goes when its wire is closed."""
        self._wire.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Crew:
    """The processes of a run with `workers` of them, the main process being one. Use it in a `with` block."""

    def __init__(self, workers: int) -> None:
        self.size = workers
        self.workers: list[Worker] = []

    def __repr__(self) -> str:
        return f"Crew({self.size})"

    def start(self) -> list[Worker]:
        """The workers beside the main process, started when they are first needed."""
        while len(self.workers) < self.size - 1:
            self.workers.append(Worker(len(self.workers) + 2, self.size))
        return self.workers

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for worker in self.workers:
            worker.end()
