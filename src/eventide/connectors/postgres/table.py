"""A table of PostgreSQL whose rows are upserted by their identity, or appended where they have none.

Law: the table holds the last row of each identity; a retraction deletes. All of a `put` happens in the transaction of
whoever calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from psycopg import Connection, sql

from eventide.connectors.postgres.config import Marks, TableName
from eventide.connectors.postgres.rows import arrived, as_copy_text, names, staged_type, storable, type_of_column
from eventide.errors import SinkError

_STAGE = sql.Identifier("pg_temp", "_rows")
_PIECE_BYTES = 1 << 20
_MARKED: Mapping[str, pl.DataType] = {"_run": pl.String(), "_epoch": pl.Int64()}


@dataclass(frozen=True)
class Table:
    """A table, the columns that an output has, and those that identify a row. `create` makes it if it is not there."""

    name: TableName
    columns: Mapping[str, pl.DataType]
    identity: tuple[str, ...]
    create: bool
    marked: bool
    """True when appended rows carry `_run` and `_epoch`."""

    @property
    def held(self) -> dict[str, pl.DataType]:
        """The columns that the table has: all but `op`, where rows are upserted, since what it says has been done."""
        if self.identity:
            return {name: dtype for name, dtype in self.columns.items() if name != "op"}
        return {**self.columns, **(_MARKED if self.marked or self.create else {})}

    def prepare(self, connection: Connection[Any]) -> None:
        """Make the table if that is asked for, and see that it has what the rows need."""
        if self.create:
            self._make(connection)
        found = self._found(connection)
        if not found:
            raise SinkError(
                f"there is no table {self._text} in PostgreSQL: make it, or (not on Flink) say "
                "write_postgres(..., create=True)"
            )
        lacking = {name: dtype for name, dtype in self.held.items() if name not in found}
        missing = [f'"{name}" {type_of_column(dtype)}' for name, dtype in lacking.items()]
        if missing:
            raise SinkError(
                f"the table {self._text} of PostgreSQL lacks columns of this output: add {', '.join(missing)}, or "
                "leave them out of the output with select"
            )
        if self.identity and not self._has_identity(connection):
            raise SinkError(
                f"the table {self._text} of PostgreSQL has no unique index on ({', '.join(self.identity)}), by which "
                "rows are upserted: add CREATE UNIQUE INDEX ... (...) NULLS NOT DISTINCT, or a primary key on them"
            )

    @property
    def _text(self) -> str:
        return self.name.table if self.name.schema is None else f"{self.name.schema}.{self.name.table}"

    def _make(self, connection: Connection[Any]) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_of_column(dtype)))
            for name, dtype in self.held.items()
        )
        unique: sql.Composable = sql.SQL("")
        if self.identity:
            unique = sql.SQL(", UNIQUE NULLS NOT DISTINCT ({})").format(names(self.identity))
        made_once(connection, self.name, sql.SQL("{}{}").format(columns, unique))

    def _found(self, connection: Connection[Any]) -> set[str]:
        rows = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            [self.name.identifier().as_string(connection)],
        )
        return {str(row[0]) for row in rows}

    def _has_identity(self, connection: Connection[Any]) -> bool:
        rows = connection.execute(
            "SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
            "AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) WHERE i.indrelid = to_regclass(%s) AND i.indisunique "
            "AND i.indpred IS NULL AND i.indexprs IS NULL GROUP BY i.indexrelid",
            [self.name.identifier().as_string(connection)],
        )
        return any(set(row[0]) == set(self.identity) for row in rows)

    def put(self, connection: Connection[Any], rows: pl.DataFrame, marks: Marks | None = None) -> None:
        """Put rows into the table."""
        ready = storable(rows.select(list(self.columns)))
        if marks:
            ready = ready.with_columns(pl.lit(value, dtype=_MARKED[name]).alias(name) for name, value in marks.items())
        if self.identity:
            ready = ready.unique(list(self.identity), keep="last", maintain_order=True)
        types = {name: {**self.columns, **_MARKED}[name] for name in ready.columns}
        self._stage(connection, ready, types)
        if self.identity and "op" in ready.columns:
            self._delete(connection, ready.filter(pl.col("op") == "retract"), types)
        self._insert(connection, [name for name in ready.columns if name in self.held], types)
        connection.execute(sql.SQL("DROP TABLE {}").format(_STAGE))

    def _stage(self, connection: Connection[Any], rows: pl.DataFrame, types: Mapping[str, pl.DataType]) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(staged_type(dtype))) for name, dtype in types.items()
        )
        connection.execute(sql.SQL("CREATE TEMP TABLE _rows ({}) ON COMMIT DROP").format(columns))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(_STAGE, names(list(types)))
        data = memoryview(as_copy_text(rows))
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            for start in range(0, len(data), _PIECE_BYTES):
                copy.write(data[start : start + _PIECE_BYTES])

    def _delete(self, connection: Connection[Any], gone: pl.DataFrame, types: Mapping[str, pl.DataType]) -> None:
        """Delete by identity. Rows with nulls in the same places go together: so the index can be used for all."""
        nulls = gone.select(pl.col(list(self.identity)).is_null()).unique(maintain_order=True)
        for pattern in nulls.iter_rows(named=True):
            where = [sql.SQL("_rows.{} = 'retract'").format(sql.Identifier("op"))]
            for name, is_null in pattern.items():
                theirs, ours = sql.Identifier("_table", name), sql.Identifier("_rows", name)
                form = "{} IS NULL AND {} IS NULL" if is_null else "{} = {}"
                where.append(sql.SQL(form).format(theirs, ours if is_null else arrived(name, types[name])))
            connection.execute(
                sql.SQL("DELETE FROM {} AS _table USING {} AS _rows WHERE {}").format(
                    self.name.identifier(), _STAGE, sql.SQL(" AND ").join(where)
                )
            )

    def _insert(self, connection: Connection[Any], columns: Sequence[str], types: Mapping[str, pl.DataType]) -> None:
        made = sql.SQL(", ").join(arrived(name, types[name]) for name in columns)
        kept = sql.SQL(" WHERE _rows.op IS DISTINCT FROM 'retract'" if self.identity and "op" in types else "")
        conflict = self._conflict([name for name in columns if name not in self.identity])
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS _rows{}{}").format(
                self.name.identifier(), names(columns), made, _STAGE, kept, conflict
            )
        )

    def _conflict(self, others: Sequence[str]) -> sql.Composable:
        if not self.identity:
            return sql.SQL("")
        if not others:
            return sql.SQL(" ON CONFLICT ({}) DO NOTHING").format(names(self.identity))
        changed = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("excluded", name)) for name in others
        )
        return sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {}").format(names(self.identity), changed)

    def take_back(self, connection: Connection[Any], run: str, epoch: int) -> None:
        """Delete the rows that epochs behind this one appended."""
        connection.execute(
            sql.SQL("DELETE FROM {} WHERE _run = %s AND _epoch > %s").format(self.name.identifier()), [run, epoch]
        )


def made_once(connection: Connection[Any], name: TableName, columns: sql.Composable) -> None:
    """Make a table if it is not there, one maker at a time: two at once would disturb each other."""
    text = name.identifier().as_string(connection)
    if _there(connection, text):
        return
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"eventide {text}"])
    if not _there(connection, text):
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name.identifier(), columns))


def _there(connection: Connection[Any], text: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s)", [text]).fetchone()
    return found is not None and found[0] is not None
