"""Parquet files as a source.

Law: rows are read in slices, so memory does not grow with the file; types are brought to those of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from eventide.connectors.files.logs import FileLogs, check_settings, files_of, stands_for_many
from eventide.connectors.files.remote import check_address, missing_extra
from eventide.connectors.fingerprints import fingerprint_of
from eventide.connectors.formats.columns import check_arrival, conform, schema_columns
from eventide.connectors.schemas import schema_of_columns
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, Position, ReadContext
from eventide.semantics.schema import Schema


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """Parquet files, each a log or all as one. A followed folder gives files as they appear in it, each whole."""

    path: str
    schema: Schema
    arrival: str | None = None
    name: str = ""
    follow: bool = False
    one_log: bool = False

    def __post_init__(self) -> None:
        check_arrival(self.arrival, self.schema)
        check_settings(follow=self.follow, one_log=self.one_log)
        check_address(self.path)
        if self.follow and not stands_for_many(self.path):
            raise ValueError("follow=True is for a folder or a pattern of Parquet files: one Parquet file cannot grow")
        if not self.name:
            object.__setattr__(self, "name", Path(self.path).name)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def single_log(self) -> bool:
        return self.one_log or not stands_for_many(self.path)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return missing_extra(self.path)

    def fingerprint(self) -> str:
        return fingerprint_of(files_of(self.path))

    @property
    def bounded(self) -> bool:
        return not self.follow

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> FileLogs:
        return FileLogs(self, context, positions)

    def reader(self, path: Path, log: str, context: ReadContext, position: Position) -> ParquetReader:
        return ParquetReader(self, path, log, context, position)


class ParquetReader:
    """Reads one Parquet file in slices."""

    def __init__(self, source: ParquetFiles, path: Path, log: str, context: ReadContext, position: Position) -> None:
        self.log = log
        self._source = source
        self._context = context
        self._offset = int(position.get("offset") or 0)
        try:
            self._scan = pl.scan_parquet(str(path), glob=False)
            self._rows = int(self._scan.select(pl.len()).collect().item())
            there = self._scan.collect_schema().names()
        except (OSError, pl.exceptions.PolarsError) as fault:
            raise SourceError(f"cannot read {path}: {fault}. Is it a Parquet file?") from None
        if self._offset > self._rows:
            raise SourceError(
                f"{path} has {self._rows:,} rows and reading was to go on at {self._offset:,}: it was replaced"
            )
        wanted = {name: rule.path or name for name, rule in source.schema.fields}
        made = [pl.col(path).alias(name) for name, path in wanted.items() if path in there]
        others = [name for name in there if name not in wanted.values() and name not in wanted]
        self._scan = self._scan.select(*made, *(others if source.schema.unknown != "drop" else ()))

    @property
    def finished(self) -> bool:
        return self._offset >= self._rows

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        try:
            raw = self._scan.slice(self._offset, rows_max).collect()
        except (OSError, pl.exceptions.PolarsError) as fault:
            raise SourceError(
                f"{self.log}: cannot read on at row {self._offset:,}: {fault}. Was it replaced or cut, or is the store "
                "away? Mend that and start again"
            ) from None
        offsets = pl.int_range(self._offset, self._offset + raw.height, dtype=pl.Int64).alias(OFFSET)
        now = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        self._offset += raw.height
        return Batch(self.log, *conform(raw.with_columns(offsets, now), self._source.schema, self._source.arrival))

    def position(self) -> Position:
        return {"offset": self._offset}

    def close(self) -> None:
        self._offset = self._rows


def schema_of(path: str) -> Schema:
    """The schema that a Parquet file itself has."""
    found = files_of(path)
    if not found:
        raise SourceError(f"no file matches {path!r}: check the path")
    try:
        columns = pl.scan_parquet(str(found[0]), glob=False).collect_schema()
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise SourceError(f"cannot read {found[0]}: {fault}. Is it a Parquet file?") from None
    return schema_of_columns(columns)
