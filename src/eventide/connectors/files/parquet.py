"""Parquet files as a source, of this machine or of a store.

Law: rows are read in slices, so memory does not grow with the file; a store that is away is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from eventide.connectors.files.logs import FileLogs, check_settings, files_of, stands_for_many
from eventide.connectors.files.remote import check_address, missing_extra
from eventide.connectors.fingerprints import fingerprint_of
from eventide.connectors.formats.columns import check_arrival, schema_columns
from eventide.connectors.scans import Scanned, ScanReader
from eventide.connectors.schemas import schema_of_columns
from eventide.errors import SourceError
from eventide.flow import Position, ReadContext, is_remote
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
        if self.path == "-":
            raise ValueError("Parquet is read from files only, not from standard input: its end says what is in it")
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

    def reader(self, path: Path, log: str, context: ReadContext, position: Position) -> ScanReader:
        scanned = Scanned(
            str(path), lambda _: _scan(path), distant=is_remote(path), remedy=_OF_STORE if is_remote(path) else _OF_FILE
        )
        return ScanReader(log, scanned, self.schema, context, position, self.arrival)


_OF_FILE = "Is it a Parquet file, and was it left as it was?"
_OF_STORE = "Is it a Parquet file, and was it left as it was? Check that its store answers, and the rights there"
_RETRIES = 1
"""How often Polars itself asks a store again before it says so. What follows is told, and nothing waits for it."""


def _scan(path: Path) -> pl.LazyFrame:
    options: dict[str, object] = {"max_retries": _RETRIES}
    return pl.scan_parquet(str(path), glob=False, storage_options=options if is_remote(path) else None)


def schema_of(path: str) -> Schema:
    """The schema that a Parquet file itself has."""
    found = files_of(path)
    if not found:
        raise SourceError(f"no file matches {path!r}: check the path")
    try:
        columns = _scan(found[0]).collect_schema()
    except (OSError, pl.exceptions.PolarsError) as fault:
        raise SourceError(f"cannot read {found[0]}: {fault}. Is it a Parquet file?") from None
    return schema_of_columns(columns)
