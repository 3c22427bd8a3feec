"""Mistakes with PostgreSQL that waiting does not mend: told at once, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import eventide as et
from eventide.connectors.postgres import source as source_module
from eventide.testing.services import running
from eventide.testing.services.postgres import Postgres

SCHEMA: dict[str, Any] = {"id": int}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running(Postgres(tmp_path_factory.mktemp("postgres"))) as started:
        yield started


@pytest.mark.parametrize(
    ("user", "database", "told"), [("ghost", "postgres", 'role "ghost"'), ("postgres", "none", 'database "none"')]
)
def test_a_wrong_user_or_database_is_not_waited_for(
    server: Postgres, monkeypatch: pytest.MonkeyPatch, user: str, database: str, told: str
) -> None:
    monkeypatch.setattr(source_module, "_WAITS_S", (10_000,))
    dsn = f"postgresql://{user}@127.0.0.1:{server.port}/{database}"
    with pytest.raises(et.SourceError, match=f"{told} does not exist"):
        et.read_postgres("t", dsn=dsn, schema=SCHEMA, order_by="id").run(show=False)


def test_a_missing_table_is_told_with_what_to_look_at(server: Postgres) -> None:
    with pytest.raises(et.SourceError, match='cannot read t .* "t" does not exist. Check its name and schema'):
        et.read_postgres("t", dsn=server.address, schema=SCHEMA, order_by="id").run(show=False)


def test_a_missing_schema_is_told_with_what_to_look_at(server: Postgres) -> None:
    rows = et.from_rows([{"id": 1}], schema=SCHEMA, name="rows")
    with pytest.raises(et.SinkError, match='table t .* schema "none" does not exist. Check its name, schema'):
        rows.write(et.write_postgres("none.t", dsn=server.address, create=True)).run(show=False)
