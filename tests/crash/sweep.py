"""Crash at every system call: a run of epochs is killed, or refused by the disk, at each call that changes a
file or sends to a server; then it is run again, and the output must be that of a run without faults, byte for byte.

    python -m tests.crash.sweep [SHARE] [JOB...]     every SHARE-th point (1: all) of each job

Law: points are counted from a run without faults; each one that was counted is tried, or told as one that no run
reached. The faults are injected from outside, so that the program under test is the one that users run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.points import Point, counted, fail
from tests.crash.program import write_input
from tests.crash.served import Systems
from tests.crash.shown import output
from tests.crash.stage import Stage

SINKS = ("csv", "parquet", "duckdb", "postgres", "kafka", "delta", "iceberg")
JOBS = (*SINKS, *(f"kafka-{sink}" for sink in SINKS if sink != "parquet"), "avro")
"""What is swept: a sink fed from a file, or SOURCE-SINK."""

_ATTEMPTS = 5


@dataclass
class Found:
    """What a sweep found: how many points were tried, those that no run reached in so many attempts, and what is
    wrong.

    How many sends there are depends on how answers come together, and how many writes a pool of threads makes may
    depend on how they meet: a run may end in front of a point that another one had.
    """

    tried: int = 0
    beyond: list[Point] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: Found) -> Found:
        return Found(self.tried + other.tried, self.beyond + other.beyond, self.wrong + other.wrong)

    def __str__(self) -> str:
        behind = f", {len(self.beyond)} behind the end of {_ATTEMPTS} runs each" if self.beyond else ""
        return f"{self.tried} points tried{behind}, none skipped, {len(self.wrong)} wrong"


@dataclass
class Trial:
    """One stage at work on the points of a job."""

    stage: Stage
    job: str
    expected: dict[str, object]

    def of(self, points: list[Point]) -> Found:
        """Try each point, those that a run ends in front of again."""
        found = Found()
        for point in points:
            for _ in range(_ATTEMPTS):
                reached, wrong = self.attempt(point)
                found.wrong += [f"{self.job}, {point}: {wrong}"] if wrong else []
                if reached or wrong:
                    found.tried += 1
                    break
            else:
                found.beyond.append(point)
        return found

    def attempt(self, point: Point) -> tuple[bool, str]:
        """Fail at the point and run again; gives whether the point was there, and what is wrong with what came of it."""
        self.stage.clear(self.job)
        code, reached = fail(self.stage, self.job, point)
        if code not in ((-9,) if reached and point.fault == "KILL" else (0, 1)):
            return reached, f"gave {code} and said {self.stage.said()!r}"
        if code and self.stage.run(self.job):
            return reached, f"could not be run again: {self.stage.said()}"
        there = output(self.stage, self.job)
        return reached, "" if there == self.expected else f"output differs in {_different(self.expected, there)}"


def sweep(base: Path, job: str, systems: Systems, share: int = 1, stages: int = 2) -> Found:
    """Try every `share`-th point of a job."""
    write_input(base)
    workers = [Stage(base / f"stage-{number}", base / "in.csv", systems) for number in range(stages)]
    try:
        points = counted(workers[0], job)
        expected = output(workers[0], job)
        assert expected
        shares = [points[::share][number::stages] for number in range(stages)]
        trials = [Trial(stage, job, expected) for stage in workers]
        with ThreadPoolExecutor(stages) as pool:
            return sum(pool.map(lambda one: one[0].of(one[1]), zip(trials, shares, strict=True)), Found())
    finally:
        for stage in workers:
            stage.close()


def _different(one: dict[str, object], other: dict[str, object]) -> str:
    return ", ".join(name for name in sorted({*one, *other}) if one.get(name) != other.get(name))


def place() -> str | None:
    """Where to work: in memory where there is room for it, since what is killed is a process and not the machine."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.sweep", description="Kill runs at their system calls.")
    parser.add_argument("share", type=int, nargs="?", default=1, help="try every SHARE-th point of each job (1: all)")
    parser.add_argument("jobs", metavar="JOB", nargs="*", help=f"which to sweep (all): {', '.join(JOBS)}")
    settings = parser.parse_args()
    if unknown := sorted({*settings.jobs}.difference(JOBS)):
        parser.error(f"there is no job {', '.join(unknown)}: choose from {', '.join(JOBS)}")
    systems, every = Systems(), Found()
    for job in settings.jobs or JOBS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=place()) as folder:
            found = sweep(Path(folder), job, systems, settings.share)
        print(f"{job}: {found}, {time.monotonic() - began:.0f} s", flush=True)
        every += found
    systems.close()
    print(f"together: {every}")
    print("\n".join(every.wrong))
    return bool(every.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
