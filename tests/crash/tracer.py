"""Watches a process by ptrace: counts the calls of all its threads that change files below a folder, and makes one of
them fail. strace counts each thread for itself, and so cannot say which write of a thread pool comes next.

    python tracer.py FOLDER TRACE CALL:NUMBER:FAULT PROCESS      Linux on x86-64

TRACE gets the name of each call that counts, a line each, and INJECTED when the fault has happened. KILL kills in
front of the call; ENOSPC and EIO are its answer, and it is not made.
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

_SEIZE, _INTERRUPT, _SYSCALL, _POKE_USER, _SYSCALL_INFO = 0x4206, 0x4207, 24, 6, 0x420E
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8  # stops at calls can be told from signals; forks, vforks and clones are followed
_ALL = 0x40000000  # waitpid's __WALL: threads too
_ENTRY, _EXIT = 1, 2
_NUMBER_AT, _RESULT_AT = 15 * 8, 10 * 8  # orig_rax and rax in what POKE_USER writes to
_AT_FDCWD = -100
_CREATING = os.O_CREAT | os.O_WRONLY | os.O_RDWR | os.O_TRUNC

# the arguments of a call that say what it changes: files by their number, (folder, name), or a name alone
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
_FLAGS_AT = {"openat": 2, "open": 1}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_info = ctypes.create_string_buffer(88)


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
        self.refused: set[int] = set()

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
            stop, event = os.WSTOPSIG(status), status >> 16
            if stop == signal.SIGTRAP | 0x80:
                self._called(thread)
            passed_on = 0 if event or stop == signal.SIGTRAP | 0x80 else stop
            ask(_SYSCALL, thread, 0, passed_on)
        self.trace.write_text("\n".join(self.said))

    def _called(self, thread: int) -> None:
        size = _libc.ptrace(_SYSCALL_INFO, thread, len(_info), ctypes.addressof(_info))
        if size <= 0:
            return
        if _info.raw[0] == _EXIT and thread in self.refused:
            self.refused.discard(thread)
            ask(_POKE_USER, thread, _RESULT_AT, (1 << 64) - getattr(errno, self.fault))
        elif _info.raw[0] == _ENTRY:
            number, *arguments = struct.unpack_from("=7Q", _info.raw, 24)
            self._entered(thread, number, arguments)

    def _entered(self, thread: int, number: int, arguments: list[int]) -> None:
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
            self.refused.add(thread)

    def _changing(self, thread: int, number: int, arguments: list[int]) -> str | None:
        """The name of the call if it changes something in the folders."""
        if number in _FILES:
            call, at = _FILES[number]
            place = _link(f"/proc/{thread}/fd/{_signed(arguments[at])}")
        elif number in _NAMES:
            call, (folder_at, name_at) = _NAMES[number]
            if call in _FLAGS_AT and not arguments[_FLAGS_AT[call]] & _CREATING:
                return None
            folder = _AT_FDCWD if folder_at is None else _signed(arguments[folder_at])
            beside = f"/proc/{thread}/cwd" if folder == _AT_FDCWD else f"/proc/{thread}/fd/{folder}"
            place = os.path.join(_link(beside), self._text(thread, arguments[name_at]))
        else:
            return None
        return call if place.startswith(self.folders) else None

    def _text(self, thread: int, address: int) -> str:
        """The text at an address of the process, up to the end of its page at least."""
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
