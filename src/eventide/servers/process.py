"""Processes of servers that Eventide starts itself: started, waited for, stopped again.

Law: `start` returns when a client can work with the server, or raises with the last lines that the server wrote.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eventide.errors import ServiceError
from eventide.flow import SystemClock

_READY_US = 90_000_000
_LOOK_US = 50_000
_STOP_S = 20
_LINES_SHOWN = 20


@dataclass
class Process:
    """A server's process: its output goes to a file in its folder. A detached one outlives this program and no Ctrl-C
    of a terminal reaches it. `patience_us` is how long it may take to be ready.
    """

    name: str
    folder: Path
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    detached: bool = False
    patience_us: int = _READY_US
    _child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The number of the process; None when it does not run."""
        return None if self._child is None or self._child.poll() is not None else self._child.pid

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it and look again and again until `ready` says so. Raises `ServiceError` when it ends before that."""
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - the command of a server, with no text from outside
                self.command,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=self.detached,
            )
        self.wait_until(ready)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Look again and again until `ready` says so. Raises `ServiceError` when the process ends before that."""
        clock, never = SystemClock(), threading.Event()
        until_us = clock.now_us() + self.patience_us
        while not ready():
            self.check()
            if clock.now_us() > until_us:
                self.stop()
                raise ServiceError(
                    f"{self.name} was not ready after {self.patience_us // 1_000_000} s: {self._last_lines()}"
                )
            clock.wait(never, _LOOK_US)

    def check(self) -> None:
        """Raise `ServiceError` when the process has ended."""
        if self._child is not None and self._child.poll() is not None:
            raise ServiceError(f"{self.name} ended with code {self._child.returncode}: {self._last_lines()}")

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LINES_SHOWN:]) or "it wrote nothing"

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal; by SIGKILL when that does not help."""
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(how)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """True when somebody accepts connections on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def kept_folder(name: str) -> Path:
    """The folder for what is fetched once: below `EVENTIDE_SERVICES_DIR`."""
    root = os.environ.get("EVENTIDE_SERVICES_DIR") or Path.home() / ".cache" / "eventide" / "services"
    folder = Path(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str, package: str) -> str:
    """The path of a program. Raises `ServiceError` that names Debian's package when it is not there."""
    found = shutil.which(name)
    if found is None:
        raise ServiceError(f"{name} is not installed: apt-get install {package}")
    return found
