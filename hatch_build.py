"""What the wheel holds beside Python: the jar of the Flink job, built by Maven if it is not there.

Law: a wheel without the jar is never made; an editable install finds it where Maven puts it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_JAR = Path("flink") / "target" / "eventide-flink.jar"
_IN_WHEEL = "eventide/runners/flink/eventide-flink.jar"


class FlinkJar(BuildHookInterface):  # type: ignore[type-arg] # hatchling's own configuration type is not public
    """Puts the jar into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        jar = Path(self.root) / _JAR
        if not jar.is_file():
            self._build()
        build_data["force_include"][str(jar)] = _IN_WHEEL

    def _build(self) -> None:
        maven = shutil.which("mvn")
        if maven is None:
            raise RuntimeError("the wheel needs the jar of the Flink job: install Maven and a JDK 17, then build again")
        pom = Path(self.root) / "flink" / "pom.xml"
        subprocess.run([maven, "-q", "-B", "-f", str(pom), "-DskipTests", "package"], check=True)  # noqa: S603 - our own command
