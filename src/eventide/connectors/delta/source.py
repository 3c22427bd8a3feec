"""Delta Lake as a source: the rows of one version of a table, read once.

Law: the version is chosen when reading begins and kept in the position, so that what is committed meanwhile changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike

import polars as pl

from eventide.connectors.delta.config import check_path, is_installed, library, storage_options
from eventide.connectors.formats.columns import check_arrival, schema_columns
from eventide.connectors.kinds import check_kinds
from eventide.connectors.one_log import OneLog
from eventide.connectors.patience import source_fault
from eventide.connectors.scans import Scanned, ScanReader, first_line, own_columns
from eventide.connectors.schemas import schema_of_columns
from eventide.errors import SourceError
from eventide.flow import Position, ReadContext, is_remote
from eventide.plan import Stream
from eventide.plan.given import path_of
from eventide.semantics.schema import Schema, SchemaLike, as_schema


@dataclass(frozen=True, slots=True)
class DeltaTableRows:
    """The rows of a Delta table, as one log: of `version`, or of the newest one when the run begins."""

    path: str
    schema: Schema
    version: int | None = None
    arrival: str | None = None
    name: str = ""
    single_log: bool = True
    bounded: bool = True

    def __post_init__(self) -> None:
        check_path(self.path)
        check_arrival(self.arrival, self.schema)
        if not self.name:
            object.__setattr__(self, "name", self.path.rstrip("/").rpartition("/")[2])

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "delta"

    def fingerprint(self) -> str:
        return f"{self.path}:{self.version if self.version is not None else newest(self.path)}"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> OneLog:
        position = dict(positions.get(self.name, {}))
        if position.get("version") is None:
            position["version"] = self.version
        table = Scanned(
            f"the Delta table {self.path}",
            lambda version: scan(self.path, version),
            lambda: newest(self.path),
            is_remote(self.path),
        )
        return OneLog(ScanReader(self.name, table, self.schema, context, position, self.arrival))


def newest(path: str) -> int:
    """The newest version of a table. Raises `SourceError` when it cannot be read."""
    delta = library(SourceError)
    try:
        return int(delta.DeltaTable(path, storage_options=_impatient(path)).version())
    except (OSError, delta.exceptions.DeltaError) as fault:
        text = f"cannot read the Delta table {path}: {first_line(fault)}. {_remedy(path)}"
        raise source_fault(text, fault, distant=is_remote(path)) from None


def scan(path: str, version: int | None) -> pl.LazyFrame:
    """The rows of a version."""
    delta = library(SourceError)
    try:
        table = delta.DeltaTable(path, version=version, storage_options=_impatient(path))
    except delta.exceptions.DeltaError as fault:
        which = "" if version is None else f"version {version} of "
        raise SourceError(f"cannot read {which}the Delta table {path}: {first_line(fault)}. {_remedy(path)}") from None
    options: dict[str, object] = {**storage_options(path), "max_retries": 1}
    return pl.scan_delta(table, storage_options=options if is_remote(path) else None)


def _remedy(path: str) -> str:
    where = "that its store answers, and the rights there" if is_remote(path) else "the path and its permissions"
    return f"Is there a table with that version? Check {where}"


def _impatient(path: str) -> dict[str, str]:
    """Settings with which the library asks a store once more and then says so, instead of trying for minutes."""
    return storage_options(path) | ({"max_retries": "1"} if is_remote(path) else {})


def read_delta(
    path: str | PathLike[str],
    *,
    schema: SchemaLike | None = None,
    version: int | None = None,
    arrival: str | None = None,
    name: str = "",
) -> Stream:
    """A stream of the rows of a Delta table, in a folder or at an address such as `s3://bucket/doses`.

    Read is one version: `version`, or the newest one when the run begins; a run that goes on from its state reads the
    same one on. Without `schema` the table's own is taken. The order of rows is that of the table's files.
    """
    check_kinds(read_delta, locals())
    text = path_of(path)
    if schema is not None:
        rules = as_schema(schema)
    else:
        rules = schema_of_columns(own_columns(scan(text, newest(text) if version is None else version)))
    return Stream.from_source(DeltaTableRows(text, rules, version, arrival, name))
