"""Files that take whole epochs: one file that grows, or a folder with a part for each epoch.

Law: a reader sees the file of the last epoch or the one before, never half an epoch. The first `stand` bytes (rows of
a Parquet file) are those of earlier epochs, so delivering an epoch twice gives the same file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import polars as pl

from eventide.connectors.files.encoding import Format, rows_as_bytes
from eventide.errors import SinkError
from eventide.flow import Disk, EpochWriter, Head, Stand, is_remote, remote_path

_PART = re.compile(r"part-(\d{8,})\.\w+")
_T = TypeVar("_T")


def is_folder(path: str) -> bool:
    """True when a sink's path stands for a folder of parts: it ends with a slash."""
    return path.endswith("/")


def open_files(path: str, form: Format, disk: Disk) -> EpochWriter:
    """The writer of a sink's path."""
    if is_folder(path):
        return PartFiles(remote_path(path) if is_remote(path) else Path(path), form, disk)
    check_place(Path(path))
    return GrownTable(Path(path), disk) if form == "parquet" else GrownText(Path(path), form, disk)


def check_place(path: Path) -> None:
    """Refuse a folder, and a device or pipe, in whose place a file would be put. Raises `SinkError`."""
    try:
        if path.is_dir():
            raise SinkError(f"cannot write {path}: it is a folder. Name a file in it, or end the path with a slash")
        if path.exists() and not path.is_file():
            raise SinkError(f"cannot write {path}: it is a device or a pipe, which a file would replace. Name a file")
    except OSError as fault:
        raise SinkError(f"cannot write {path}: {fault.strerror}. Check the folder and its permissions") from None


class GrownText:
    """One text file: each epoch puts a longer one in its place, so an epoch costs as much as the file is long."""

    def __init__(self, path: Path, form: Format, disk: Disk) -> None:
        self._path = path
        self._format = form
        self._disk = disk
        self._bytes = 0

    def stand(self) -> Stand:
        return {"bytes": self._bytes}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if not rows.height and self._bytes:
            return
        data = rows_as_bytes(rows, self._format, header=not self._bytes)
        _told(self._path, lambda: self._grow(data))

    def _grow(self, data: bytes) -> None:
        self._disk.make_folder(self._path.parent)
        self._disk.publish(self._path, data, Head(self._path, self._bytes) if self._bytes else None)
        self._bytes += len(data)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        if not epoch:
            return
        before = int(stand.get("bytes") or 0)
        size = _told(self._path, lambda: self._disk.size(self._path))
        if (size or 0) < before:
            raise _shorter(self._path, f"{size or 0:,} bytes", f"{before:,}")
        data = rows_as_bytes(rows, self._format, header=not before) if rows.height or not before else b""
        self._bytes = before
        if size == before + len(data) and self._disk.read(self._path)[before:] == data:
            self._bytes = before + len(data)
        else:
            _told(self._path, lambda: self._grow(data))

    def close(self) -> None:
        """Nothing is held between two epochs."""


class GrownTable:
    """One Parquet file, written anew with each epoch's rows behind those that it has."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._rows = 0

    def stand(self) -> Stand:
        return {"rows": self._rows}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height or not self._rows:
            _told(self._path, lambda: self._grow(self._held(), rows))

    def _held(self) -> pl.DataFrame | None:
        return pl.read_parquet(self._disk.read(self._path)) if self._rows else None

    def _grow(self, held: pl.DataFrame | None, rows: pl.DataFrame) -> None:
        whole = rows if held is None else pl.concat([held.head(self._rows), rows])
        self._disk.make_folder(self._path.parent)
        self._disk.publish(self._path, rows_as_bytes(whole, "parquet", header=False))
        self._rows = whole.height

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        if not epoch:
            return
        self._rows = int(stand.get("rows") or 0)
        held = None
        if _told(self._path, lambda: self._disk.size(self._path)) is not None:
            held = _told(self._path, lambda: pl.read_parquet(self._disk.read(self._path)))
        there = 0 if held is None else held.height
        if there < self._rows:
            raise _shorter(self._path, f"{there:,} rows", f"{self._rows:,}")
        if held is not None and there == self._rows + rows.height and held.tail(rows.height).equals(rows):
            self._rows = there
        else:
            _told(self._path, lambda: self._grow(held, rows))

    def close(self) -> None:
        """Nothing is held between two epochs."""


class PartFiles:
    """A folder with one file for each epoch that has rows, named by the epoch's number."""

    def __init__(self, folder: Path, form: Format, disk: Disk) -> None:
        self._folder = folder
        self._format = form
        self._disk = disk

    def stand(self) -> Stand:
        return {}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            data = rows_as_bytes(rows, self._format, header=True)
            _told(self._folder, lambda: self._put(self._part(epoch), data))

    def _put(self, path: Path, data: bytes) -> None:
        self._disk.make_folder(self._folder)
        self._disk.publish(path, data)

    def _part(self, epoch: int) -> Path:
        return self._folder / f"part-{epoch:08}.{self._format}"

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        _told(self._folder, lambda: self._take_back(epoch))
        if rows.height and _told(self._folder, lambda: self._disk.size(self._part(epoch))) is None:
            self.deliver(epoch, rows)

    def _take_back(self, epoch: int) -> None:
        """Remove the parts of later epochs, the newest first, and what a crash left half written."""
        names = self._disk.names(self._folder)
        later = [name for name in names if (found := _PART.fullmatch(name)) and int(found[1]) > epoch]
        ready = [name for name in names if name.startswith(".part-") and name.endswith(".ready")]
        for name in [*reversed(later), *ready]:
            self._disk.remove(self._folder / name)
        if later or ready:
            self._disk.sync(self._folder)

    def close(self) -> None:
        """Nothing is held between two epochs."""


def _told(path: Path, work: Callable[[], _T]) -> _T:
    """What the work gives; its faults in words."""
    try:
        return work()
    except OSError as fault:
        raise SinkError(
            f"cannot write {path}: {fault.strerror or fault}. Mend that and start again: the epoch is kept in the "
            "state folder and will be written then"
        ) from None
    except pl.exceptions.PolarsError as fault:
        raise SinkError(f"cannot add to {path}: {fault}. Has something else written to it?") from None


def _shorter(path: Path, found: str, wanted: str) -> SinkError:
    return SinkError(
        f"{path} has {found}, the run had already written {wanted}: it was removed or cut by something else. Put it "
        "back, or begin anew with another state folder"
    )
