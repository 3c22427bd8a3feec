"""Files as sinks: CSV, NDJSON and Parquet, made visible by an atomic rename.

Law: a reader sees the file of the last commit or none, never half a row. Rows are appended to files beside it, whose
names begin with a dot; a commit copies what is there, makes sure it is on the disk, and renames the copy into place, so
a commit costs as much as the file is long. One writer at a time has a path.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl

from eventide.connectors.files.parquet_groups import ParquetGroups
from eventide.errors import SinkError

Format = Literal["csv", "ndjson", "parquet"]


@dataclass(frozen=True, slots=True)
class FileSink:
    """A file that holds the rows of an output."""

    path: str
    format: Format

    @property
    def name(self) -> str:
        return f"{self.format} file {self.path}"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> FileWriter:
        writer = FileWriter(Path(self.path), self.format)
        writer.write(pl.DataFrame(schema=dict(columns)))
        return writer


class FileWriter:
    """Writes beside the file and renames."""

    def __init__(self, path: Path, form: Format) -> None:
        self._path = path.resolve()
        self._beside = beside(self._path, "writing")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_dir():
                raise SinkError(f"cannot write {path}: it is a folder. Name a file in it")
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
        if self.format == "csv":
            _textual(frame).write_csv(
                self.file, include_header=not self.has_header, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ"
            )
            self.has_header = True
        else:
            frame.write_ndjson(self.file)

    def copy_to(self, path: Path) -> None:
        self.file.flush()
        shutil.copyfile(self.file.name, path)

    def remove(self) -> None:
        """There is nothing beside the file itself."""


def _textual(frame: pl.DataFrame) -> pl.DataFrame:
    """Lists and records as JSON text, durations as text, because CSV has neither."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    made = [
        pl.struct(v=pl.col(name)).struct.json_encode().str.slice(5).str.strip_suffix("}").alias(name) for name in nested
    ]
    lengths = [
        pl.col(name).dt.total_microseconds() for name, dtype in frame.schema.items() if isinstance(dtype, pl.Duration)
    ]
    return frame.with_columns(*made, *lengths)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_csv(path: str | PathLike[str]) -> FileSink:
    """A sink that writes CSV; lists and records as JSON text, durations in microseconds."""
    return FileSink(fspath(path), "csv")


def write_ndjson(path: str | PathLike[str]) -> FileSink:
    """A sink that writes a JSON object for each row."""
    return FileSink(fspath(path), "ndjson")


def write_parquet(path: str | PathLike[str]) -> FileSink:
    """A sink that writes a Parquet file; rows go to the disk as they come, a group at a time."""
    return FileSink(fspath(path), "parquet")
