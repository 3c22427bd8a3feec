"""DuckDB as a sink: one table, rows upserted by their identity, a transaction for each commit.

Law: the table holds the last row of each identity; a retraction deletes. What is not committed is not visible.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from eventide.errors import SinkError

if TYPE_CHECKING:
    import duckdb

_TYPES: Mapping[type[pl.DataType], str] = {
    pl.Boolean: "BOOLEAN",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.Float64: "DOUBLE",
    pl.String: "VARCHAR",
    pl.Datetime: "TIMESTAMPTZ",
    pl.Duration: "BIGINT",
}


@dataclass(frozen=True, slots=True)
class DuckDb:
    """A table of a DuckDB file."""

    path: str
    table: str

    @property
    def name(self) -> str:
        return f"duckdb {self.path} table {self.table}"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> DuckDbWriter:
        try:
            import duckdb
        except ImportError:
            raise SinkError('DuckDB is not installed: install "eventide[duckdb]"') from None
        try:
            connection = duckdb.connect(self.path)
        except duckdb.Error as fault:
            raise SinkError(f"cannot open {self.path}: {fault}. Is another process writing to it?") from None
        return DuckDbWriter(connection, self.table, tuple(identity))


class DuckDbWriter:
    """Collects frames and puts them into the table at each commit."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, identity: tuple[str, ...]) -> None:
        self._connection = connection
        self._table = quoted(table)
        self._identity = identity
        self._frames: list[pl.DataFrame] = []
        self._made = False

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def commit(self) -> None:
        if not self._frames:
            return
        rows = _plain(pl.concat(self._frames, how="vertical_relaxed"))
        self._frames = []
        if self._identity:
            rows = rows.unique(list(self._identity), keep="last", maintain_order=True)
        with tempfile.TemporaryDirectory(prefix="eventide-") as folder:
            # a Parquet file between the two needs no further library and keeps every type
            path = Path(folder) / "rows.parquet"
            rows.write_parquet(path)
            self._put(rows, str(path))

    def _put(self, rows: pl.DataFrame, path: str) -> None:
        columns = ", ".join(f"{quoted(name)} {_type(dtype)}" for name, dtype in rows.schema.items())
        key = f", PRIMARY KEY ({', '.join(map(quoted, ('_identity',)))})" if self._identity else ""
        identity = "_identity VARCHAR, " if self._identity else ""
        names = ", ".join(quoted(name) for name in rows.columns)
        connection = self._connection
        connection.execute("BEGIN")
        try:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} ({identity}{columns}{key})")
            connection.execute("CREATE TEMP TABLE _rows AS SELECT * FROM read_parquet(?)", [path])
            self._merge(names, has_op="op" in rows.columns)
            connection.execute("DROP TABLE _rows")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def _merge(self, names: str, *, has_op: bool) -> None:
        if not self._identity:
            self._connection.execute(f"INSERT INTO {self._table} ({names}) SELECT {names} FROM _rows")  # noqa: S608 - names are quoted
            return
        # nulls are values of a key like others, so the identity is one text in which they differ from all texts
        parts = ", ".join(f"{quoted(name)}::VARCHAR" for name in self._identity)
        identity = f"to_json([{parts}])::VARCHAR"
        self._connection.execute(f"DELETE FROM {self._table} WHERE _identity IN (SELECT {identity} FROM _rows)")  # noqa: S608
        kept = "WHERE op = 'upsert'" if has_op else ""
        self._connection.execute(
            f"INSERT INTO {self._table} (_identity, {names}) SELECT {identity}, {names} FROM _rows {kept}"  # noqa: S608
        )

    def close(self) -> None:
        self.commit()
        self._connection.close()

    def abort(self) -> None:
        self._connection.close()


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _plain(rows: pl.DataFrame) -> pl.DataFrame:
    """Durations as microseconds; lists and records as DuckDB has them."""
    lengths = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Duration)]
    return rows.with_columns(pl.col(name).dt.total_microseconds() for name in lengths)


def _type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.List):
        return f"{_type(dtype.inner)}[]"  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        inside = ", ".join(f"{quoted(field.name)} {_type(field.dtype)}" for field in dtype.fields)  # type: ignore[arg-type]
        return f"STRUCT({inside})"
    return _TYPES.get(type(dtype), "BIGINT" if dtype.is_integer() else "VARCHAR")


def write_duckdb(path: str | PathLike[str], table: str) -> DuckDb:
    """A sink that keeps the last row of each window in a table of a DuckDB file."""
    return DuckDb(fspath(path), table)
