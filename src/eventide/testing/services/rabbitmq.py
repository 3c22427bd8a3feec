"""RabbitMQ, from Debian's package rabbitmq-server.

Law: it has an Erlang port mapper of its own, which ends with it; started again on its folder it has all that it had
confirmed, whatever stopped it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from eventide.testing.services.service import Process, ServiceError, free_port, is_listening, own_folder

_SCRIPTS = "/usr/lib/rabbitmq/lib"
_MAPPER = "/usr/lib/erlang"
_QUIET = "log.console.level = warning\nvm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 10MB\n"
_LOCAL = "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2"


@dataclass
class RabbitMq:
    """A broker with the user `guest`, whose password is `guest`."""

    folder: Path = field(default_factory=lambda: own_folder("rabbitmq"))
    port: int = field(default_factory=free_port)
    name: str = "rabbitmq"
    _process: Process | None = None
    _mapper: Process | None = None
    _mapper_port: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    def start(self) -> None:
        if self._process is None or self._mapper is None:
            self._mapper, self._process = self._prepared()
        if not is_listening(self._mapper_port):
            self._mapper.start(lambda: is_listening(self._mapper_port))
        self._process.start(lambda: is_listening(self.port))

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End it. By SIGKILL the machine of Erlang goes without a farewell, not only the script that started it."""
        if self._process is not None:
            if how == signal.SIGKILL:
                self._kill_node()
            self._process.stop(how=how)
            never = threading.Event()
            while is_listening(self.port):  # the script has ended, its machine may be about to
                never.wait(0.01)
        if self._mapper is not None:
            self._mapper.stop()

    def _kill_node(self) -> None:
        pid = self.folder / "pid"
        if pid.exists() and (number := pid.read_text().strip()).isdigit():
            try:
                os.kill(int(number), signal.SIGKILL)
            except ProcessLookupError:
                return

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` says."""
        assert self._process is not None
        command = [str(_program("rabbitmqctl")), "--node", self._node, *words]
        environment = {**os.environ, **self._process.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            raise ServiceError(f"rabbitmqctl {words[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    @property
    def _node(self) -> str:
        return f"eventide{self.port}@localhost"

    def _prepared(self) -> tuple[Process, Process]:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "enabled_plugins").write_text("[].")
        (self.folder / "rabbitmq.conf").write_text(_QUIET)
        erlang = sorted(Path(_MAPPER).glob("erts-*/bin/epmd"))
        if not erlang:
            raise ServiceError("Erlang is not installed: apt-get install rabbitmq-server")
        mapping = {"HOME": str(self.folder), "ERL_EPMD_PORT": str(self._mapper_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        environment = mapping | {
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOCAL,
        }
        mapper = Process(f"{self.name}-epmd", self.folder, [str(erlang[-1])], mapping)
        return mapper, Process(self.name, self.folder, [str(_program("rabbitmq-server"))], environment)


def _program(name: str) -> Path:
    found = sorted(Path(_SCRIPTS).glob(f"*/sbin/{name}"))
    if not found:
        raise ServiceError("RabbitMQ is not installed: apt-get install rabbitmq-server")
    return found[-1]
