"""Services for tests: what they put on the disk goes when the program ends, or when the next one begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, signal, sys
from eventide.testing.services.service import own_folder

folder = own_folder("tried")
(folder / "data").mkdir()
if sys.argv[1] == "forks" and os.fork() == 0:
    sys.exit()
if sys.argv[1] == "forks":
    os.wait()
    assert folder.exists(), "it is the parent's"
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left(folder: Path, how: str) -> tuple[int, int]:
    """How a program ended, and how many folders there are then."""
    told = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], env=told, check=False)
    return done.returncode, len(list(folder.glob("eventide-tried-*")))


def test_a_folder_of_a_service_goes_with_its_program_or_with_the_next_one(tmp_path: Path) -> None:
    assert left(tmp_path, "ends") == (0, 0)
    assert left(tmp_path, "forks") == (0, 0)
    assert left(tmp_path, "killed") == (-signal.SIGKILL, 1)
    (tmp_path / "eventide-tried-of-others").mkdir()
    assert left(tmp_path, "ends") == (0, 1)
