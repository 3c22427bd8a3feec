"""Watches a process: counts the calls of all its threads that change files below a folder or send, and makes one of
them fail.

    python tracer.py FOLDER TRACE CALL:NUMBER:FAULT PROCESS      Linux on x86-64

TRACE gets the name of each call that counts, a line each, and INJECTED when the fault has happened. KILL kills in
front of the call; ENOSPC and EIO are its answer, and it is not made. The process asks for it by `let_be_traced`.

Law: only the calls in question stop, so that a run takes as long as without. (strace stops at every call of a process
that it did not start, and counts each thread for itself: it cannot say which write of a pool of threads comes next.)
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys
from collections import Counter
from pathlib import Path

_SEIZE, _INTERRUPT, _CONTINUE, _POKE_USER, _CALL_INFO = 0x4206, 0x4207, 7, 6, 0x420E
_OPTIONS = 0x2 | 0x4 | 0x8 | 0x80  # forks, vforks and clones are followed; the filter's calls stop
_FILTERED = 7  # PTRACE_EVENT_SECCOMP
_ALL = 0x40000000  # waitpid's __WALL: threads too
_NUMBER_AT, _RESULT_AT = 15 * 8, 10 * 8  # orig_rax and rax in what POKE_USER writes to
_AT_FDCWD = -100
_CREATING = os.O_CREAT | os.O_WRONLY | os.O_RDWR | os.O_TRUNC

# the arguments of a call that say what it changes: a file by its number, or (folder, name); a folder of None is cwd
_FILES = {
    **{1: ("write", 0), 18: ("pwrite64", 0), 20: ("writev", 0), 40: ("sendfile", 0), 326: ("copy_file_range", 2)},
    **{77: ("ftruncate", 0), 285: ("fallocate", 0), 74: ("fsync", 0), 75: ("fdatasync", 0)},
    **{296: ("pwritev", 0), 328: ("pwritev2", 0)},
}
_NAMES: dict[int, tuple[str, tuple[int | None, int]]] = {
    **{82: ("rename", (None, 1)), 264: ("renameat", (2, 3)), 316: ("renameat2", (2, 3)), 87: ("unlink", (None, 0))},
    **{263: ("unlinkat", (0, 1)), 84: ("rmdir", (None, 0)), 83: ("mkdir", (None, 0)), 258: ("mkdirat", (0, 1))},
    **{86: ("link", (None, 1)), 265: ("linkat", (2, 3)), 257: ("openat", (0, 1)), 2: ("open", (None, 0))},
    **{85: ("creat", (None, 0)), 76: ("truncate", (None, 0))},
}
_SENDS = {44: "sendto", 46: "sendmsg", 307: "sendmmsg"}
_FLAGS_AT = {"openat": 2, "open": 1}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_info = ctypes.create_string_buffer(88)


def let_be_traced() -> None:
    """Let the calls in question stop for whoever traces this process; without one they fail from now on."""
    numbers = [*_FILES, *_NAMES, *_SENDS]
    steps = [(0x20, 0, 0, 4), (0x15, 0, len(numbers) + 1, 0xC000003E), (0x20, 0, 0, 0)]  # on x86-64: the call's number
    steps += [(0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FF00000)]  # go on, or stop for the tracer
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    _libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if _libc.prctl(22, 2, program, 0, 0):  # PR_SET_SECCOMP, a filter
        raise OSError(ctypes.get_errno(), "the system does not let calls be filtered")


def ask(request: int, thread: int, address: int = 0, data: int = 0) -> bool:
    """A request to the kernel; False when the thread is gone."""
    if _libc.ptrace(request, thread, address, data) >= 0:
        return True
    if ctypes.get_errno() == errno.ESRCH:
        return False
    raise OSError(ctypes.get_errno(), f"ptrace {request:#x} on {thread}")


class Tracer:
    """Watches one process with all its threads."""

    def __init__(self, process: int, folder: str, trace: Path, fault: str) -> None:
        self.process = process
        self.folders = tuple(f"{folder}/{part}" for part in ("out", "state"))
        self.trace = trace
        self.call, number, self.fault = fault.split(":")
        self.number = int(number)
        self.counts: Counter[str] = Counter()
        self.said: list[str] = []

    def watch(self) -> None:
        """From now until the process ends."""
        ask(_SEIZE, self.process, 0, _OPTIONS)
        ask(_INTERRUPT, self.process)
        while True:
            thread, status = os.waitpid(-1, _ALL)
            if not os.WIFSTOPPED(status):
                if thread == self.process:
                    break
                continue
            event = status >> 16
            if event == _FILTERED:
                self._called(thread)
            ask(_CONTINUE, thread, 0, 0 if event else os.WSTOPSIG(status))
        self.trace.write_text("\n".join(self.said))

    def _called(self, thread: int) -> None:
        if _libc.ptrace(_CALL_INFO, thread, len(_info), ctypes.addressof(_info)) <= 0:
            return
        number, *arguments = struct.unpack_from("=7Q", _info.raw, 24)
        call = self._changing(thread, number, arguments)
        if call is None:
            return
        self.counts[call] += 1
        self.said.append(call)
        if (call, self.counts[call]) != (self.call, self.number):
            return
        self.said.append("INJECTED")
        if self.fault == "KILL":
            os.kill(self.process, signal.SIGKILL)
        else:
            ask(_POKE_USER, thread, _NUMBER_AT, (1 << 64) - 1)
            ask(_POKE_USER, thread, _RESULT_AT, (1 << 64) - getattr(errno, self.fault))

    def _changing(self, thread: int, number: int, arguments: list[int]) -> str | None:
        """The name of the call if it sends or changes something in the folders."""
        if number in _SENDS:
            return _SENDS[number]
        if number in _FILES:
            call, at = _FILES[number]
            place = _link(f"/proc/{thread}/fd/{_signed(arguments[at])}")
        else:
            call, (folder_at, name_at) = _NAMES[number]
            if call in _FLAGS_AT and not arguments[_FLAGS_AT[call]] & _CREATING:
                return None
            folder = _AT_FDCWD if folder_at is None else _signed(arguments[folder_at])
            beside = f"/proc/{thread}/cwd" if folder == _AT_FDCWD else f"/proc/{thread}/fd/{folder}"
            place = os.path.join(_link(beside), _text(thread, arguments[name_at]))
        return call if place.startswith(self.folders) else None


def _text(thread: int, address: int) -> str:
    """The text at an address of a process, up to the end of its page at least."""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        found = os.pread(memory.fileno(), 4_096 - address % 4_096, address)
        if b"\0" not in found:
            found += os.pread(memory.fileno(), 4_096, address + len(found))
    return found.partition(b"\0")[0].decode(errors="surrogateescape")


def _signed(argument: int) -> int:
    return ctypes.c_int(argument & 0xFFFFFFFF).value


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


if __name__ == "__main__":
    folder, trace, fault, process = sys.argv[1:]
    Tracer(int(process), folder, Path(trace), fault).watch()
