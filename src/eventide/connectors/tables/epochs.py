"""DuckDB that takes whole epochs: rows and the epoch's number in one transaction.

Law: the table `_eventide_epochs` says for each run and table which epoch is in it; rows of that epoch and all before
it are there, others are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.tables.duckdb import Table, quoted, told, transaction
from eventide.flow import Opening, Stand

if TYPE_CHECKING:
    import duckdb

_EPOCHS = "_eventide_epochs"


class DuckDbEpochs:
    """The rows of an output in a table. Rows without identity carry `_run` and `_epoch`, by which they can be taken
    back.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, opening: Opening) -> None:
        self._connection = connection
        self._table = Table(connection, table, tuple(opening.identity))
        self._key = [opening.run, f"{opening.output}: {table}"]
        self._run = opening.run

    def stand(self) -> Stand:
        return {}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            self._told(lambda: self._put(epoch, rows))

    def _put(self, epoch: int, rows: pl.DataFrame) -> None:
        with transaction(self._connection):
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_EPOCHS} (run VARCHAR, output VARCHAR, epoch BIGINT, "
                "PRIMARY KEY (run, output))"
            )
            self._table.put(rows, None if self._table.identity else {"_run": self._run, "_epoch": epoch})
            self._note(epoch)

    def _note(self, epoch: int) -> None:
        self._connection.execute(f"INSERT OR REPLACE INTO {_EPOCHS} VALUES (?, ?, ?)", [*self._key, epoch])  # noqa: S608

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        self._told(lambda: self._recover(epoch, rows))

    def _recover(self, epoch: int, rows: pl.DataFrame) -> None:
        there = self._there()
        if there is not None and there > epoch:
            self._take_back(epoch)
        elif rows.height and (there is None or there < epoch):
            self._put(epoch, rows)

    def _there(self) -> int | None:
        """The last epoch with rows that is in the table."""
        if not self._has(_EPOCHS):
            return None
        found = self._connection.execute(
            f"SELECT epoch FROM {_EPOCHS} WHERE run = ? AND output = ?",  # noqa: S608 - a constant
            self._key,
        ).fetchone()
        return None if found is None else int(found[0])

    def _has(self, table: str) -> bool:
        known = "SELECT 1 FROM information_schema.tables WHERE table_name = ?"
        return self._connection.execute(known, [table]).fetchone() is not None

    def _take_back(self, epoch: int) -> None:
        """Go back behind an earlier epoch. Rows with an identity stay until the same windows come again."""
        with transaction(self._connection):
            if not self._table.identity and self._has(self._table.table):
                table = quoted(self._table.table)
                gone = f"DELETE FROM {table} WHERE _run = ? AND _epoch > ?"  # noqa: S608 - the name is quoted
                self._connection.execute(gone, [self._run, epoch])
            self._note(epoch)

    def _told(self, work: Callable[[], None]) -> None:
        kept = "the epoch is kept in the state folder and will be written then"
        with told(f"{self._key[1]} of DuckDB", f"Mend that and start again: {kept}"):
            work()

    def close(self) -> None:
        self._connection.close()
