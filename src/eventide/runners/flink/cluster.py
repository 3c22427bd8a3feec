"""A Flink cluster on this machine: a JobManager and TaskManagers on loopback, from packages.

Law: it listens on 127.0.0.1 only; nothing of it stays behind when it was stopped, but its logs, checkpoints and
savepoints.
"""

from __future__ import annotations

import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from eventide.errors import FlinkError
from eventide.runners.flink.distribution import JOB_MANAGER, TASK_MANAGER, Memory, classpath, java
from eventide.runners.flink.jar import JAR, jar_path
from eventide.runners.flink.rest import Rest
from eventide.servers.process import Process, free_port

_PATIENCE_US = 300_000_000
_JOB_MANAGER_HEAP = ("-Xms256m", "-Xmx768m")
_LOG = """status = error
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %m %ex{3}%n
appender.console.filter.threshold.type = ThresholdFilter
appender.console.filter.threshold.level = ERROR
appender.file.name = File
appender.file.type = File
appender.file.append = true
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-40c{1.} %m%n
logger.kafka.name = org.apache.kafka
logger.kafka.level = WARN
logger.shaded.name = org.apache.flink.kafka.shaded
logger.shaded.level = WARN
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
"""


@dataclass
class Cluster:
    """A cluster that this program starts. `settings` are further settings of Flink's `config.yaml`. A detached cluster
    goes on when this program ends. `java_options` are for all its processes. With `holds_job` our job is in the class
    path, where what Java has compiled of it serves all jobs; without it each job brings its own.
    """

    folder: Path
    port: int = 8081
    task_managers: int = 1
    slots: int = 4
    memory: Memory = field(default_factory=Memory)
    settings: Mapping[str, object] = field(default_factory=dict)
    detached: bool = False
    java_options: Sequence[str] = ()
    holds_job: bool = True
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of its REST API and its page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def savepoints(self) -> str:
        """Where savepoints go when nothing else is said."""
        return (self.folder / "savepoints").absolute().as_uri()

    def start(self) -> None:
        """Start it and wait until all its slots can be used. Raises `ServiceError` with the last lines of a process
        that ends before that.
        """
        self._write_configuration()
        self._lay_jar()
        try:
            for number in range(1, self.task_managers + 1):
                self._begin(number)
            self._run("jobmanager", JOB_MANAGER, _JOB_MANAGER_HEAP, ()).start(self._complete)
        except BaseException:
            self.stop()
            raise

    def start_task_manager(self, number: int) -> None:
        """Start a TaskManager, again or one more, and wait until all slots can be used."""
        self._begin(number)
        self.processes[_named(number)].wait_until(self._complete)

    def kill(self, number: int) -> None:
        """End a TaskManager without a farewell: for tests of recovery."""
        self.processes.pop(_named(number)).stop(how=signal.SIGKILL)

    def stop(self) -> None:
        """Stop all its processes."""
        for name in [name for name in self.processes if name != "jobmanager"]:
            self.processes.pop(name).stop()
        if "jobmanager" in self.processes:
            self.processes.pop("jobmanager").stop()

    def _begin(self, number: int) -> None:
        name = _named(number)
        own = (f"-Dtaskmanager.resource-id={name}-{secrets.token_hex(2)}",)
        self._run(name, TASK_MANAGER, self.memory.options(), own).start(lambda: True)

    def _run(self, name: str, kind: str, memory: Sequence[str], own: Sequence[str]) -> Process:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        logging = f"-Dlog4j.configurationFile={self.folder / 'conf' / 'log4j2.properties'}"
        options = java(*memory, *self.java_options, f"-Dlog.file={folder / 'flink.log'}", logging)
        command = [*options, kind, "--configDir", str(self.folder / "conf"), *own]
        self.processes[name] = made = Process(
            name, folder, command, {"CLASSPATH": self._classpath()}, self.detached, _PATIENCE_US
        )
        return made

    def _lay_jar(self) -> None:
        """Put our job into the class path. It is a copy, because a jar must not change under a running process."""
        place = self.folder / "lib" / JAR
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if self.holds_job:
            with suppress(FlinkError):  # without a jar there is a cluster for other jobs
                shutil.copy(jar_path(), place)

    def _classpath(self) -> str:
        return f"{classpath()}:{self.folder / 'lib'}/*"

    def _complete(self) -> bool:
        """True when every TaskManager has brought its slots."""
        for process in self.processes.values():
            process.check()
        wanted = self.slots * sum(name != "jobmanager" for name in self.processes)
        try:
            return int(Rest(self.url).get("/overview", timeout_s=2)["slots-total"]) >= wanted
        except FlinkError:
            return False

    def _write_configuration(self) -> None:
        conf = self.folder / "conf"
        for name in ("conf", "tmp", "web", "checkpoints", "savepoints"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (conf / "log4j2.properties").write_text(_LOG)
        (conf / "config.yaml").write_text(yaml.safe_dump(self.configuration()))

    def configuration(self) -> dict[str, object]:
        """The settings of Flink."""
        here = "127.0.0.1"
        return {
            "jobmanager.rpc.address": here,
            "jobmanager.bind-host": here,
            "jobmanager.rpc.port": free_port(),
            "taskmanager.host": here,
            "taskmanager.bind-host": here,
            "rest.address": here,
            "rest.bind-address": here,
            "rest.port": self.port,
            "classloader.parent-first-patterns.additional": "eventide.flink." if self.holds_job else "",
            "web.upload.dir": str(self.folder / "web"),
            "io.tmp.dirs": str(self.folder / "tmp"),
            "execution.checkpointing.dir": (self.folder / "checkpoints").absolute().as_uri(),
            "execution.checkpointing.savepoint-dir": self.savepoints,
            "taskmanager.cpu.cores": 1.0,
            "taskmanager.numberOfTaskSlots": self.slots,
            **self.memory.settings(),
            # a dead TaskManager is missed after seconds, not after the usual 50 s
            "heartbeat.interval": "1 s",
            "heartbeat.timeout": "20 s",
            "heartbeat.rpc-failure-threshold": 2,
            # a machine that is busy with other things starts slowly
            "cluster.registration.error-delay": "1 s",
            "pekko.ask.timeout": "30 s",
            "pekko.tcp.timeout": "30 s",
            "cluster.evenly-spread-out-slots": True,
            **self.settings,
        }


def _named(number: int) -> str:
    return f"taskmanager-{number}"
