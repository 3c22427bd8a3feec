"""Who watches a run and makes its calls fail: strace, where one thread makes them all, or a tracer of our own that
counts over all threads.

Law: a fault counts as tried when it is seen to have happened, and not otherwise.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.crash.points import CHANGING, Point, changes, points_of, points_of_sends, points_of_sizes, sends_of
from tests.crash.stage import HERE, Stage

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
_COUNTING_RUNS = 3


class Watcher(Protocol):
    """Counts the calls of a job's files, and makes one of them fail."""

    def count(self, stage: Stage, job: str) -> list[Point]:
        """The points of a run without faults."""

    def fail(self, stage: Stage, job: str, point: Point) -> tuple[int, bool]:
        """A run that fails at a point: its exit code, and whether an error was given to it (a kill shows itself)."""


def watcher_of(job: str) -> Watcher:
    """Libraries of Delta and Iceberg write from threads of their own."""
    return ByTracer() if job.rpartition("-")[2] in ("delta", "iceberg") else ByStrace()


@dataclass
class ByStrace:
    """strace, which counts the calls of each thread on given paths. `paths` are those below `out` and `state`."""

    paths: list[str] = field(default_factory=list)

    def count(self, stage: Stage, job: str) -> list[Point]:
        trace = stage.folder / "trace"
        watched = _strace(trace, "-y", "-e", f"trace={','.join(CHANGING)}")
        stage.clear(job)
        assert stage.run(job, watched) == 0, stage.said()
        below = re.compile(rf"{re.escape(str(stage.folder))}/((?:out|state)[^\">]*)")
        self.paths = sorted({found for line in trace.read_text().splitlines() for found in below.findall(line)})
        stage.clear(job)
        assert stage.run(job, [*watched[:-1], *self._only(stage), "-p"]) == 0, stage.said()
        return self._of_files(trace.read_text().splitlines())

    def _only(self, stage: Stage) -> list[str]:
        return [word for path in self.paths for word in ("-P", f"{stage.folder}/{path}")]

    def _of_files(self, lines: list[str]) -> list[Point]:
        calls = [(found[1], found[2], found[3]) for line in lines if (found := _CALL.match(line))]
        assert len({thread for thread, _, _ in calls}) == 1, "calls of several threads cannot be counted"
        counts: Counter[str] = Counter()
        numbered = []
        for _, call, arguments in calls:
            counts[call] += 1
            if changes(call, arguments):
                numbered.append((call, counts[call]))
        return points_of(numbered)

    def fail(self, stage: Stage, job: str, point: Point) -> tuple[int, bool]:
        where = [] if point.is_send else self._only(stage)
        return _injected(stage, job, point, where)


@dataclass(frozen=True)
class ByTracer:
    """The tracer beside this file, which counts the calls of all threads together."""

    def count(self, stage: Stage, job: str) -> list[Point]:
        most: Counter[str] = Counter()
        for _ in range(_COUNTING_RUNS):
            stage.clear(job)
            assert stage.run(job, self._command(stage, "none:0:none")) == 0, stage.said()
            most |= Counter((stage.folder / "trace").read_text().split())
        return points_of((call, number + 1) for call in sorted(most) for number in range(most[call]))

    def fail(self, stage: Stage, job: str, point: Point) -> tuple[int, bool]:
        if point.is_send:
            return _injected(stage, job, point, [])
        code = stage.run(job, self._command(stage, f"{point.call}:{point.number}:{point.fault}"))
        return code, "INJECTED" in (stage.folder / "trace").read_text().split()

    def _command(self, stage: Stage, fault: str) -> list[str]:
        tracer = [sys.executable, "-S", "-E", str(HERE / "tracer.py")]
        return [*tracer, str(stage.folder), str(stage.folder / "trace"), fault]


def counted(stage: Stage, job: str, watcher: Watcher) -> list[Point]:
    """All points of a job, from runs without faults; the stage is left as one of them left it."""
    points = [one for send in sends_of(job) for one in _sends(stage, job, send)]
    return [*watcher.count(stage, job), *points_of_sizes(stage.folder), *points]


def _sends(stage: Stage, job: str, send: str) -> list[Point]:
    """Sends are counted thread by thread, as strace does when it injects. How many there are differs with how answers
    come together.
    """
    trace, threads = stage.folder / "trace", []
    for _ in range(_COUNTING_RUNS):
        stage.clear(job)
        assert stage.run(job, _strace(trace, "-e", f"trace={send}")) == 0, stage.said()
        found = (_CALL.match(line) for line in trace.read_text().splitlines())
        threads.append(Counter(one[1] for one in found if one and one[2] == send))
    return points_of_sends(send, threads)


def _injected(stage: Stage, job: str, point: Point, where: Iterable[str]) -> tuple[int, bool]:
    how = "signal=KILL" if point.fault == "KILL" else f"error={point.fault}"
    trace = stage.folder / "trace"
    fault = f"inject={point.call}:{how}:when={point.number}"
    code = stage.run(job, _strace(trace, "-e", f"trace={point.call}", "-e", fault, *where))
    return code, "(INJECTED)" in trace.read_text()


def _strace(trace: Path, *settings: str) -> list[str]:
    return ["strace", "-f", "-qq", "-o", str(trace), *settings, "-p"]
