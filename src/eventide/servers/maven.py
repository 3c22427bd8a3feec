"""Jars and packed programs from Maven, fetched once with all that they need.

Law: a folder of them is whole or not there; two that fetch at once end with the same folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from eventide.errors import ServiceError
from eventide.servers.process import kept_folder, program

_FETCH_S = 300
_POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>eventide</groupId><artifactId>{name}</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>{dependencies}</dependencies></project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def jars(name: str, artifacts: Sequence[str]) -> Path:
    """The folder of the jars of artifacts, such as `"org.apache.kafka:kafka_2.13:4.3.0"`, and of all they need.

    Raises `ServiceError` when Maven is not there or does not get them.
    """

    def fetch(work: Path) -> None:
        dependencies = "".join(_DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)
        (work / "pom.xml").write_text(_POM.format(name=name, dependencies=dependencies))
        goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={work / 'jars'}")
        _maven(["-f", str(work / "pom.xml"), *goal], artifacts)

    return _whole(name, fetch)


def unpacked(name: str, artifact: str) -> Path:
    """The folder of what a packed artifact holds, such as `"org.example:program:1.0:tar.gz:all"`.

    Raises `ServiceError` when Maven is not there or does not get it.
    """

    def fetch(work: Path) -> None:
        (work / "jars").mkdir()
        _maven(["dependency:get", f"-Dartifact={artifact}", "-Dtransitive=false"], [artifact])
        goal = ("dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={work}", "-Dmdep.stripVersion=false")
        _maven([*goal], [artifact])
        with tarfile.open(next(work.glob("*.tar.gz"))) as packed:
            packed.extractall(work / "jars", filter="data")

    return _whole(name, fetch)


def _maven(goal: Sequence[str], artifacts: Sequence[str]) -> None:
    command = [program("mvn", "maven"), "-q", "-B", *goal]
    with (kept_folder("maven") / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Maven's own folder is not for two at once
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise ServiceError(f"Maven cannot fetch {', '.join(artifacts)}:\n{(done.stdout + done.stderr)[-2000:]}")


def _whole(name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder `jars` that `fetch` makes in a folder of its own, once."""
    folder = kept_folder(name)
    whole = folder / "jars"
    if whole.is_dir():
        return whole
    work = Path(tempfile.mkdtemp(prefix="fetching-", dir=folder))
    try:
        fetch(work)
        try:
            os.rename(work / "jars", whole)
        except OSError:
            if not whole.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return whole
