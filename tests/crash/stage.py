"""A stage: a folder for runs, and the program that makes them.

Law: each run has a process of its own; what it left behind is removed before the next point.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.crash.served import Names, Systems

HERE = Path(__file__).resolve().parent


class Stage:
    """A folder for runs, and the program that makes them."""

    def __init__(self, base: Path, source: Path, systems: Systems) -> None:
        self.folder = base
        self.systems = systems
        self.names: Names = {}
        base.mkdir()
        shutil.copyfile(source, base / "in.csv")
        self._program = subprocess.Popen(
            [sys.executable, str(HERE / "program.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **catalog(base), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def clear(self, job: str) -> None:
        """An empty folder and empty tables and topics, for a new point."""
        self.names = self.systems.fresh(job)
        (self.folder / "names.json").write_text(json.dumps(self.names))
        for name in ("out", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "out").mkdir()
        (self.folder / "stderr").unlink(missing_ok=True)

    def run(self, job: str, watcher: Sequence[str] = (), most_bytes: int | None = None) -> int:
        """One run of the job, watched by a command that gets its number as last argument, or with files of so many
        bytes at most; its exit code (-9: killed).
        """
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        manner = "traced" if watcher else "plain" if most_bytes is None else str(most_bytes)
        self._program.stdin.write(f"{job} {self.folder} {manner}\n")
        self._program.stdin.flush()
        number = self._program.stdout.readline().strip()
        watching = subprocess.Popen([*watcher, number]) if watcher else None
        code = int(self._program.stdout.readline())
        if watching is not None:
            watching.wait()
        return code

    def said(self) -> str:
        """What runs wrote to standard error since `clear`."""
        path = self.folder / "stderr"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """End the program."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.wait()
        self._program.stdout.close()


def catalog(folder: Path) -> dict[str, str]:
    """Where Iceberg's tables of this stage are, as PyIceberg is told it."""
    out = folder / "out"
    return {
        "PYICEBERG_CATALOG__LAKE__URI": f"sqlite:///{out}/catalog.db",
        "PYICEBERG_CATALOG__LAKE__WAREHOUSE": f"file://{out}/warehouse",
    }
