"""A simulated disk that forgets what was not synced.

Law: after a crash a file that was synced is whole; any other may be old, cut off, or hold garbage behind what was
written; what was synced before a file grew is still its beginning. In a folder that was not synced each name, on its
own, is back at some point of its history. The same seed loses the same things.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from eventide.flow import Head, publish_by_rename


class Crash(BaseException):
    """The machine has stopped. No program can catch it and go on."""


@dataclass
class _File:
    """Bytes as a program sees them, and as they are on the disk."""

    live: bytes = b""
    kept: bytes = b""
    synced: bool = False
    sure: int = 0
    """How many bytes at the beginning were synced and not written again."""


Names = dict[str, _File]


@dataclass
class _Folder:
    """Names as a program sees them, as they are on the disk, and what they were in between."""

    live: Names = field(default_factory=dict)
    history: list[Names] = field(default_factory=lambda: [{}])

    def changed(self) -> None:
        self.history.append(dict(self.live))


@dataclass
class SimulatedDisk:
    """Files in memory. Operation number `crash_at` stops the machine, and number `full_at` finds the disk full."""

    seed: int = 0
    crash_at: int | None = None
    full_at: int | None = None
    operations: int = 0
    _folders: dict[Path, _Folder] = field(default_factory=dict)
    _held: set[Path] = field(default_factory=set)

    def read(self, path: Path) -> bytes:
        return self._file(path).live

    def size(self, path: Path) -> int | None:
        file = self._folders.get(path.parent, _Folder()).live.get(path.name)
        return None if file is None else len(file.live)

    def names(self, folder: Path) -> list[str]:
        below = {path.name for path in self._folders if path.parent == folder}
        return sorted({*self._folders.get(folder, _Folder()).live, *below})

    def make_folder(self, folder: Path) -> None:
        if folder not in self._folders:
            if folder.parent != folder:
                self.make_folder(folder.parent)
            self._step()
            self._folders[folder] = _Folder()

    def write(self, path: Path, data: bytes, head: Head | None = None) -> None:
        self._step(grows=True)
        begin = b"" if head is None else self.read(head.path)[: head.size]
        if head is not None and len(begin) < head.size:
            raise OSError(errno.EIO, f"{head.path} has only {len(begin)} of {head.size} bytes")
        folder = self._folder(path.parent)
        if path.name not in folder.live:
            folder.live[path.name] = _File()
            folder.changed()
        file = folder.live[path.name]
        file.live, file.synced, file.sure = begin + data, False, 0

    def append(self, path: Path, data: bytes) -> None:
        file = self._file(path)
        try:
            self._step(grows=True)
        except (Crash, OSError):
            cut = Random(f"{self.seed}/{self.operations}").randint(0, len(data))  # noqa: S311 - a simulation, not a secret
            file.live, file.synced = file.live + data[:cut], False
            raise
        file.live, file.synced = file.live + data, False

    def part(self, path: Path, start: int, size: int) -> bytes:
        return self._file(path).live[start : start + size]

    def sync(self, path: Path) -> None:
        self._step()
        if path in self._folders:
            folder = self._folders[path]
            folder.history = [dict(folder.live)]
        else:
            file = self._file(path)
            file.kept, file.synced, file.sure = file.live, True, len(file.live)

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        folder = self._folder(old.parent)
        folder.live[new.name] = folder.live.pop(old.name)
        folder.changed()

    def publish(self, path: Path, data: bytes, head: Head | None = None) -> None:
        publish_by_rename(self, path, data, head)

    def remove(self, path: Path) -> None:
        if path in self._folders:
            for name in list(self._folders[path].live):
                self.remove(path / name)
            self._step()
            del self._folders[path]
        elif path.name in self._folders.get(path.parent, _Folder()).live:
            self._step()
            folder = self._folders[path.parent]
            del folder.live[path.name]
            folder.changed()

    @contextmanager
    def hold(self, path: Path, holder: str) -> Iterator[str | None]:
        if path in self._held:
            yield "somebody"
            return
        self._held.add(path)
        try:
            yield None
        finally:
            self._held.discard(path)

    def crash(self) -> None:
        """The machine starts again: what was not synced is lost, in part or whole."""
        random = Random(f"{self.seed}/{self.operations}")  # noqa: S311 - a simulation, not a secret
        self._held.clear()
        self.crash_at = None
        for folder in self._folders.values():
            ever = sorted({name for names in folder.history for name in names})
            found = {name: random.choice(folder.history).get(name) for name in ever}
            folder.live = {name: file for name, file in found.items() if file is not None}
            for file in folder.live.values():
                if not file.synced:
                    file.kept = _torn(file, random)
                file.live, file.synced, file.sure = file.kept, True, len(file.kept)
            # a file that had two names is two files from here on
            folder.live = {name: replace(file) for name, file in folder.live.items()}
            folder.history = [dict(folder.live)]

    def _step(self, *, grows: bool = False) -> None:
        """One operation: it may be the one that fails."""
        self.operations += 1
        if self.crash_at is not None and self.operations >= self.crash_at:
            raise Crash
        if grows and self.full_at is not None and self.operations >= self.full_at:
            self.full_at = None
            raise OSError(errno.ENOSPC, "No space left on device")

    def _folder(self, path: Path) -> _Folder:
        try:
            return self._folders[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path)) from None

    def _file(self, path: Path) -> _File:
        try:
            return self._folder(path.parent).live[path.name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path)) from None


def _torn(file: _File, random: Random) -> bytes:
    """What is left of a file that was written and not synced."""
    cut = random.randint(file.sure, len(file.live))
    match random.randrange(4):
        case 0:
            return file.kept
        case 1:
            return file.live[:cut]
        case 2:
            return file.live[:cut] + bytes(len(file.live) - cut)
        case _:
            return file.live
