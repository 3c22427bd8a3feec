"""The points of a run: each call that changes a file or sends to a server, with each fault that it may meet.

Law: points come from runs without faults; a fault counts as tried when it is seen to have happened, and not otherwise.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.crash.stage import HERE, Stage

_WRITING = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range", "truncate")
_NAMING = ("rename", "renameat", "renameat2", "link", "linkat", "mkdir", "mkdirat")
FAULTS = {
    "ENOSPC": (*_WRITING, *_NAMING, "openat", "open", "creat", "fallocate"),
    "EIO": (*_WRITING, *_NAMING, "fsync", "fdatasync", "unlink", "unlinkat", "rmdir", "ftruncate"),
}
"""What a call may answer. Every one may be the one in front of which the process is killed."""

_COUNTING_RUNS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """One place to fail: the `number`-th call of this kind in a run, whatever thread makes it; `fault` is KILL or an
    error. With SHORT a write past `number` bytes of a file is cut short there.
    """

    call: str
    number: int
    fault: str


def counted(stage: Stage, job: str) -> list[Point]:
    """All points of a job: as many calls as the one of three runs made that made most. The stage is left as one of
    them left it.
    """
    most: Counter[str] = Counter()
    for _ in range(_COUNTING_RUNS):
        stage.clear(job)
        assert stage.run(job, _tracer(stage, "none:0:none")) == 0, stage.said()
        most |= Counter((stage.folder / "trace").read_text().split())
    points = [
        Point(call, number + 1, fault)
        for call in sorted(most)
        for number in range(most[call])
        for fault in ("KILL", *(fault for fault, those in FAULTS.items() if call in those))
    ]
    return points + _of_sizes(stage.folder)


def _of_sizes(folder: Path) -> list[Point]:
    """Limits that cut a write of each file short: at its first byte, in its middle, in front of its last byte."""
    files = [path for part in ("out", "state") for path in (folder / part).rglob("*") if path.is_file()]
    sizes = {path.stat().st_size for path in files}
    limits = {limit for size in sizes for limit in (1, size // 2, size - 1) if limit > 0}
    return [Point("write", limit, "SHORT") for limit in sorted(limits)]


def fail(stage: Stage, job: str, point: Point) -> tuple[int, bool]:
    """A run that fails at a point: its exit code, and whether it got there."""
    if point.fault == "SHORT":
        code = stage.run(job, most_bytes=point.number)
        return code, code != 0  # a file that cannot be written is always told
    code = stage.run(job, _tracer(stage, f"{point.call}:{point.number}:{point.fault}"))
    return code, "INJECTED" in (stage.folder / "trace").read_text().split()


def _tracer(stage: Stage, fault: str) -> list[str]:
    program = [sys.executable, "-S", "-E", str(HERE / "tracer.py")]
    return [*program, str(stage.folder), str(stage.folder / "trace"), fault]
