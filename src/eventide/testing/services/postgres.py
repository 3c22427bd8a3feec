"""PostgreSQL, from Debian's package postgresql.

Law: it does not run as root; what was committed survives SIGQUIT, its stop without any farewell. (SIGKILL would leave
its workers behind for a moment, in which it cannot start.)
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from eventide.testing.services.service import OneProcess, Process, ServiceError, free_port, own_folder

_USER = "nobody"
_INIT = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB")


@dataclass
class Postgres(OneProcess):
    """A server with the database `postgres`. The role `keeper`, once made, needs its password; all others none."""

    ends_by = signal.SIGINT  # without waiting for clients
    folder: Path = field(default_factory=lambda: own_folder("postgres"))
    port: int = field(default_factory=free_port)
    name: str = "postgres"

    @property
    def address(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _prepared(self) -> Process:
        data = self.folder / "data"
        if not data.exists():
            data.mkdir(parents=True)
            if os.geteuid() == 0:
                shutil.chown(data, _USER)
                for above in data.parents[:4]:
                    above.chmod(above.stat().st_mode | 0o011)
            made = [*_unprivileged(), str(_programs() / "initdb"), "-D", str(data), *_INIT]
            subprocess.run(made, check=True, capture_output=True, cwd="/")  # noqa: S603 - our own command
            rules = data / "pg_hba.conf"
            rules.write_text(f"host all keeper 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        command = [str(_programs() / "postgres"), "-D", str(data), "-p", str(self.port), *settings]
        return Process(self.name, self.folder, [*_unprivileged(), *command])

    def _answers(self) -> bool:
        asked = [str(_programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0  # noqa: S603 - our own command


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise ServiceError("PostgreSQL's server is not installed: apt-get install postgresql")
    return found[-1].parent


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", _USER, "--regid", "nogroup", "--clear-groups"]
