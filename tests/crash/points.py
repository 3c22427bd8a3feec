"""The points of a run: each call that changes a file or sends to a server, with each fault that it may meet.

Law: which calls count is said here, for whatever watches the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHANGING = (
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range"),
    *("truncate", "ftruncate", "fallocate", "fsync", "fdatasync"),
    *("openat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "link", "linkat"),
)
_WRITING = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile")
_NAMING = ("rename", "renameat", "renameat2", "link", "linkat")
FAULTS = {
    "ENOSPC": (*_WRITING, "copy_file_range", "openat", "mkdir", *_NAMING),
    "EIO": (*_WRITING, "fsync", "fdatasync", *_NAMING, "unlink", "unlinkat"),
}
_CREATES = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|O_TRUNC")

SENDS = {"postgres": "sendto", "kafka": "sendmsg"}
"""The call by which the client of a server sends."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place to fail: the `number`-th call of this kind on the run's files, or the `number`-th send of a thread;
    `fault` is KILL or an error. With SHORT a write past `number` bytes of a file is cut short there.
    """

    call: str
    number: int
    fault: str

    @property
    def is_send(self) -> bool:
        return self.call in SENDS.values()


def sends_of(job: str) -> list[str]:
    """The calls by which a job's source and sink send, SOURCE-SINK or SINK."""
    source, _, sink = job.rpartition("-")
    return sorted({SENDS[end] for end in (source, sink) if end in SENDS})


def changes(call: str, arguments: str) -> bool:
    """A call that only reads is as if the one before it was hit."""
    return call != "openat" or bool(_CREATES.search(arguments))


def points_of(calls: Iterable[tuple[str, int]]) -> list[Point]:
    """The points of numbered calls."""
    return [
        Point(call, number, fault)
        for call, number in calls
        for fault in ("KILL", *(fault for fault, those in FAULTS.items() if call in those))
    ]


def points_of_sends(send: str, threads: Iterable[Counter[str]]) -> list[Point]:
    """The points of sends, from how many there were in each thread of several runs: as many as the most."""
    most = max((max(one.values(), default=0) for one in threads), default=0)
    return [Point(send, number + 1, "KILL") for number in range(most)]


def points_of_sizes(folder: Path) -> list[Point]:
    """Limits that cut a write of each file short: at its first byte, in its middle, in front of its last byte."""
    files = [path for part in ("out", "state") for path in (folder / part).rglob("*") if path.is_file()]
    sizes = {path.stat().st_size for path in files}
    limits = {limit for size in sizes for limit in (1, size // 2, size - 1) if limit > 0}
    return [Point("write", limit, "SHORT") for limit in sorted(limits)]
