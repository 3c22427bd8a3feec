"""PostgreSQL as a sink: rows and the epoch's number in one transaction.

Law: the table `_eventide_epochs` says for each run and table which epoch is in it; rows of that epoch and all before
it are there, others are not. A connection that breaks is made again, and what is there is asked before anything is
written twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from eventide.connectors.kinds import check_kinds
from eventide.connectors.postgres.config import Server, TableName, Unreachable, driver, is_installed, plain
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand

if TYPE_CHECKING:
    from psycopg import Connection

    from eventide.connectors.postgres.table import Table

_EPOCHS = "_eventide_epochs"
_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A table of a PostgreSQL server."""

    server: Server
    table: str
    create: bool = False

    def __post_init__(self) -> None:
        TableName.of(self.table)

    @property
    def name(self) -> str:
        return f"postgres table {self.table}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "postgres"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> PostgresWriter:
        return PostgresWriter(Session(self.server), self._table(columns, identity, marked=False))

    def open_epochs(self, opening: Opening) -> EpochWriter:
        table = self._table(opening.columns, opening.identity, marked=not opening.identity)
        return PostgresEpochs(Session(self.server), table, (opening.run, f"{opening.output}: {self.table}"))

    def ask(self, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> None:
        """See that the table has what the rows need. Raises `SinkError` when not, `Unreachable` without a server."""
        table = self._table(columns, identity, marked=False)
        with closing(self.server.connect(SinkError)) as connection:
            _told(table, lambda: table.prepare(connection))

    def _table(self, columns: Mapping[str, pl.DataType], identity: Sequence[str], *, marked: bool) -> Table:
        driver(SinkError)
        from eventide.connectors.postgres.table import Table

        return Table(TableName.of(self.table), columns, tuple(identity), self.create, marked)


class Session:
    """A connection that is made when it is needed, and made again when it broke."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Connection[Any] | None = None

    def do(self, work: Callable[[Connection[Any]], _T], waits_s: Sequence[float] | None = None) -> _T:
        """Do work in one transaction. While the server is away it is tried again, about half a minute long; work that
        is done again must not mind that it may have been done.
        """
        psycopg = driver(SinkError)
        for wait_s in (*(_WAITS_S if waits_s is None else waits_s), None):
            try:
                return self._once(work)
            except Unreachable as fault:
                told = fault.told
                if wait_s is None or fault.is_refusal:
                    raise told from None
            except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
                self.close()
                if wait_s is None:
                    raise SinkError(f"PostgreSQL broke off: {plain(fault)}") from None
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, work: Callable[[Connection[Any]], _T]) -> _T:
        if self._connection is None or self._connection.closed:
            self._connection = self._server.connect(SinkError)
        with self._connection.transaction():
            return work(self._connection)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # it may be broken
                self._connection.close()
            self._connection = None


class PostgresWriter:
    """Collects frames and puts them into the table at each commit, for runs without state."""

    def __init__(self, session: Session, table: Table) -> None:
        self._session = session
        self._table = table
        self._frames: list[pl.DataFrame] = []
        try:
            _told(table, lambda: session.do(table.prepare))
        except BaseException:
            session.close()
            raise

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def commit(self) -> None:
        if not self._frames:
            return
        rows = pl.concat(self._frames, how="vertical_relaxed")
        # appending twice would show: only what is upserted may be done again
        waits_s = None if self._table.identity else ()
        _told(self._table, lambda: self._session.do(lambda connection: self._table.put(connection, rows), waits_s))
        self._frames = []

    def close(self) -> None:
        self.commit()
        self._session.close()

    def abort(self) -> None:
        self._session.close()


class PostgresEpochs:
    """The rows of an output in a table. Rows without identity carry `_run` and `_epoch`, by which they can be taken
    back.
    """

    def __init__(self, session: Session, table: Table, key: tuple[str, str]) -> None:
        self._session = session
        self._table = table
        self._key = key
        self._noted = table.name.beside(_EPOCHS)

    def stand(self) -> Stand:
        return {}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            _told(self._table, lambda: self._session.do(lambda connection: self._bring(connection, epoch, rows)))

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        _told(self._table, lambda: self._session.do(lambda connection: self._recover(connection, epoch, rows)))

    def _recover(self, connection: Connection[Any], epoch: int, rows: pl.DataFrame) -> None:
        self._table.prepare(connection)
        self._prepare(connection)
        there = self._there(connection)
        if there > epoch:
            self._take_back(connection, epoch)
        elif rows.height:
            self._bring(connection, epoch, rows)

    def _prepare(self, connection: Connection[Any]) -> None:
        from psycopg import sql

        from eventide.connectors.postgres.table import made_once

        columns = "run text, output text, epoch bigint NOT NULL, PRIMARY KEY (run, output)"
        made_once(connection, self._noted, sql.SQL(columns))

    def _bring(self, connection: Connection[Any], epoch: int, rows: pl.DataFrame) -> None:
        """Put an epoch into the table, unless it is there: a commit whose answer was lost may have been done."""
        if self._there(connection) >= epoch:
            return
        run = self._key[0]
        self._table.put(connection, rows, None if self._table.identity else {"_run": run, "_epoch": epoch})
        self._note(connection, epoch)

    def _there(self, connection: Connection[Any]) -> int:
        """The last epoch with rows that is in the table; -1 before any."""
        from psycopg import sql

        asked = sql.SQL("SELECT epoch FROM {} WHERE run = %s AND output = %s FOR UPDATE")
        found = connection.execute(asked.format(self._noted.identifier()), self._key).fetchone()
        return -1 if found is None else int(found[0])

    def _note(self, connection: Connection[Any], epoch: int) -> None:
        from psycopg import sql

        noted = sql.SQL(
            "INSERT INTO {} VALUES (%s, %s, %s) ON CONFLICT (run, output) DO UPDATE SET epoch = excluded.epoch"
        )
        connection.execute(noted.format(self._noted.identifier()), [*self._key, epoch])

    def _take_back(self, connection: Connection[Any], epoch: int) -> None:
        """Go back behind an earlier epoch. Rows with an identity stay until the same windows come again."""
        if not self._table.identity:
            self._table.take_back(connection, self._key[0], epoch)
        self._note(connection, epoch)

    def close(self) -> None:
        self._session.close()


def _told(table: Table, work: Callable[[], object]) -> None:
    psycopg = driver(SinkError)
    try:
        work()
    except psycopg.Error as fault:
        raise SinkError(
            f"cannot write to table {table.name.table} of PostgreSQL: {plain(fault)}. Check its name, schema and "
            "columns, and the right to write to it"
        ) from None


def write_postgres(table: str, *, dsn: str | None = None, env: str | None = None, create: bool = False) -> Postgres:
    """A sink that keeps the last row of each window in a table of PostgreSQL 15 or later.

    `table` is `"table"` or `"schema.table"`. The server is named by `dsn`, a connection string without a password
    (PGPASSWORD and ~/.pgpass are looked at), or by `env`, the environment variable that holds a whole one. Results are
    upserted by keys and window, retracted rows deleted; outputs without identity (`late`, `dead_letters`) are
    appended, with the columns `_run` and `_epoch`. `create` makes the table if it is not there. `docs/connectors/
    postgres.md` has the types.

    >>> write_postgres("doses", dsn="postgresql://writer@db.local/air").name
    'postgres table doses'
    """
    check_kinds(write_postgres, locals())
    return Postgres(Server(dsn, env), table, create)
