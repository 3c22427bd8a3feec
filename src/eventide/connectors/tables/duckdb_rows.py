"""DuckDB as a source: the rows of a table or of a query, read once.

Law: the database is opened for reading only and closed again at once; the order of rows is that of the table, or the
one that the query asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import polars as pl

from eventide.connectors.fingerprints import fingerprint_of
from eventide.connectors.formats.columns import conform, schema_columns
from eventide.connectors.kinds import check_kinds
from eventide.connectors.tables.duckdb import missing_extra, quoted
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogReader, Position, ReadContext
from eventide.plan import Stream
from eventide.plan.given import path_of
from eventide.semantics.schema import Schema, SchemaLike, as_schema


@dataclass(frozen=True, slots=True)
class DuckDbRows:
    """A table of a DuckDB file, or the answer of a query to it, as one log."""

    path: str
    schema: Schema
    table: str | None = None
    query: str | None = None
    arrival: str | None = None
    name: str = ""
    single_log: bool = True
    bounded: bool = True

    def __post_init__(self) -> None:
        if (self.table is None) == (self.query is None):
            raise ValueError('give either table="sites" or query="SELECT ...", and not both')
        if self.arrival is not None and self.arrival not in self.schema.names:
            raise ValueError(f"arrival={self.arrival!r} is not a column of the schema: add it, or leave arrival= out")
        if not self.name:
            object.__setattr__(self, "name", self.table or Path(self.path).name)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return missing_extra()

    def fingerprint(self) -> str:
        return fingerprint_of([Path(self.path)])

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> DuckDbLogs:
        start = int(positions.get(self.name, {}).get("offset") or 0)
        return DuckDbLogs([DuckDbReader(self, context, start)])


@dataclass
class DuckDbLogs:
    """The one log of a table."""

    readers: list[LogReader]
    may_grow: bool = False
    given: list[LogReader] = field(default_factory=list)

    def discover(self) -> Sequence[LogReader]:
        new, self.readers = self.readers, []
        self.given += new
        return new

    def close(self) -> None:
        for reader in self.given:
            reader.close()


class DuckDbReader:
    """Hands out the rows of a table that was read whole."""

    def __init__(self, source: DuckDbRows, context: ReadContext, start: int) -> None:
        self.log = source.name
        self._source = source
        self._context = context
        self._rows = _read(source)
        self._next = start

    @property
    def finished(self) -> bool:
        return self._next >= self._rows.height

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        part = self._rows.slice(self._next, rows_max)
        offsets = pl.int_range(self._next, self._next + part.height, dtype=pl.Int64).alias(OFFSET)
        now = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        self._next += part.height
        rows, refused = conform(part.with_columns(offsets, now), self._source.schema)
        if self._source.arrival is not None:
            rows = rows.with_columns(pl.col(self._source.arrival).alias(ARRIVAL))
        return Batch(self.log, rows, refused)

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._next = self._rows.height


def _read(source: DuckDbRows) -> pl.DataFrame:
    try:
        import duckdb
    except ImportError:
        raise SourceError('DuckDB is not installed: install "eventide[duckdb]"') from None
    try:
        with duckdb.connect(source.path, read_only=True) as connection:
            asked = source.query or f"SELECT * FROM {quoted(source.table or '')}"  # noqa: S608 - the name is quoted
            rows = pl.DataFrame(connection.sql(asked))
    except duckdb.Error as fault:
        raise SourceError(f"cannot read {source.name} from {source.path}: {fault}") from None
    named = {rule.path: name for name, rule in source.schema.fields if rule.path}
    return rows.rename({old: new for old, new in named.items() if old in rows.columns})


def read_duckdb(
    path: str | PathLike[str],
    *,
    schema: SchemaLike,
    table: str | None = None,
    query: str | None = None,
    arrival: str | None = None,
    name: str = "",
) -> Stream:
    """A stream of the rows of a DuckDB table, or of a query's answer, as they are when the run begins.

    Give `table` or `query`. Rows that break the schema go to `dead_letters`. Mostly for `Stream.enrich`.
    """
    check_kinds(read_duckdb, locals())
    return Stream.from_source(DuckDbRows(path_of(path), as_schema(schema), table, query, arrival, name))
