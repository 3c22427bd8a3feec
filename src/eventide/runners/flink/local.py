"""A local cluster that goes on by itself: `eventide flink up` starts it, `eventide flink down` ends it.

Law: what `down` ends are processes that `up` started and that still are the same; it knows them by their folder.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from eventide.errors import FlinkError
from eventide.flow import SystemClock
from eventide.runners.flink.cluster import Cluster
from eventide.runners.flink.rest import Rest
from eventide.servers.process import is_listening, kept_folder

_LOOK_US = 100_000
_PATIENCE_US = 20_000_000


@dataclass(frozen=True, slots=True)
class Local:
    """A cluster that was started here: its folder (logs, checkpoints, savepoints), its address, its processes. `began`
    is False when it ran already.
    """

    folder: Path
    url: str
    processes: tuple[tuple[str, int], ...]
    began: bool = False

    @property
    def alive(self) -> tuple[tuple[str, int], ...]:
        """The processes that still run."""
        return tuple((name, pid) for name, pid in self.processes if _is_ours(pid, self.folder))


def up(*, port: int = 8081, task_managers: int = 1, slots: int = 4, folder: Path | None = None) -> Local:
    """Start a Flink cluster on this machine and leave it running. A cluster of this port that runs already is kept
    as it is, whatever its size.

    The first time its jars (about 180 MB) are fetched by Maven. Raises `ServiceError` when Maven or Java is missing or
    a process ends, `FlinkError` when something else listens on the port.
    """
    if task_managers < 1 or slots < 1:
        raise ValueError("a cluster needs at least one TaskManager with one slot: task_managers= and slots= from 1 up")
    place = (folder or kept_folder(f"flink-cluster-{port}")).absolute()
    running = _recorded(place)
    if running is not None and len(running.alive) == len(running.processes):
        Rest(running.url).get("/overview")
        return running
    if running is not None:
        down(port=port, folder=place)
    if is_listening(port):
        raise FlinkError(f"port {port} is taken: choose another one (--port), or end what listens there")
    cluster = Cluster(place, port, task_managers, slots, detached=True)
    cluster.start()
    pids = {name: pid for name, process in cluster.processes.items() if (pid := process.pid) is not None}
    (place / "cluster.json").write_text(json.dumps({"url": cluster.url, "processes": pids}))
    return Local(place, cluster.url, tuple(pids.items()), began=True)


def down(*, port: int = 8081, folder: Path | None = None) -> Local:
    """End a cluster that `up` started; its logs, checkpoints and savepoints stay. Raises `FlinkError` when there is
    none.
    """
    place = (folder or kept_folder(f"flink-cluster-{port}")).absolute()
    running = _recorded(place)
    if running is None:
        what = f"with port {port}" if folder is None else f"in {place}"
        raise FlinkError(f"no cluster was started {what}: `eventide flink up` starts one")
    for _, pid in reversed(running.alive):
        _signal(pid, signal.SIGTERM)
    clock, never = SystemClock(), threading.Event()
    until_us = clock.now_us() + _PATIENCE_US
    while running.alive and clock.now_us() < until_us:
        clock.wait(never, _LOOK_US)
    for _, pid in running.alive:
        _signal(pid, signal.SIGKILL)
    (place / "cluster.json").unlink(missing_ok=True)
    return running


def _recorded(place: Path) -> Local | None:
    try:
        tree = json.loads((place / "cluster.json").read_text())
        return Local(place, str(tree["url"]), tuple((str(name), int(pid)) for name, pid in tree["processes"].items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_ours(pid: int, folder: Path) -> bool:
    """True when a process of this number runs and was started with the cluster's folder."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    _reap(pid)
    return os.fsencode(folder / "conf") in words


def _reap(pid: int) -> None:
    """Take leave of a process that is a child of this one, so that it does not stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
