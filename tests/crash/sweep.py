"""Crash at every system call: a run of epochs is killed, or refused by the disk, at each call that changes a
file or sends to a server; then it is run again, and the output must be that of a run without faults, byte for byte.

    python -m tests.crash.sweep [SHARE] [JOB...]     every SHARE-th point (1: all) of each job

Law: points are counted from a run without faults; each one that was counted is tried, or the sweep fails. `strace`
injects the faults, so that the program under test is the one that users run.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb
from tests.crash.served import Names, Systems

HERE = Path(__file__).resolve().parent
JOBS = ("csv", "parquet", "duckdb", "postgres", "kafka", "kafka-csv", "kafka-duckdb", "kafka-postgres", "kafka-kafka")
"""What is swept: a sink fed from a file, or SOURCE-SINK."""

SENDS = {"postgres": "sendto", "kafka": "sendmsg"}
"""The call by which the client of a sink sends."""

CHANGING = [
    "write",
    "pwrite64",
    "writev",
    "sendfile",
    "copy_file_range",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "openat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
]
FAULTS = {
    "ENOSPC": [
        "write",
        "pwrite64",
        "writev",
        "sendfile",
        "copy_file_range",
        "openat",
        "mkdir",
        "rename",
        "renameat",
        "renameat2",
    ],
    "EIO": [
        "write",
        "pwrite64",
        "writev",
        "sendfile",
        "fsync",
        "fdatasync",
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
    ],
}
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)")
_CREATES = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|O_TRUNC")


@dataclass(frozen=True, slots=True)
class Point:
    """One place to fail: the `number`-th call of this kind on the run's files, or the `number`-th send of a thread;
    `fault` is KILL or an error. With SHORT a write past `number` bytes of a file is cut short there.
    """

    call: str
    number: int
    fault: str

    @property
    def injection(self) -> str:
        how = "signal=KILL" if self.fault == "KILL" else f"error={self.fault}"
        return f"inject={self.call}:{how}:when={self.number}"


class Stage:
    """A folder for runs, and the program that makes them."""

    def __init__(self, base: Path, source: Path, systems: Systems) -> None:
        self.folder = base
        self.systems = systems
        self.names: Names = {}
        base.mkdir()
        shutil.copyfile(source, base / "in.csv")
        self._program = subprocess.Popen(
            [sys.executable, str(HERE / "program.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def clear(self, job: str) -> None:
        self.names = self.systems.fresh(job)
        (self.folder / "names.json").write_text(json.dumps(self.names))
        for name in ("out", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "stderr").unlink(missing_ok=True)

    def run(self, job: str, *strace: str, most_bytes: int | None = None) -> int:
        """One run of the job, watched by strace if it gets arguments, or with files of so many bytes at most; its exit
        code (-9: killed).
        """
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        manner = "traced" if strace else "plain" if most_bytes is None else str(most_bytes)
        self._program.stdin.write(f"{job} {self.folder} {manner}\n")
        self._program.stdin.flush()
        number = self._program.stdout.readline().strip()
        watcher = subprocess.Popen(["strace", "-f", "-qq", *strace, "-p", number]) if strace else None
        code = int(self._program.stdout.readline())
        if watcher is not None:
            watcher.wait()
        return code

    def said(self) -> str:
        path = self.folder / "stderr"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        self._program.wait()
        self._program.stdout.close()


def output(stage: Stage, job: str) -> dict[str, object]:
    """Every file below `out` with its bytes; of a DuckDB file its tables' rows in order; and what servers show.

    Where a topic is cut into epochs is up to the broker: behind one the rows count, not the epochs that they came in.
    """
    by_epoch = not job.startswith("kafka-")
    folder, found = stage.folder, stage.systems.shown(stage.names, by_epoch)
    for path in sorted((folder / "out").rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".duckdb":
            found |= _tables(path, by_epoch)
        elif path.is_file() and path.suffix != ".wal":  # what is in it has been read with the tables
            if path.name.startswith("part-") and not by_epoch:
                name = str(path.parent.relative_to(folder))
                head, _, rows = path.read_bytes().partition(b"\n")
                before = found.get(name, head + b"\n")
                assert isinstance(before, bytes)
                found[name] = before + rows
            else:
                found[name] = path.read_bytes()
    return found


def _tables(path: Path, by_epoch: bool) -> dict[str, object]:
    hidden = {"run", "_run"} if by_epoch else {"run", "_run", "_epoch", "epoch"}
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        tables: dict[str, object] = {}
        for name in names:
            described = connection.execute(f'DESCRIBE "{name}"').fetchall()
            columns = [row[0] for row in described if row[0] not in hidden]
            shown = ", ".join(f'"{column}"::VARCHAR' for column in columns)
            tables[name] = (columns, connection.execute(f'SELECT {shown} FROM "{name}" ORDER BY ALL').fetchall())
        return tables


def counted(stage: Stage, job: str) -> tuple[list[Point], list[str]]:
    """All points of a job, and the paths whose calls count, from two runs without faults."""
    trace = stage.folder / "trace"
    watched = ["-y", "-o", str(trace), "-e", f"trace={','.join(CHANGING)}"]
    stage.clear(job)
    assert stage.run(job, *watched) == 0, stage.said()
    below = re.compile(rf"({re.escape(str(stage.folder))}/(?:out|state)[^\">]*)")
    paths = sorted({found for line in trace.read_text().splitlines() for found in below.findall(line)})
    stage.clear(job)
    assert stage.run(job, *watched, *_only(paths)) == 0, stage.said()
    points = _of_files(trace.read_text().splitlines()) + _short(stage.folder)
    send = SENDS.get(job.rpartition("-")[2])
    if send is not None:
        stage.clear(job)
        assert stage.run(job, "-o", str(trace), "-e", f"trace={send}") == 0, stage.said()
        points += _of_sends(trace.read_text().splitlines(), send)
    return points, paths


def _of_files(lines: list[str]) -> list[Point]:
    calls: Counter[str] = Counter()
    points: list[Point] = []
    threads = set()
    for line in lines:
        found = _CALL.match(line)
        if found is None:  # a thread's end
            continue
        threads.add(found[1])
        call = found[2]
        calls[call] += 1
        if call != "openat" or _CREATES.search(found[3]):  # a call that only reads is as if the one before was hit
            faults = ["KILL", *(fault for fault, those in FAULTS.items() if call in those)]
            points += [Point(call, calls[call], fault) for fault in faults]
    assert len(threads) == 1, "calls of several threads cannot be counted"
    return points


def _of_sends(lines: list[str], send: str) -> list[Point]:
    """Sends are counted thread by thread, as strace does when it injects."""
    threads = Counter(found[1] for line in lines if (found := _CALL.match(line)) and found[2] == send)
    most = max(threads.values())
    return [Point(send, number + 1, "KILL") for number in range(most)]


def _short(folder: Path) -> list[Point]:
    """Limits that cut a write of each file short: at its first byte, in its middle, in front of its last byte."""
    files = [path for part in ("out", "state") for path in (folder / part).rglob("*") if path.is_file()]
    sizes = {path.stat().st_size for path in files}
    limits = {limit for size in sizes for limit in (1, size // 2, size - 1) if limit > 0}
    return [Point("write", limit, "SHORT") for limit in sorted(limits)]


def _only(paths: list[str]) -> list[str]:
    return [word for path in paths for word in ("-P", path)]


def tried(stage: Stage, job: str, point: Point, paths: list[str]) -> Iterator[str]:
    """Fail at the point, run again, and tell what is wrong with what came of it."""
    here = [re.sub(r"^.*?/stage-\d+/", f"{stage.folder}/", path) for path in paths]
    stage.clear(job)
    sends = point.call in SENDS.values()
    if point.fault == "SHORT":
        code = stage.run(job, most_bytes=point.number)
    else:
        where = () if sends else _only(here)
        code = stage.run(job, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", point.injection, *where)
    # how many sends there are depends on how answers come together: behind the last one nothing is killed
    if point.fault == "KILL" and code != -9 and not (sends and code == 0):
        yield f"was not killed but gave {code} and said {stage.said()!r}"
    if point.fault != "KILL" and code not in (0, 1):
        yield f"gave {code} and said {stage.said()!r}"
    if code and stage.run(job):
        yield f"could not be run again: {stage.said()}"


def sweep(base: Path, job: str, systems: Systems, share: int = 1, stages: int = 2) -> tuple[int, list[str]]:
    """Try every `share`-th point of a job; gives how many were tried, and what went wrong."""
    from tests.crash.program import write_input

    write_input(base)
    workers = [Stage(base / f"stage-{number}", base / "in.csv", systems) for number in range(stages)]
    points, paths = counted(workers[0], job)
    expected = output(workers[0], job)
    assert expected
    chosen = points[::share]

    def work(number: int) -> list[str]:
        stage, wrong = workers[number], []
        for point in chosen[number::stages]:
            faults = list(tried(stage, job, point, paths))
            if not faults and output(stage, job) != expected:
                faults = [f"output differs in {_different(expected, output(stage, job))}"]
            wrong += [f"{job}, {point}: {fault}" for fault in faults]
        return wrong

    with ThreadPoolExecutor(stages) as pool:
        wrong = [fault for found in pool.map(work, range(stages)) for fault in found]
    for stage in workers:
        stage.close()
    return len(chosen), wrong


def _different(one: dict[str, object], other: dict[str, object]) -> str:
    return ", ".join(name for name in sorted({*one, *other}) if one.get(name) != other.get(name))


def place() -> str | None:
    """Where to work: in memory where there is room for it, since what is killed is a process and not the machine."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> int:
    """The command."""
    share = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    all_wrong: list[str] = []
    systems = Systems()
    for job in sys.argv[2:] or JOBS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=place()) as folder:
            count, wrong = sweep(Path(folder), job, systems, share)
        print(
            f"{job}: {count} points tried, none skipped, {len(wrong)} wrong, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        all_wrong += wrong
    systems.close()
    print("\n".join(all_wrong))
    return bool(all_wrong)


if __name__ == "__main__":
    raise SystemExit(main())
