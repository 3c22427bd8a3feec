"""Files as a source: one path or many, plain or compressed, read to their end or followed while they grow.

Law: bytes are read in blocks of whole records, so memory does not grow with the file; a position is a byte and an
offset.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO

import polars as pl

from eventide.connectors.formats.columns import conform, schema_columns
from eventide.connectors.formats.text import TextFormat
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, REFUSED_SCHEMA, Batch, LogReader, Position, ReadContext
from eventide.semantics.schema import Schema

_BYTES_A_ROW = 96
_BLOCK_LEAST = 64 * 1024


@dataclass(frozen=True, slots=True)
class TextFiles:
    """Files of a text format. `arrival` names the column of arrival times; `one_log` reads all files as one log."""

    path: str
    format: TextFormat
    schema: Schema
    arrival: str | None = None
    follow: bool = False
    one_log: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.arrival is not None and self.arrival not in self.schema.names:
            raise ValueError(f"arrival={self.arrival!r} is not a column of the schema: add it, or leave arrival= out")
        if not self.name:
            object.__setattr__(self, "name", "stdin" if self.path == "-" else Path(self.path).name)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def many(self) -> bool:
        """True when the path may stand for several files."""
        return has_magic(self.path) or Path(self.path).is_dir()

    @property
    def single_log(self) -> bool:
        return self.one_log or not self.many

    @property
    def bounded(self) -> bool:
        return not self.follow and self.path != "-"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> FileLogs:
        return FileLogs(self, context, positions)

    def files(self) -> list[Path]:
        """The files there are now, in order of their names."""
        if not self.many:
            return [Path(self.path)]
        pattern = str(Path(self.path) / "*") if Path(self.path).is_dir() else self.path
        return sorted(Path(found) for found in glob(pattern, recursive=True) if Path(found).is_file())


@dataclass
class FileLogs:
    """The logs of a set of files."""

    source: TextFiles
    context: ReadContext
    positions: Mapping[str, Position]
    given: dict[Path, LogReader] = field(default_factory=dict)

    @property
    def may_grow(self) -> bool:
        return self.source.follow and self.source.many

    def discover(self) -> Sequence[LogReader]:
        new = [path for path in self.source.files() if path not in self.given]
        if not self.given and not new and not self.source.follow:
            raise SourceError(f"no file matches {self.source.path!r}: check the path")
        if self.source.one_log and self.source.many:
            return self._as_one(new)
        made = [
            TextReader(self.source, path, self._log(path), self.context, self.positions.get(self._log(path), {}))
            for path in new
        ]
        self.given.update(zip(new, made, strict=True))
        return made

    def _as_one(self, new: list[Path]) -> Sequence[LogReader]:
        if self.given:
            return []
        parts = [TextReader(self.source, path, self.source.name, self.context, {}) for path in new]
        chained = ChainedReader(self.source.name, parts, self.positions.get(self.source.name, {}))
        self.given.update((path, chained) for path in new)
        return [chained]

    def _log(self, path: Path) -> str:
        if not self.source.many:
            return self.source.name
        root = Path(self.source.path) if Path(self.source.path).is_dir() else Path(glob_root(self.source.path))
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

    def close(self) -> None:
        for reader in self.given.values():
            reader.close()


def glob_root(pattern: str) -> str:
    """The folder in front of the first part with a wildcard."""
    parts = []
    for part in Path(pattern).parts:
        if has_magic(part):
            break
        parts.append(part)
    return str(Path(*parts)) if parts else "."


class TextReader:
    """Reads one text file in order."""

    def __init__(self, source: TextFiles, path: Path, log: str, context: ReadContext, position: Position) -> None:
        self.log = log
        self._source = source
        self._context = context
        self._path = path
        self._offset = int(position.get("offset") or 0)
        self._byte = int(position.get("byte") or 0)
        self._rest = b""
        self._ended = False
        self._file = _opened(path)
        self._format = self._after_header()

    @property
    def finished(self) -> bool:
        return self._ended and not self._rest and not self._source.follow

    def _after_header(self) -> TextFormat:
        made, consumed = self._source.format, 0
        if made.has_header:
            line = self._file.readline()
            try:
                made = made.with_header(line) if line else made
            except SourceError as fault:
                self.close()
                raise SourceError(f"{self._path}: {fault}") from None
            if not line:
                self._ended = not self._source.follow
            consumed = len(line)
            self._byte = max(self._byte, consumed)
        if self._byte > consumed:
            self._file.seek(self._byte) if self._file.seekable() else self._file.read(self._byte - consumed)
        return made

    def read(self, rows_max: int) -> Batch | None:
        data = self._records(rows_max)
        if not data:
            return None
        block = self._format.parse(data)
        self._byte += len(data)
        start, self._offset = self._offset, self._offset + block.lines
        arrived = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        raw = block.rows.with_columns((block.numbers + start).alias(OFFSET), arrived)
        rows, refused = conform(raw, self._source.schema)
        if self._source.arrival is not None:
            rows = rows.with_columns(pl.col(self._source.arrival).alias(ARRIVAL))
        if block.bad:
            refused = pl.concat([refused, self._bad(block.bad, start)]).sort(OFFSET)
        return Batch(self.log, rows, refused)

    def _records(self, rows_max: int) -> bytes:
        """The bytes of the next complete records, about `rows_max` of them."""
        wanted = max(rows_max * _BYTES_A_ROW, _BLOCK_LEAST if rows_max > 512 else 1)
        while True:
            if len(self._rest) < wanted and not self._ended:
                self._fill(wanted - len(self._rest))
            end = self._format.cut(self._rest[: max(wanted, _BLOCK_LEAST)] if len(self._rest) > wanted else self._rest)
            if end or self._ended:
                break
            if not self._fill(max(len(self._rest), wanted)):
                break
        if not end and (self._source.follow or not self._ended):
            return b""
        return self._taken(end or len(self._rest), rows_max)

    def _taken(self, end: int, rows_max: int) -> bytes:
        data = self._rest[:end]
        if data.count(b"\n") > rows_max:
            place = 0
            for _ in range(rows_max):
                place = data.find(b"\n", place) + 1
            while self._format.cut(data[:place]) != place:
                place = data.find(b"\n", place) + 1
            data = data[:place]
        self._rest = self._rest[len(data) :]
        return data

    def _fill(self, size: int) -> bool:
        more = self._file.read(size)
        self._rest += more
        if not more and not self._source.follow:
            self._ended = True
        return bool(more)

    def _bad(self, bad: Sequence[tuple[int, str, str]], start: int) -> pl.DataFrame:
        now_us = self._context.clock.now_us()
        columns = {
            OFFSET: [start + number for number, _, _ in bad],
            ARRIVAL: pl.Series([now_us] * len(bad), dtype=pl.Int64).cast(INSTANT),
            "reason": [reason for _, reason, _ in bad],
            "field": [None] * len(bad),
            "raw": [text for _, _, text in bad],
        }
        return pl.DataFrame(columns, schema=REFUSED_SCHEMA)

    def position(self) -> Position:
        return {"offset": self._offset, "byte": self._byte}

    def close(self) -> None:
        if self._file is not sys.stdin.buffer:
            self._file.close()


class ChainedReader:
    """Several files read one after the other as one log."""

    def __init__(self, log: str, parts: Sequence[TextReader], position: Position) -> None:
        self.log = log
        self._parts = list(parts)
        self._offset = 0
        self._skip = int(position.get("offset") or 0)

    @property
    def finished(self) -> bool:
        return all(part.finished for part in self._parts)

    def read(self, rows_max: int) -> Batch | None:
        for part in self._parts:
            if part.finished:
                continue
            base = self._offset - int(part.position()["offset"] or 0)
            batch = part.read(rows_max)
            if batch is None:
                continue
            moved = replace(
                batch,
                rows=batch.rows.with_columns(pl.col(OFFSET) + base),
                refused=batch.refused.with_columns(pl.col(OFFSET) + base),
            )
            self._offset = base + int(part.position()["offset"] or 0)
            if self._offset <= self._skip:
                continue
            behind = pl.col(OFFSET) >= self._skip
            return replace(moved, rows=moved.rows.filter(behind), refused=moved.refused.filter(behind))
        return None

    def position(self) -> Position:
        return {"offset": max(self._offset, self._skip)}

    def close(self) -> None:
        for part in self._parts:
            part.close()


def _opened(path: Path) -> BinaryIO:
    if str(path) == "-":
        return sys.stdin.buffer
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rb")  # type: ignore[return-value] # it reads like a file
        if path.suffix in (".zst", ".zstd"):
            return _zstd(path)
        return path.open("rb")
    except OSError as fault:
        raise SourceError(
            f"cannot open {path}: {fault.strerror or fault}. Check the path and its permissions"
        ) from None


def _zstd(path: Path) -> BinaryIO:
    try:
        import zstandard
    except ImportError:
        raise SourceError(f'{path} is compressed with zstd: install "eventide[zstd]"') from None
    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb")))
