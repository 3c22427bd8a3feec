"""PostgreSQL as a bounded source: the rows of a table or a query in a stated order.

Law: the order is total, or the run is stopped; a row's offset is its number in that order. A run that goes on looks
whether the last row that it had read still stands at its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from eventide.connectors.formats.columns import check_arrival, conform, schema_columns
from eventide.connectors.intake import Intake
from eventide.connectors.kinds import check_kinds
from eventide.connectors.one_log import OneLog
from eventide.connectors.postgres.config import Server, TableName, Unreachable, driver, is_installed, plain
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, Position, ReadContext
from eventide.plan import Stream
from eventide.semantics.schema import Schema, SchemaLike, as_schema

if TYPE_CHECKING:
    from psycopg import Connection, ServerCursor, sql

_ROWS_FIRST = 256
_ROWS_MOST = 20_000
_FETCH_BYTES = 4 * 2**20
_ORDER = "_order_{}"
_LOOK_US = 1_000_000
_COUNTED = (
    "SELECT oid, relfilenode, pg_stat_get_tuples_inserted(oid), pg_stat_get_tuples_updated(oid), "
    "pg_stat_get_tuples_deleted(oid) FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'r'"
)
_WAITS_S = (0.1, 0.5, 1, 2, 4, 8, 8, 8)


@dataclass(frozen=True, slots=True)
class PostgresRows:
    """The rows of a table or a query, ordered by columns that are unique together."""

    server: Server
    schema: Schema
    order_by: tuple[str, ...]
    table: str | None = None
    query: str | None = None
    arrival: str | None = None
    name: str = ""
    single_log: bool = field(default=True, init=False)
    bounded: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if (self.table is None) == (self.query is None):
            raise ValueError('say what to read, once: table="schema.table" or query="SELECT ..."')
        if not self.order_by:
            raise ValueError('order_by= names no column: name those that put the rows in one order, such as "id"')
        if self.table is not None:
            TableName.of(self.table)
        if self.schema.unknown != "drop":
            raise ValueError(f'unknown="{self.schema.unknown}" is for text: a table has the columns of the schema')
        check_arrival(self.arrival, self.schema)
        if not self.name:
            object.__setattr__(self, "name", self.table or "query")

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "postgres"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> OneLog:
        driver(SourceError)
        return OneLog(PostgresReader(self, context, positions.get(self.name, {})))


@dataclass(frozen=True, slots=True)
class PostgresTable(PostgresRows):
    """The rows of a table, of which the server tells when they change."""

    looks_every_us: int = field(default=_LOOK_US, init=False)

    def fingerprint(self) -> str:
        """The table's file and how many rows were inserted, changed and deleted, as the server counts. Raises
        `SourceError` when it cannot be asked.
        """
        psycopg = driver(SourceError)
        try:
            with self.server.connect(SourceError) as connection:
                name = TableName.of(str(self.table)).identifier().as_string(connection)
                found = connection.execute(_COUNTED, [name]).fetchone()
        except Unreachable as fault:
            raise fault.told from None
        except psycopg.Error as fault:
            raise SourceError(f"cannot look at {self.name} of PostgreSQL: {plain(fault)}") from None
        if found is None:
            raise SourceError(f"{self.name} of PostgreSQL is no table that counts its changes: use refresh=every(...)")
        return ",".join(map(str, found))


class PostgresReader:
    """Reads what a thread fetches."""

    def __init__(self, source: PostgresRows, context: ReadContext, position: Position) -> None:
        self.log = source.name
        self._source = source
        self._context = context
        self._next = int(position.get("offset") or 0)
        self._last = str(position["last"]) if position.get("last") is not None else None
        self._left: pl.DataFrame | None = None
        self._intake: Intake[pl.DataFrame] = Intake(context.wake)
        draw = Draw(source, self._intake, self._next, self._last)
        self._intake.start(draw.run, source.name)

    @property
    def finished(self) -> bool:
        return self._left is None and self._intake.finished

    def read(self, rows_max: int) -> Batch | None:
        raw = self._left if self._left is not None else self._intake.take()
        if raw is None:
            return None
        raw, left = raw.head(rows_max), raw.slice(rows_max)
        self._left = left if left.height else None
        offsets = pl.int_range(self._next, self._next + raw.height, dtype=pl.Int64).alias(OFFSET)
        arrived = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        self._next += raw.height
        self._last = _key(raw, len(self._source.order_by), -1)
        values = raw.select(self._source.schema.names)
        rows, refused = conform(values.with_columns(offsets, arrived), self._source.schema, self._source.arrival)
        return Batch(self.log, rows, refused)

    def position(self) -> Position:
        return {"offset": self._next, "last": self._last}

    def close(self) -> None:
        self._intake.close()


def _key(raw: pl.DataFrame, width: int, row: int) -> str:
    """The values by which a row is ordered, as JSON text."""
    return json.dumps([raw.get_column(_ORDER.format(number))[row] for number in range(width)], ensure_ascii=False)


@dataclass
class Draw:
    """Fetches the rows through a server-side cursor, in a thread of its own, from row number `start` on."""

    source: PostgresRows
    intake: Intake[pl.DataFrame]
    start: int
    last: str | None

    def run(self) -> None:
        """Fetch all. When the connection breaks it goes on behind the last row fetched."""
        psycopg = driver(SourceError)
        waits = iter(_WAITS_S)
        while True:
            before = self.start
            try:
                self._fetch_all()
                return
            except Unreachable as fault:
                wait_s = None if fault.is_refusal else next(waits, None)
                told = fault.told
            except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
                waits = iter(_WAITS_S) if self.start > before else waits
                wait_s = next(waits, None)
                told = SourceError(f"PostgreSQL broke off reading {self.source.name}: {plain(fault)}")
            except psycopg.Error as fault:
                raise SourceError(
                    f"cannot read {self.source.name} from PostgreSQL: {plain(fault)}. Check its name and schema, and "
                    "the right to read it"
                ) from None
            if wait_s is None:
                raise told from None
            if self.intake.wait_closed(wait_s):
                return

    def _fetch_all(self) -> None:
        from psycopg import IsolationLevel

        with self.source.server.connect(SourceError) as connection:
            connection.read_only = True
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            query = self._query(connection)
            cursor = connection.cursor("eventide_rows")
            try:
                with cursor:
                    cursor.execute(query)
                    for part in self._parts(cursor):
                        self._check_ties(part)
                        self.last = _key(part, len(self.source.order_by), -1)
                        self.start += part.height
                        self.intake.put(part, part.height, int(part.estimated_size()))
            finally:
                cursor.close()  # closing asks the server: where that broke off, the cursor is still open here

    def _parts(self, cursor: ServerCursor[Any]) -> Iterator[pl.DataFrame]:
        """Parts of the rows behind the start, as text, each of a few megabytes."""
        columns = [*self.source.schema.names, *(_ORDER.format(n) for n in range(len(self.source.order_by)))]
        wanted = _ROWS_FIRST
        first = bool(self.start)
        while rows := cursor.fetchmany(wanted):
            part = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String()), orient="row")
            size = int(part.estimated_size())
            wanted = max(1, min(_ROWS_MOST, wanted * 2, wanted * _FETCH_BYTES // max(size, 1)))
            if first:
                self._check_place(part)
                part, first = part.slice(1), False
            if part.height:
                yield part
        if first:
            raise self._moved("there are fewer rows now")

    def _check_place(self, part: pl.DataFrame) -> None:
        """The row in front of the start must be the one that was read last."""
        there = _key(part, len(self.source.order_by), 0)
        if self.last is not None and there != self.last:
            raise self._moved(f"row {self.start:,} was {self.last}, now it is {there}")

    def _moved(self, what: str) -> SourceError:
        return SourceError(
            f"{self.source.name} of PostgreSQL has changed in front of the {self.start:,} rows that were read: {what}. "
            "Order by a column that only grows, or begin anew with another state folder"
        )

    def _check_ties(self, part: pl.DataFrame) -> None:
        """Rows that nothing orders could change places: then a row number says nothing."""
        width = len(self.source.order_by)
        keys = part.select(_ORDER.format(number) for number in range(width))
        same = keys.select(pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))).to_series()
        same = same.set(pl.int_range(keys.height, eager=True) == 0, self.last == _key(part, width, 0))
        if same.any():
            at = int(same.arg_max() or 0)
            raise SourceError(
                f"rows {self.start + at:,} and {self.start + at + 1:,} of {self.source.name} have the same "
                f"{', '.join(self.source.order_by)}: {_key(part, width, at)}. Name a further column in order_by= that "
                "tells them apart"
            )

    def _query(self, connection: Connection[Any]) -> sql.Composed:
        """The schema's columns and those of the order as text, from one row in front of the start on."""
        from psycopg import sql

        rows = self._rows()
        fields = {name: rule.path or name for name, rule in self.source.schema.fields}
        types = self._types(connection, rows, [*fields.values(), *self.source.order_by])
        nested = {name for name, rule in self.source.schema.fields if rule.type in ("list", "record")}
        chosen = [_as_text(column, types[column], name in nested) for name, column in fields.items()]
        chosen += [_as_text(column, types[column], False) for column in self.source.order_by]
        order = sql.SQL(", ").join(
            sql.SQL("_q.{} NULLS LAST").format(sql.Identifier(name)) for name in self.source.order_by
        )
        return sql.SQL("SELECT {} FROM {} AS _q ORDER BY {} OFFSET {}").format(
            sql.SQL(", ").join(chosen), rows, order, sql.Literal(max(self.start - 1, 0))
        )

    def _rows(self) -> sql.Composable:
        from psycopg import sql

        if self.source.table is not None:
            return TableName.of(self.source.table).identifier()
        text = str(self.source.query).strip().rstrip(";")
        return sql.SQL("({}\n)").format(sql.SQL(text))  # the user's own query, on the user's account

    def _types(self, connection: Connection[Any], rows: sql.Composable, wanted: Sequence[str]) -> dict[str, int]:
        from psycopg import sql

        asked = connection.execute(sql.SQL("SELECT * FROM {} AS _q LIMIT 0").format(rows))
        types = {column.name: column.type_code for column in asked.description or ()}
        missing = [name for name in dict.fromkeys(wanted) if name not in types]
        if missing:
            raise SourceError(
                f"{self.source.name} of PostgreSQL has no column {', '.join(map(repr, missing))}: it has "
                f"{', '.join(types)}. Mend the schema, with path= where the names differ, or order_by="
            )
        return types


