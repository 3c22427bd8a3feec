"""What the tests of the job share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.flink.player import FOLDER, Player


@pytest.fixture(scope="session")
def player() -> Iterator[Player]:
    """The operators, built if they are older than their source."""
    if shutil.which("mvn") is None:
        pytest.skip("Maven is not installed: apt-get install maven")
    _built()
    running = Player()
    yield running
    running.close()


def _built() -> None:
    made = FOLDER / "target" / "test-classes" / "eventide" / "flink" / "Play.class"
    jar = FOLDER / "target" / "eventide-flink.jar"
    newest = max(path.stat().st_mtime for path in [FOLDER / "pom.xml", *FOLDER.glob("src/**/*.java")])
    if not made.exists() or not jar.exists() or min(made.stat().st_mtime, jar.stat().st_mtime) < newest:
        subprocess.run(  # noqa: S603 - our own build
            ["mvn", "-q", "-B", "package", "-DskipTests"],  # noqa: S607 - Maven is where PATH says
            cwd=FOLDER,
            check=True,
            timeout=600,
        )
