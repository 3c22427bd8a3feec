"""The bound of a run: who holds state, how much of it may be in memory, and where the rest goes.

Law: behind every batch the states that can go to disk take no more than the bound together; the largest goes first. A
state that cannot go stops the run in words before it takes more than the bound.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from eventide.errors import SpillError

_PREFIX = "eventide-spill-"
_LOCK = "in-use"
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*((?:[kKMGT]i?)?)B?\s*")
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}
_UNITS = {"": 1, **{f"{k}I": 1024**n for k, n in _POWERS.items()}, **{k: 1000**n for k, n in _POWERS.items()}}
_LEAST_BYTES = 1


def bytes_of(size: int | str, name: str) -> int:
    """A size as bytes: a number of them, or text such as "2GB", "500MB" or "1.5GiB".

    >>> bytes_of("1.5kB", "memory"), bytes_of("2 GiB", "memory")
    (1500, 2147483648)
    """
    if isinstance(size, str):
        found = _SIZE.fullmatch(size)
        if found is None:
            raise ValueError(f'{name}={size!r} is not a size: write a number of bytes or text such as "2GB"')
        number, unit = found.groups()
        size = int(float(number) * _UNITS[unit.upper()])
    if size < _LEAST_BYTES:
        raise ValueError(f"{name}={size} must be at least {_LEAST_BYTES} byte")
    return size


class Spillable(Protocol):
    """A state of which parts can go to disk."""

    @property
    def held_bytes(self) -> int:
        """How many bytes of it are in memory and could go."""

    def spill(self) -> None:
        """Put them on the disk."""


def size_of(frames: Iterable[pl.DataFrame]) -> int:
    """How many bytes frames take."""
    return sum(int(frame.estimated_size()) for frame in frames)


@dataclass
class Memory:
    """The bound of one process. `folder` is where files go (None: the system's folder for temporary files).
    `fixed_bytes` is how much may stay of what cannot go to disk, as much as `limit_bytes` unless given.
    """

    limit_bytes: int
    folder: Path | None = None
    fixed_bytes: int | None = None
    spilled_bytes: int = 0
    _held: list[Spillable] = field(default_factory=list)
    _made: Path | None = None
    _files: int = 0
    _end: Callable[[], object] = lambda: None

    def join(self, one: Spillable) -> None:
        """Count this state in."""
        self._held.append(one)

    def settle(self) -> None:
        """Put states on the disk, the largest first, until the others fit."""
        sizes = {number: one.held_bytes for number, one in enumerate(self._held)}
        while sum(sizes.values()) > self.limit_bytes:
            largest = max(sizes, key=sizes.__getitem__)
            if not sizes[largest]:
                return
            self._held[largest].spill()
            left = self._held[largest].held_bytes
            if left >= sizes[largest]:
                return
            sizes[largest] = left

    def hold(self, what: str, frames: Iterable[pl.DataFrame]) -> None:
        """Count a state that cannot go to the disk. Raises `SpillError` when it takes more than there is for states."""
        most, taken = self.limit_bytes if self.fixed_bytes is None else self.fixed_bytes, size_of(frames)
        if taken > most:
            raise SpillError(
                f"{what} take {taken:,} bytes; memory= leaves {most:,} bytes for states, and these cannot go to the "
                "disk. Give more memory=, or let the plan remember less. With a state folder the run goes on where it "
                "stands"
            )

    def path(self) -> Path:
        """A name for a new file."""
        if self._made is None:
            self._open()
        assert self._made is not None
        self._files += 1
        return self._made / f"{self._files:08}.arrow"

    def _open(self) -> None:
        import tempfile

        parent = self.folder or Path(tempfile.gettempdir())
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _sweep(parent)
            self._made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            lock = os.open(self._made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._end = weakref.finalize(self, _removed, self._made, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as fault:
            raise SpillError(
                f"state does not fit into memory={self.limit_bytes:,} bytes and cannot go to {parent}: "
                f"{fault.strerror or fault}. Give spill= a folder with room, or more memory="
            ) from None

    def close(self) -> None:
        """Remove all files. Without it they go when nothing holds this object, or the process ends."""
        self._end()
        self._made, self._end = None, lambda: None


def _removed(folder: Path, lock: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove what killed runs have left: folders whose lock nobody holds."""
    for left in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(left / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)
