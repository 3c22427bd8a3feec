"""Delta Lake as a source: the rows of one version of a table, read once.

Law: the version is chosen when reading begins and kept in the position, so that what is committed meanwhile changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath

import polars as pl

from eventide.connectors.delta.config import check_path, is_installed, library, storage_options
from eventide.connectors.formats.columns import check_arrival, schema_columns
from eventide.connectors.scans import OneLog, ScanReader, own_columns
from eventide.connectors.schemas import schema_of_columns
from eventide.errors import SourceError
from eventide.flow import Position, ReadContext
from eventide.plan import Stream
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
        known = position.get("version")
        version = self.version if known is None else int(known)
        position["version"] = newest(self.path) if version is None else version
        reader = ScanReader(self.name, lambda: scan(self.path, position["version"]), self.schema, context, position)
        reader.arrival = self.arrival
        return OneLog(reader)


def newest(path: str) -> int:
    """The newest version of a table. Raises `SourceError` when it cannot be read."""
    delta = library(SourceError)
    try:
        return int(delta.DeltaTable(path, storage_options=storage_options(path)).version())
    except (OSError, delta.exceptions.DeltaError) as fault:
        raise SourceError(f"cannot read the Delta table {path}: {str(fault).splitlines()[0]}") from None


def scan(path: str, version: int | str | None) -> pl.LazyFrame:
    """The rows of a version."""
    return pl.scan_delta(path, version=version, storage_options=storage_options(path))


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
    text = fspath(path)
    if schema is not None:
        rules = as_schema(schema)
    else:
        rules = schema_of_columns(own_columns(scan(text, newest(text) if version is None else version)))
    return Stream.from_source(DeltaTableRows(text, rules, version, arrival, name))
