"""Apache Flink: a JobManager and TaskManagers, from Maven. It needs Java 17.

Law: checkpoints and savepoints survive whatever stops a TaskManager; jobs do not survive the JobManager.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from eventide.runners.flink.cluster import Cluster
from eventide.testing.services.service import free_port, own_folder

_QUICK_TO_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass
class Flink:
    """A cluster with two TaskManagers of two slots."""

    folder: Path = field(default_factory=lambda: own_folder("flink"))
    port: int = field(default_factory=free_port)
    name: str = "flink"
    task_managers: int = 2
    slots: int = 2
    _cluster: Cluster | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cluster(self) -> Cluster:
        """The cluster, whose TaskManagers can be killed and started one by one."""
        if self._cluster is None:
            self._cluster = Cluster(
                self.folder, self.port, self.task_managers, self.slots, java_options=_QUICK_TO_START
            )
        return self._cluster

    def start(self) -> None:
        self.cluster.start()

    def stop(self) -> None:
        self.cluster.stop()
