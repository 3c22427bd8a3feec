"""Mosquitto, an MQTT broker, from Debian's package mosquitto.

Law: stopped in order and started again on its folder it has all sessions and messages that it had.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from eventide.testing.services.service import OneProcess, Process, free_port, is_listening, own_folder, program

_SETTINGS = """listener {port} 127.0.0.1
persistence true
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages 1000
"""


@dataclass
class Mosquitto(OneProcess):
    """A broker; with `user` and `password` it lets in nobody else."""

    folder: Path = field(default_factory=lambda: own_folder("mosquitto"))
    port: int = field(default_factory=free_port)
    name: str = "mosquitto"
    user: str = ""
    password: str = field(default="", repr=False)
    rights: str = ""
    """Lines of an access list; without any everybody may read and write everything."""

    @property
    def address(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def _prepared(self) -> Process:
        settings = _SETTINGS.format(port=self.port, folder=self.folder) + self._door()
        (self.folder / "server.conf").write_text(settings)
        return Process(self.name, self.folder, [program("mosquitto", "mosquitto"), "-c", "server.conf"])

    def _answers(self) -> bool:
        return is_listening(self.port)

    def _door(self) -> str:
        lines = ["user root"] if os.geteuid() == 0 else []
        if self.user:
            command = [program("mosquitto_passwd", "mosquitto"), "-b", "-c", "users", self.user, self.password]
            subprocess.run(command, check=True, capture_output=True, cwd=self.folder)  # noqa: S603 - our own command
            lines += ["allow_anonymous false", f"password_file {self.folder}/users"]
        else:
            lines.append("allow_anonymous true")
        if self.rights:
            (self.folder / "rights").write_text(self.rights)
            lines.append(f"acl_file {self.folder}/rights")
        return "\n".join(lines) + "\n"
