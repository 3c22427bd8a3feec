"""A table of Cassandra whose rows are upserted by their identity, or appended under run, output, epoch and row.

Law: every value is bound to a prepared statement and every name is quoted; each change says its time itself (`USING
TIMESTAMP`), so the newer stamp wins whenever it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from eventide.connectors.cassandra.config import driver
from eventide.connectors.cassandra.rows import (
    NULLS,
    bound,
    fits,
    has_parts_of_milliseconds,
    storable,
    type_of_column,
)
from eventide.connectors.stores import MARKED, Changes, held, parts
from eventide.errors import SinkError

_BYTES_AT_ONCE = 16 * 2**20
_REQUESTS_MOST = 128
_WINDOW = "window_start"


def quoted(name: str) -> str:
    """A name in CQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Table:
    """A table, the columns that an output has, and those that identify a row. `create` makes it if it is not there."""

    keyspace: str
    table: str
    columns: Mapping[str, pl.DataType]
    identity: tuple[str, ...]
    create: bool

    @property
    def name(self) -> str:
        """The table's name in CQL."""
        return f"{quoted(self.keyspace)}.{quoted(self.table)}"

    @property
    def held(self) -> dict[str, pl.DataType]:
        """The columns that the table has."""
        own = held(self.columns, self.identity)
        return {**own, NULLS: pl.String()} if self.identity else own

    @property
    def partition(self) -> tuple[str, ...]:
        """The columns by which rows lie together: the keys of windows, or run, output and epoch."""
        if not self.identity:
            return tuple(MARKED)[:-1]
        keys = self.identity[: self.identity.index(_WINDOW)] if _WINDOW in self.identity else self.identity
        return keys or self.identity[:1]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return (*self.identity, NULLS) if self.identity else tuple(MARKED)

    def statement(self) -> str:
        """How the table is made."""
        columns = ", ".join(f"{quoted(name)} {type_of_column(dtype)}" for name, dtype in self.held.items())
        partition = ", ".join(map(quoted, self.partition))
        rest = "".join(f", {quoted(name)}" for name in self.key if name not in self.partition)
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}, PRIMARY KEY (({partition}){rest}))"

    def prepare(self, session: Any) -> dict[str, str]:
        """Make the table if that is asked for, and see that it has what the rows need; gives the types it has."""
        if self.create:
            session.execute(self.statement())
        found = found_table(session, self.keyspace, self.table)
        if found is None:
            raise SinkError(
                f"there is no table {self.table} in keyspace {self.keyspace} of Cassandra: make it by "
                f"{self.statement()}, or say write_cassandra(..., create=True)"
            )
        types = {name: str(column.cql_type) for name, column in found.columns.items()}
        wrong = [
            f"{quoted(name)} {type_of_column(dtype)}"
            for name, dtype in self.held.items()
            if not fits(types.get(name, ""), dtype)
        ]
        if wrong:
            raise SinkError(
                f"the table {self.table} of Cassandra lacks columns of this output, or has them with other types: it "
                f"needs {', '.join(wrong)}. Change the table, or leave them out of the output with select"
            )
        if {column.name for column in found.primary_key} != set(self.key):
            raise SinkError(
                f"the primary key of the table {self.table} of Cassandra does not identify a row of this output: it "
                f"must be of the columns {', '.join(map(quoted, self.key))}, as in {self.statement()}"
            )
        return types


def found_table(session: Any, keyspace: str, table: str) -> Any:
    """What the cluster says about a table; None when there is none."""
    metadata = session.cluster.metadata.keyspaces.get(keyspace)
    if metadata is None:
        raise SinkError(
            f"there is no keyspace {keyspace} in Cassandra: make it by CREATE KEYSPACE, with the replication that the "
            "rows need"
        )
    return metadata.tables.get(table)


@dataclass
class Filling:
    """Statements prepared in one session to change the rows of a table."""

    session: Any
    table: Table
    types: Mapping[str, str]

    def __post_init__(self) -> None:
        names = list(self.table.held)
        marks = ", ".join("?" * len(names))
        into = f"{self.table.name} ({', '.join(map(quoted, names))}) VALUES ({marks})"
        self._upsert = idempotent(self.session, f"INSERT INTO {into} USING TIMESTAMP ?")
        self._delete = self._deleting(self.table.key)
        self._delete_partition = None if self.table.identity else self._deleting(self.table.partition)

    def _deleting(self, key: Sequence[str]) -> Any:
        where = " AND ".join(f"{quoted(name)} = ?" for name in key)
        text = f"DELETE FROM {self.table.name} USING TIMESTAMP ? WHERE {where}"  # noqa: S608 - names are quoted
        return idempotent(self.session, text)

    def put(self, changes: Changes, stamp: int) -> None:
        """Change rows, some at a time; returns when all is confirmed."""
        for part in parts(changes.kept):
            rows = self._storable(part).select(list(self.table.held))
            self._do(self._upsert, rows, lambda row: (*row, stamp))
        for part in parts(changes.gone):
            rows = self._storable(part).select(list(self.table.key))
            self._do(self._delete, rows, lambda row: (stamp, *row))

    def take_back(self, marks: Sequence[str], epochs: range, stamp: int) -> None:
        """Delete the rows that epochs appended."""
        for epoch in epochs:
            self.session.execute(self._delete_partition, (stamp, *marks, epoch))

    def _storable(self, rows: pl.DataFrame) -> pl.DataFrame:
        keys = rows.select(self.table.identity)
        if (cut := has_parts_of_milliseconds(keys, self.types)) is not None:
            raise SinkError(
                f"{cut} identifies rows and has parts of milliseconds, but the table {self.table.table} of Cassandra "
                f"holds it as timestamp, which would make one row of several: make the column bigint (microseconds)"
            )
        return storable(rows, self.types, self.table.identity)

    def _do(self, statement: Any, rows: pl.DataFrame, order: Any) -> None:
        cassandra = driver()
        each = max(1, int(rows.estimated_size()) // max(rows.height, 1))
        cassandra.concurrent.execute_concurrent_with_args(
            self.session,
            statement,
            [order(row) for row in bound(rows, self.types, cassandra.util.Date)],
            concurrency=max(1, min(_REQUESTS_MOST, _BYTES_AT_ONCE // each)),
            raise_on_first_error=True,
        )


def idempotent(session: Any, text: str) -> Any:
    """A prepared statement that may be sent again."""
    prepared = session.prepare(text)
    prepared.is_idempotent = True
    return prepared
