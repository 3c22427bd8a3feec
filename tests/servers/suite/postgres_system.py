"""PostgreSQL for the suites: a table for each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from tests.servers.suite.system import SCHEMA, Row, micros

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.postgres import Postgres

COLUMNS = "id bigint, k text, x text, ok boolean, at timestamptz"


class PostgresSystem:
    """A server of its own."""

    follows = False
    remote = True

    def __init__(self) -> None:
        self.server = Postgres()
        self.server.start()
        self._places: dict[str, str] = {}
        self.asked("CREATE ROLE keeper LOGIN PASSWORD 'wind'")

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.start()

    close = stop

    def asked(self, query: str, rows: Sequence[tuple[Any, ...]] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.address, autocommit=True) as connection, connection.cursor() as cursor:
            if rows:
                cursor.executemany(query, rows)
                return []
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def _table(self, place: str) -> str:
        return self._places.setdefault(place, f"place{len(self._places)}")

    def put(self, place: str, rows: Sequence[Row]) -> None:
        table = self._table(place)
        self.asked(f"CREATE TABLE IF NOT EXISTS {table} ({COLUMNS})")
        self.asked(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)", [tuple(row.values()) for row in rows])

    def broken(self, place: str) -> None:
        self.put(place, [{"id": -1, "k": None, "x": "much", "ok": None, "at": None}])

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_postgres(self._table(place), dsn=self.server.address, schema=SCHEMA, order_by="id")

    def refused(self) -> et.Stream:
        return et.read_postgres("t", env="SUITE_PG", schema=SCHEMA, order_by="id")

    def away(self) -> et.Stream:
        return et.read_postgres("t", dsn="host=127.0.0.1 port=9 dbname=d", schema=SCHEMA, order_by="id")

    @property
    def secret(self) -> tuple[str, str]:
        """The variable with a wrong password, and its text."""
        return "SUITE_PG", f"postgresql://keeper:hush@127.0.0.1:{self.server.port}/postgres"


class PostgresSinkSystem(PostgresSystem):
    """The same, to be written to."""

    def sink(self, place: str) -> Sink:
        return et.write_postgres(self._table(place), dsn=self.server.address, create=True)

    def rows(self, place: str) -> list[dict[str, Any]]:
        found = self.asked(f"SELECT id, k, x, ok, at FROM {self._table(place)} ORDER BY _epoch, id")
        return [{**dict(zip(SCHEMA, row, strict=True)), "at": micros(row[4])} for row in found]

    def refused(self) -> Sink:  # type: ignore[override] # the other direction
        return et.write_postgres("t", env="SUITE_PG", create=True)

    def away(self) -> Sink:  # type: ignore[override] # the other direction
        return et.write_postgres("t", dsn="host=127.0.0.1 port=9 dbname=d", create=True)