_TIMESTAMP, _TIMESTAMPTZ = 1114, 1184
_TEXTS = (25, 1042, 1043)


def _as_text(column: str, type_code: int, nested: bool) -> sql.Composable:
    """A column as text that the schema's rules read: instants in ISO 8601 where that can be, arrays as JSON."""
    from psycopg import sql

    name = sql.Identifier("_q", column)
    if nested and type_code not in _TEXTS:
        return sql.SQL("to_json({})::text").format(name)
    if type_code in (_TIMESTAMP, _TIMESTAMPTZ):
        zone = '"Z"' if type_code == _TIMESTAMPTZ else ""
        form = sql.Literal('YYYY-MM-DD"T"HH24:MI:SS.US' + zone)
        return sql.SQL(
            "CASE WHEN {c} >= '0001-01-01' AND {c} < '9999-12-31' THEN to_char({c}, {f}) ELSE {c}::text END"
        ).format(c=name, f=form)
    return sql.SQL("{}::text").format(name)


def read_postgres(  # noqa: PLR0913 - settings of a table, each with a default
    table: str | None = None,
    *,
    schema: SchemaLike,
    order_by: str | Sequence[str],
    query: str | None = None,
    dsn: str | None = None,
    env: str | None = None,
    arrival: str | None = None,
    name: str = "",
) -> Stream:
    """A stream of the rows of a table, or of a query, of PostgreSQL: those that are there when the run begins.

    `order_by` names the columns that put the rows in one order; together they must be unique, else the run stops with
    `SourceError`. The server is named as in `write_postgres`. A column of the schema stands under its own name, or
    under `path=`. `arrival` names the column of arrival times; without it a row arrives when it is read. Rows that
    break the schema go to `dead_letters`. A query runs in a read-only transaction.

    >>> doses = read_postgres("doses", schema={"id": int, "dose": float}, order_by="id", dsn="dbname=air")
    >>> doses.plan.inputs[0].source.name
    'doses'
    """
    check_kinds(read_postgres, locals())
    order = (order_by,) if isinstance(order_by, str) else tuple(order_by)
    kind = PostgresRows if table is None else PostgresTable
    return Stream.from_source(kind(Server(dsn, env), as_schema(schema), order, table, query, arrival, name))
