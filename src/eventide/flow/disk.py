"""The disk, always handed in: the few operations that state and file sinks are made of, and the machine's own.

Law: what `write` and `remove` did is on the disk only after `sync` of the file or folder; what `publish` put in place
is there whole, and was not there in part at any moment. A disk with renames makes the one from the other
(`publish_by_rename`), so that a simulated disk can lose all that was not synced; an object store has whole puts only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Head:
    """The first bytes of a file that is there: what a longer version of it begins with."""

    path: Path
    size: int


class Disk(Protocol):
    """Files and folders. Every method raises `OSError` where the system does."""

    def read(self, path: Path) -> bytes:
        """The whole file."""

    def size(self, path: Path) -> int | None:
        """The file's length in bytes; None when there is no such file."""

    def names(self, folder: Path) -> list[str]:
        """What is in a folder, in order of the names; nothing when there is no such folder."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder with all above it, and make sure of their names."""

    def write(self, path: Path, data: bytes, head: Head | None = None) -> None:
        """Make the file anew: the head, then the data. Not sure to be on the disk before `sync(path)`, nor is its
        name before `sync` of its folder.
        """

    def sync(self, path: Path) -> None:
        """Make sure that a file's content, or the names in a folder, are on the disk."""

    def publish(self, path: Path, data: bytes, head: Head | None = None) -> None:
        """Put a file in place whole: readers see the old one or the new one, and the new one is on the disk on
        return.
        """

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder of files. One that is not there is left at that."""

    def hold(self, path: Path, holder: str) -> AbstractContextManager[str | None]:
        """Hold a lock file until the end of the context. Gives None, or who holds it already. A holder that ends in
        any way gives it back, at once or after a time that the disk states.
        """


@runtime_checkable
class GrowingDisk(Disk, Protocol):
    """A disk whose files can grow, and be read in parts."""

    def append(self, path: Path, data: bytes) -> None:
        """Write behind the end of a file that is there. What was synced stays, whatever happens; where it raises, a
        part of the data may be there.
        """

    def part(self, path: Path, start: int, size: int) -> bytes:
        """So many bytes of a file from a place on; fewer where it ends."""


class Renaming(Protocol):
    """A disk on which a file can be given another name."""

    def write(self, path: Path, data: bytes, head: Head | None = None) -> None:
        """As of `Disk`."""

    def sync(self, path: Path) -> None:
        """As of `Disk`."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same folder, in place of what had it."""


class SystemDisk:
    """The machine's disk."""

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def size(self, path: Path) -> int | None:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return None

    def names(self, folder: Path) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync(folder.parent)

    def write(self, path: Path, data: bytes, head: Head | None = None) -> None:
        with path.open("wb", buffering=0) as made:
            if head is not None:
                with head.path.open("rb") as source:
                    _copy(source.fileno(), made.fileno(), head.size)
            view = memoryview(data)
            while view:
                view = view[made.write(view) :]

    def append(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)

    def part(self, path: Path, start: int, size: int) -> bytes:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            found = bytearray()
            while len(found) < size and (piece := file.read(size - len(found))):
                found += piece
        return bytes(found)

    def sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same folder, in place of what had it."""
        old.replace(new)

    def publish(self, path: Path, data: bytes, head: Head | None = None) -> None:
        publish_by_rename(self, path, data, head)

    def remove(self, path: Path) -> None:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return

    @contextmanager
    def hold(self, path: Path, holder: str) -> Iterator[str | None]:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                # the system gives the lock back when the process ends
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield os.pread(descriptor, 256, 0).decode(errors="replace").strip() or "somebody"
            else:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{holder}\n".encode(), 0)
                yield None
        finally:
            os.close(descriptor)


def _copy(source: int, target: int, size: int) -> None:
    """Copy the first bytes of a file inside the kernel."""
    copied = 0
    while copied < size:
        moved = os.sendfile(target, source, copied, size - copied)
        if not moved:
            raise OSError(f"the file ended after {copied} of {size} bytes")
        copied += moved


def publish_by_rename(disk: Renaming, path: Path, data: bytes, head: Head | None = None) -> None:
    """`publish` of a disk with renames: written beside it and synced, renamed into place, the folder synced."""
    ready = path.with_name(f".{path.name}.ready")
    disk.write(ready, data, head)
    disk.sync(ready)
    disk.rename(ready, path)
    disk.sync(path.parent)


def store(disk: Disk, folder: Path, files: Iterable[tuple[str, bytes]], last: str) -> None:
    """Put files into a folder as they come, so that `last`, which comes last, is there only when all others are, whole
    and on the disk.
    """
    disk.remove(folder)
    disk.make_folder(folder)
    for name, data in files:
        if name == last:
            disk.sync(folder)
            disk.publish(folder / name, data)
        else:
            disk.write(folder / name, data)
            disk.sync(folder / name)
