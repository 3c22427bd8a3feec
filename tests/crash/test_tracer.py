"""The tracer: calls of all threads are counted together, and the one that is meant fails, no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.crash.stage import HERE
from tests.crash.test_crash import ON_LINUX

pytestmark = ON_LINUX

_WRITER = """
import os, sys, threading, time
from pathlib import Path
from tests.crash.tracer import let_be_traced

folder = Path(sys.argv[1])
while "TracerPid:\\t0" in Path("/proc/self/status").read_text():
    time.sleep(0.001)
let_be_traced()
files = [os.open(folder / "out" / f"{name}", os.O_CREAT | os.O_WRONLY) for name in "ab"]
beside = os.open(folder / "beside", os.O_CREAT | os.O_WRONLY)
turn, failed = [threading.Semaphore(1), threading.Semaphore(0)], []

def write(me):
    for number in range(3):
        turn[me].acquire()
        os.write(beside, b"not counted")
        try:
            os.write(files[me], b"x")
        except OSError as fault:
            failed.append((me, number, fault.errno))
        turn[1 - me].release()

threads = [threading.Thread(target=write, args=(me,)) for me in (0, 1)]
[one.start() for one in threads]
[one.join() for one in threads]
os._exit(0 if not failed else 10 * failed[0][0] + failed[0][1] + 100 + (failed[0][2] != 28) * 100)
"""


def traced(folder: Path, fault: str) -> tuple[int, list[str]]:
    """The exit code of a process in which two threads write in turn, and what the tracer has seen."""
    (folder / "out").mkdir()
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(folder)])
    tracer = [sys.executable, str(HERE / "tracer.py"), str(folder), str(folder / "trace"), fault, str(process.pid)]
    watching = subprocess.Popen(tracer)
    code = process.wait(60)
    assert watching.wait(60) == 0
    return code, (folder / "trace").read_text().split()


def test_calls_of_all_threads_below_the_folder_are_counted(tmp_path: Path) -> None:
    assert traced(tmp_path, "none:0:none") == (0, ["openat", "openat", *["write"] * 6])


def test_the_fifth_write_is_refused_whoever_makes_it(tmp_path: Path) -> None:
    code, seen = traced(tmp_path, "write:5:ENOSPC")
    assert code == 102  # the third write of the first thread, with "no space left"
    assert seen == ["openat", "openat", *["write"] * 5, "INJECTED", "write"]
    assert [(tmp_path / "out" / name).read_bytes() for name in "ab"] == [b"xx", b"xxx"]


def test_the_process_is_killed_in_front_of_the_call(tmp_path: Path) -> None:
    code, seen = traced(tmp_path, "write:4:KILL")
    assert (code, seen[-1]) == (-9, "INJECTED")
    assert [(tmp_path / "out" / name).read_bytes() for name in "ab"] == [b"xx", b"x"]


def test_a_point_behind_the_end_is_not_taken_for_reached(tmp_path: Path) -> None:
    assert traced(tmp_path, "write:7:KILL") == (0, ["openat", "openat", *["write"] * 6])
