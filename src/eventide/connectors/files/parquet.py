"""Parquet files as a source.

Law: rows are read in slices, so memory does not grow with the file; types are brought to those of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from eventide.connectors.files.source import glob_root
from eventide.connectors.formats.columns import conform, schema_columns
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogReader, Position, ReadContext
from eventide.semantics.schema import Field, Schema


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """Parquet files, each a log. Without a schema, the first file's own is taken."""

    path: str
    schema: Schema
    arrival: str | None = None
    name: str = ""
    bounded: bool = True

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", Path(self.path).name)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def single_log(self) -> bool:
        return len(files_of(self.path)) <= 1

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> ParquetLogs:
        return ParquetLogs(self, context, positions)


@dataclass
class ParquetLogs:
    """The logs of a set of Parquet files."""

    source: ParquetFiles
    context: ReadContext
    positions: Mapping[str, Position]
    given: list[LogReader] = field(default_factory=list)
    may_grow: bool = False

    def discover(self) -> Sequence[LogReader]:
        if self.given:
            return []
        paths = files_of(self.source.path)
        root = Path(glob_root(self.source.path))
        for path in paths:
            log = self.source.name if len(paths) == 1 else str(path.relative_to(root))
            self.given.append(ParquetReader(self.source, path, log, self.context, self.positions.get(log, {})))
        return self.given

    def close(self) -> None:
        for reader in self.given:
            reader.close()


class ParquetReader:
    """Reads one Parquet file in slices."""

    def __init__(self, source: ParquetFiles, path: Path, log: str, context: ReadContext, position: Position) -> None:
        self.log = log
        self._source = source
        self._context = context
        self._offset = int(position.get("offset") or 0)
        paths = [rule.path or name for name, rule in source.schema.fields]
        named = {rule.path: name for name, rule in source.schema.fields if rule.path}
        try:
            self._scan = pl.scan_parquet(path)
            self._rows = int(self._scan.select(pl.len()).collect().item())
        except (OSError, pl.exceptions.PolarsError) as fault:
            raise SourceError(f"cannot read {path}: {fault}. Is it a Parquet file?") from None
        present = [name for name in paths if name in self._scan.collect_schema().names()]
        self._scan = self._scan.select(present).rename({old: new for old, new in named.items() if old in present})

    @property
    def finished(self) -> bool:
        return self._offset >= self._rows

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        raw = self._scan.slice(self._offset, rows_max).collect()
        offsets = pl.int_range(self._offset, self._offset + raw.height, dtype=pl.Int64).alias(OFFSET)
        now = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        self._offset += raw.height
        rows, refused = conform(raw.with_columns(offsets, now), self._source.schema)
        if self._source.arrival is not None:
            rows = rows.with_columns(pl.col(self._source.arrival).alias(ARRIVAL))
        return Batch(self.log, rows, refused)

    def position(self) -> Position:
        return {"offset": self._offset}

    def close(self) -> None:
        self._offset = self._rows


def files_of(path: str) -> list[Path]:
    """The files that a path, folder or pattern stands for, in order of their names."""
    from glob import glob, has_magic

    if Path(path).is_dir():
        return sorted(Path(path).glob("*.parquet"))
    return sorted(map(Path, glob(path, recursive=True))) if has_magic(path) else [Path(path)]


def schema_of(path: str) -> Schema:
    """The schema that a Parquet file itself has."""
    found = files_of(path)
    if not found:
        raise SourceError(f"no file matches {path!r}: check the path")
    try:
        columns = pl.scan_parquet(found[0]).collect_schema()
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise SourceError(f"cannot read {found[0]}: {fault}. Is it a Parquet file?") from None
    return schema_from(columns)


def schema_from(columns: Mapping[str, pl.DataType]) -> Schema:
    """The schema of typed columns."""
    fields = []
    for name, dtype in columns.items():
        if isinstance(dtype, pl.Datetime | pl.Date):
            fields.append((name, Field("instant")))
        elif dtype.is_integer():
            fields.append((name, Field("integer")))
        elif dtype.is_float() or dtype.is_decimal():
            fields.append((name, Field("float")))
        elif dtype == pl.Boolean:
            fields.append((name, Field("boolean")))
        else:
            fields.append((name, Field("string")))
    return Schema(tuple(fields))
