"""Files as sinks: CSV, NDJSON and Parquet, made visible by an atomic rename.

Law: a reader sees the file of the last commit or none, never half a row. Rows are appended to a file beside it; a
commit copies what is there, makes sure it is on the disk, and renames the copy into place, so a commit costs as much
as the file is long.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, Literal

import polars as pl

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
        self._path = path
        self._format = form
        self._beside = path.with_name(f".{path.name}.writing")
        self._frames: list[pl.DataFrame] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self._beside.open("wb")
        except OSError as fault:
            raise SinkError(f"cannot write {path}: {fault.strerror}. Check the folder and its permissions") from None
        self._has_header = False

    def write(self, frame: pl.DataFrame) -> None:
        if self._format == "parquet":
            self._frames.append(frame)
        elif self._format == "csv":
            _textual(frame).write_csv(
                self._file, include_header=not self._has_header, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ"
            )
            self._has_header = True
        else:
            frame.write_ndjson(self._file)

    def commit(self) -> None:
        if self._format == "parquet":
            self._file.seek(0)
            self._file.truncate()
            if self._frames:
                self._frames = [pl.concat(self._frames, how="vertical_relaxed")]
                self._frames[0].write_parquet(self._file)
        self._file.flush()
        os.fsync(self._file.fileno())
        ready = self._path.with_name(f".{self._path.name}.ready")
        shutil.copyfile(self._beside, ready)
        with ready.open("rb+") as copied:
            os.fsync(copied.fileno())
        ready.replace(self._path)
        _sync_folder(self._path.parent)

    def close(self) -> None:
        self.commit()
        self.abort()

    def abort(self) -> None:
        self._file.close()
        self._beside.unlink(missing_ok=True)


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
    """A sink that writes a Parquet file; the rows of a run are held in memory until it ends."""
    return FileSink(fspath(path), "parquet")
