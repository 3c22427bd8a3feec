"""Files as sinks: CSV, NDJSON and Parquet, made visible by an atomic rename.

Law: a reader sees the file of the last commit or none, never half a row. Rows are appended to files beside it, whose
names begin with a dot; a commit copies what is there, makes sure it is on the disk, and renames the copy into place, so
a commit costs as much as the file is long. One writer at a time has a path. A folder takes a part file for each commit
instead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import polars as pl

from eventide.connectors.files.encoding import Format, write_rows
from eventide.connectors.files.epochs import check_place, is_folder, open_files
from eventide.connectors.files.logs import holds
from eventide.connectors.files.parquet import ParquetFiles
from eventide.connectors.files.parquet_groups import ParquetGroups
from eventide.connectors.files.remote import missing_extra
from eventide.connectors.files.source import TextFiles
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Writer, is_remote, place_of, remote_path
from eventide.plan.given import path_of


@dataclass(frozen=True, slots=True)
class FileSink:
    """A file that holds the rows of an output, or a folder of part files where the path ends with a slash."""

    path: str
    format: Format

    def __post_init__(self) -> None:
        if is_remote(self.path):
            remote_path(self.path)
            if not is_folder(self.path):
                raise ValueError(
                    f"an object in {self.path} cannot grow: end the address with a slash, for a folder with a part "
                    "file for each epoch"
                )

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return missing_extra(self.path)

    @property
    def name(self) -> str:
        return f"{self.format} file {self.path}"

    def replaces(self, source: object) -> bool:
        """True when the file that it puts in place is one that a source reads."""
        if is_folder(self.path) or not isinstance(source, TextFiles | ParquetFiles):
            return False
        return holds(source.path, Path(self.path))

    @property
    def one_output(self) -> bool:
        """True: a file holds rows of one kind."""
        return True

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        if is_folder(self.path):
            parts = open_files(self.path, self.format, place_of(self.path)[0])
            return FolderWriter(parts, pl.DataFrame(schema=dict(columns)))
        writer = FileWriter(Path(self.path), self.format)
        writer.write(pl.DataFrame(schema=dict(columns)))
        return writer

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return open_files(self.path, self.format, place_of(self.path)[0] if is_remote(self.path) else opening.disk)


class FileWriter:
    """Writes beside the file and renames."""

    def __init__(self, path: Path, form: Format) -> None:
        self._path = path.resolve()
        self._beside = beside(self._path, "writing")
        check_place(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _claimed(self._beside)
            self._rows: _Lines | ParquetGroups = (
                ParquetGroups(self._path) if form == "parquet" else _Lines(self._file, form)
            )
        except OSError as fault:
            raise SinkError(f"cannot write {path}: {fault.strerror}. Check the folder and its permissions") from None

    def write(self, frame: pl.DataFrame) -> None:
        with self._told():
            self._rows.write(frame)

    def commit(self) -> None:
        with self._told():
            ready = beside(self._path, "ready")
            self._rows.copy_to(ready)
            self._show(ready)

    def close(self) -> None:
        self.commit()
        self.abort()

    def abort(self) -> None:
        self._rows.remove()
        beside(self._path, "ready").unlink(missing_ok=True)
        self._beside.unlink(missing_ok=True)
        self._file.close()

    def _show(self, ready: Path) -> None:
        with ready.open("rb+") as copied:
            os.fsync(copied.fileno())
        ready.replace(self._path)
        _sync_folder(self._path.parent)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pl.exceptions.PolarsError) as fault:
            raise SinkError(f"cannot write {self._path}: {fault}. Is there room on the disk?") from fault


def beside(path: Path, use: str) -> Path:
    """A hidden file beside the one that is written."""
    return path.with_name(f".{path.name}.{use}")


def _claimed(path: Path) -> BinaryIO:
    """The file opened empty, for one writer alone: the claim ends with the process, whatever ends it."""
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise SinkError(
                f"cannot write {path.with_name(path.name[1:].removesuffix('.writing'))}: another output or another run "
                "is writing to it. Give each output its own path"
            ) from None
        try:
            same = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except FileNotFoundError:  # the writer before has just removed it
            same = False
        if same:
            file.truncate(0)
            return file
        file.close()


@dataclass
class _Lines:
    """Rows as text in one growing file."""

    file: BinaryIO
    format: Format
    has_header: bool = False

    def write(self, frame: pl.DataFrame) -> None:
        write_rows(frame, self.file, self.format, header=not self.has_header)
        self.has_header = True

    def copy_to(self, path: Path) -> None:
        self.file.flush()
        shutil.copyfile(self.file.name, path)

    def remove(self) -> None:
        """There is nothing beside the file itself."""


class FolderWriter:
    """A part file for each commit; the first one takes the parts of earlier runs away."""

    def __init__(self, parts: EpochWriter, empty: pl.DataFrame) -> None:
        self._parts = parts
        self._empty = empty
        self._frames: list[pl.DataFrame] = []
        self._commits = 0

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def commit(self) -> None:
        if not self._commits:
            self._parts.recover(0, self._empty, {})
        self._commits += 1
        self._parts.deliver(self._commits, pl.concat([self._empty, *self._frames], how="vertical_relaxed"))
        self._frames = []

    def close(self) -> None:
        self.commit()

    def abort(self) -> None:
        self._frames = []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_csv(path: str | PathLike[str]) -> FileSink:
    """A sink that writes CSV; lists and records as JSON text, durations in microseconds. A path that ends with a slash
    is a folder, which gets a part file for each commit or epoch; so is an address such as `s3://bucket/folder/`.
    """
    return FileSink(path_of(path), "csv")


def write_ndjson(path: str | PathLike[str]) -> FileSink:
    """A sink that writes a JSON object for each row; a path that ends with a slash is a folder of part files."""
    return FileSink(path_of(path), "ndjson")


def write_parquet(path: str | PathLike[str]) -> FileSink:
    """A sink that writes a Parquet file; rows go to the disk as they come, a group at a time. A path that ends with a
    slash is a folder of part files.
    """
    return FileSink(path_of(path), "parquet")
