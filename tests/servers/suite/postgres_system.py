"""PostgreSQL for the suites: a table for each place."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from tests.servers.suite.system import INSTANTS, SCHEMA, Row, System, micros

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.postgres import Postgres

COLUMNS = "id bigint, k text, x text, ok boolean, at timestamptz"
NOBODY = "host=127.0.0.1 port=9 dbname=d"


class PostgresSystem(System):
    """A server of its own."""

    follows = False
    patient = ("postgres.source", "postgres.sink")

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._own = Postgres()
        self.put_behind_link(self._own)
        self.address = f"postgresql://postgres@127.0.0.1:{self.link.port}/postgres"
        self.asked("CREATE ROLE keeper LOGIN PASSWORD 'wind'")

    def kill(self) -> None:
        """By the signal that is its stop without any farewell."""
        self.server.stop(how=signal.SIGQUIT)

    def asked(self, query: str, rows: Sequence[tuple[Any, ...]] = ()) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._own.address, autocommit=True) as connection, connection.cursor() as cursor:
            if rows:
                cursor.executemany(query, rows)
                return []
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def put(self, place: str, rows: Sequence[Row]) -> None:
        table = self.named(place)
        self.asked(f"CREATE TABLE IF NOT EXISTS {table} ({COLUMNS})")
        values = [tuple(row.get(name) for name in SCHEMA) for row in rows]
        self.asked(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)", values)

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_postgres(self.named(place), dsn=self.address, schema=SCHEMA, order_by="id")

    def refused_stream(self) -> et.Stream:
        return et.read_postgres("t", env="SUITE_PG", schema=SCHEMA, order_by="id")

    def away_stream(self) -> et.Stream:
        return et.read_postgres("t", dsn=NOBODY, schema=SCHEMA, order_by="id")

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"SUITE_PG": f"postgresql://keeper:hush@127.0.0.1:{self._own.port}/postgres"}

    def sink(self, place: str) -> Sink:
        return et.write_postgres(self.named(place), dsn=self.address, create=True)

    def rows(self, place: str) -> list[dict[str, Any]]:
        with psycopg.connect(self._own.address, row_factory=dict_row) as connection:
            found = connection.execute(f"SELECT * FROM {self.named(place)}").fetchall()
        return [
            {name: micros(value) if name in INSTANTS else value for name, value in row.items() if name[0] != "_"}
            for row in found
        ]

    def refused_sink(self) -> Sink:
        return et.write_postgres("t", env="SUITE_PG", create=True)

    def away_sink(self) -> Sink:
        return et.write_postgres("t", dsn=NOBODY, create=True)
