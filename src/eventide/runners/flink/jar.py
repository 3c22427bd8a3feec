"""The jar of our job: where it is, and how it gets to a cluster.

Law: a jar of the same bytes goes to a cluster once; its name there holds their checksum.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from eventide.errors import FlinkError
from eventide.runners.flink.rest import Rest

MAIN = "eventide.flink.Job"
JAR = "eventide-flink.jar"
"""The jar's name, as it is built."""
_BESIDE = Path(__file__).with_name(JAR)
_BUILT = Path(__file__).resolve().parents[4] / "flink" / "target" / JAR


def jar_path() -> Path:
    """The jar: in an installed package beside this module, in a checkout where Maven builds it."""
    for path in (_BESIDE, _BUILT):
        if path.is_file():
            return path
    raise FlinkError("the jar of the Flink job is not built: run `make flink/target/eventide-flink.jar`")


def seal(jar: Path) -> str:
    """What tells a jar from others: the job refuses to run where the cluster's class path has another one of it."""
    return hashlib.sha256(jar.read_bytes()).hexdigest()[:16]


def uploaded(rest: Rest, jar: Path) -> str:
    """The cluster's name for a jar, which is brought there unless it has it."""
    name = f"{jar.stem}-{seal(jar)}.jar"
    there = [file["id"] for file in rest.get("/jars").get("files", ()) if file.get("name") == name]
    if there:
        return str(there[0])
    return str(rest.upload(name, jar.read_bytes())["filename"]).rsplit("/", 1)[-1]
