"""The package as users get it: the jar of the Flink job is in the wheel, and is the one that Maven built."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_jar_with_nothing_but_our_classes(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        jar = packed.read("eventide/runners/flink/eventide-flink.jar")
    assert jar == (ROOT / "flink" / "target" / "eventide-flink.jar").read_bytes()
    (tmp_path / "jar").write_bytes(jar)
    with zipfile.ZipFile(tmp_path / "jar") as classes:
        names = [name for name in classes.namelist() if name.endswith(".class")]
    assert "eventide/flink/Job.class" in names
    assert [name for name in names if not name.startswith("eventide/flink/")] == []
