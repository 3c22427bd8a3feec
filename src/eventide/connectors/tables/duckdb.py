"""DuckDB as a sink: one table, rows upserted by their identity, a transaction for each commit.

Law: the table holds the last row of each identity; a retraction deletes. What is not committed is not visible.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.kinds import check_kinds
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, SystemDisk
from eventide.plan.given import path_of

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

    def __post_init__(self) -> None:
        if not self.table or "\0" in self.table:
            raise ValueError(f"table={self.table!r} is not the name of a table")

    @property
    def name(self) -> str:
        return f"duckdb {self.path} table {self.table}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return missing_extra()

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> DuckDbWriter:
        return DuckDbWriter(connect(self.path), self, tuple(identity))

    def open_epochs(self, opening: Opening) -> EpochWriter:
        from eventide.connectors.tables.epochs import DuckDbEpochs

        return DuckDbEpochs(connect(self.path), self.table, opening)


def missing_extra() -> str | None:
    """The extra of Eventide that has to be installed for DuckDB; None where it is there."""
    return "duckdb" if find_spec("duckdb") is None else None


def connect(path: str) -> duckdb.DuckDBPyConnection:
    """A connection to a DuckDB file, which is made if it is not there."""
    try:
        import duckdb
    except ImportError:
        raise SinkError('DuckDB is not installed: install "eventide[duckdb]"') from None
    try:
        if not path.startswith(":memory:") and not Path(path).exists():
            _make(Path(path), duckdb)
        return duckdb.connect(path)
    except (duckdb.Error, OSError) as fault:
        raise SinkError(f"cannot open {path}: {fault}. Is another process writing to it?") from None


def _make(path: Path, duckdb: ModuleType) -> None:
    """Make an empty database, whole or not at all: DuckDB cannot open one that it was stopped from making."""
    disk, beside = SystemDisk(), path.with_name(f".{path.name}.making")
    disk.make_folder(path.parent)
    disk.remove(beside)
    duckdb.connect(str(beside)).close()
    disk.rename(beside, path)
    disk.sync(path.parent)


class DuckDbWriter:
    """Collects frames and puts them into the table at each commit."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, sink: DuckDb, identity: tuple[str, ...]) -> None:
        self._connection = connection
        self._sink = sink
        self._table = Table(connection, sink.table, identity)
        self._frames: list[pl.DataFrame] = []

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def commit(self) -> None:
        if not self._frames:
            return
        rows = pl.concat(self._frames, how="vertical_relaxed")
        self._frames = []
        with told(self._sink.name, "Mend that and start again"), transaction(self._connection):
            self._table.put(rows)

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._connection.close()

    def abort(self) -> None:
        self._connection.close()


@contextmanager
def told(name: str, remedy: str) -> Iterator[None]:
    """Faults of DuckDB and of the disk in words."""
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as fault:
        what = " ".join(str(fault).partition("LINE 1")[0].split()).rstrip(".")
        hint = (
            ". Does the table have the columns of this output? If not, give it one of its own."
            if isinstance(fault, duckdb.ProgrammingError)
            else ""
        )
        raise SinkError(f"cannot write to {name}: {what}{hint or '.'} {remedy}") from None


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What is done inside becomes visible whole or not at all."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # a commit that failed has ended the transaction itself
            connection.execute("ROLLBACK")
        raise


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are upserted by their identity, or appended where they have none. `marks` are columns with
    one value for all rows of a `put`.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    identity: tuple[str, ...]

    def put(self, rows: pl.DataFrame, marks: Mapping[str, str | int] | None = None) -> None:
        """Put rows into the table, which is made if it is not there."""
        plain = _plain(rows).with_columns(_constant(name, value) for name, value in (marks or {}).items())
        if self.identity:
            plain = plain.unique(list(self.identity), keep="last", maintain_order=True)
        with tempfile.TemporaryDirectory(prefix="eventide-") as folder:
            # a Parquet file between the two needs no further library and keeps every type
            path = Path(folder) / "rows.parquet"
            plain.write_parquet(path)
            self._make(plain, marks or {})
            self.connection.execute("CREATE TEMP TABLE _rows AS SELECT * FROM read_parquet(?)", [str(path)])
        self._merge(plain.columns)
        self.connection.execute("DROP TABLE _rows")

    def _make(self, rows: pl.DataFrame, marks: Mapping[str, str | int]) -> None:
        columns = ", ".join(f"{quoted(name)} {_type(dtype)}" for name, dtype in rows.schema.items())
        key = ", PRIMARY KEY (_identity)" if self.identity else ""
        identity = "_identity VARCHAR, " if self.identity else ""
        self.connection.execute(f"CREATE TABLE IF NOT EXISTS {quoted(self.table)} ({identity}{columns}{key})")
        for name in marks:
            add = f"ADD COLUMN IF NOT EXISTS {quoted(name)} {_type(rows.schema[name])}"
            self.connection.execute(f"ALTER TABLE {quoted(self.table)} {add}")

    def _merge(self, columns: Sequence[str]) -> None:
        table, names = quoted(self.table), ", ".join(map(quoted, columns))
        if not self.identity:
            self.connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM _rows")  # noqa: S608 - names are quoted
            return
        # nulls are values of a key like others, so the identity is one text in which they differ from all texts
        parts = ", ".join(f"{quoted(name)}::VARCHAR" for name in self.identity)
        identity = f"to_json([{parts}])::VARCHAR"
        self.connection.execute(f"DELETE FROM {table} WHERE _identity IN (SELECT {identity} FROM _rows)")  # noqa: S608
        kept = "WHERE op = 'upsert'" if "op" in columns else ""
        self.connection.execute(
            f"INSERT INTO {table} (_identity, {names}) SELECT {identity}, {names} FROM _rows {kept}"  # noqa: S608
        )


def _constant(name: str, value: str | int) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int64() if isinstance(value, int) else pl.String()).alias(name)


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
    check_kinds(write_duckdb, locals())
    return DuckDb(path_of(path), table)
