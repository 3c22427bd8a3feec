"""Jars from Maven, fetched once with all that they need.

Law: a folder of jars is whole or not there; two that fetch at once end with the same folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
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
    folder = kept_folder(name)
    whole = folder / "jars"
    if whole.is_dir():
        return whole
    maven = program("mvn", "maven")
    work = Path(tempfile.mkdtemp(prefix="fetching-", dir=folder))
    try:
        dependencies = "".join(_DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)
        (work / "pom.xml").write_text(_POM.format(name=name, dependencies=dependencies))
        goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={work / 'jars'}")
        command = [maven, "-q", "-B", "-f", str(work / "pom.xml"), *goal]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)  # noqa: S603
        if done.returncode:
            raise ServiceError(f"Maven cannot fetch {', '.join(artifacts)}:\n{(done.stdout + done.stderr)[-2000:]}")
        try:
            os.rename(work / "jars", whole)
        except OSError:
            if not whole.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return whole
