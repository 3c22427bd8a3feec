"""PostgreSQL as plain values and back, for plans as text, and what it promises.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.postgres.config import Server
from eventide.connectors.postgres.sink import Postgres
from eventide.connectors.postgres.source import PostgresRows, PostgresTable
from eventide.connectors.schemas import schema_to
from eventide.errors import PlanError
from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "PostgreSQL table, query",
        "source",
        "exactly once",
        "a position is a row number and the ordering values of the row in front of it, which are looked at again",
        "an order that is unique; no row changes or appears in front of what was read",
    ),
    Promise(
        "PostgreSQL table",
        "sink",
        "exactly once",
        "rows and epoch number in one transaction (table `_eventide_epochs`); retried while the server is away",
        "PostgreSQL 15 or later; a unique index on keys and window, or create=True",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values. Raises `PlanError` for a query."""
    assert isinstance(source, PostgresRows)
    if source.table is None:
        raise PlanError.of(
            f"source {source.name}", "a query lives in Python only", "Make a view of it and read that as a table"
        )
    tree: Tree = {
        "kind": "postgres",
        **source.server.as_tree(),
        "table": source.table,
        "name": source.name,
        "schema": schema_to(source.schema),
    }
    tree["order_by"] = list(source.order_by)
    return tree | ({} if source.arrival is None else {"arrival": source.arrival})


def source_from(tree: Mapping[str, Any], schema: Schema) -> PostgresTable:
    """A source of plain values."""
    order_by, rest = tuple(tree["order_by"]), (tree.get("arrival"), tree.get("name", ""))
    return PostgresTable(_server(tree), schema, order_by, tree["table"], None, *rest)


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, Postgres)
    tree: Tree = {"kind": "postgres", **sink.server.as_tree(), "table": sink.table}
    return tree | ({"create": True} if sink.create else {})


def sink_from(tree: Mapping[str, Any]) -> Postgres:
    """A sink of plain values."""
    return Postgres(_server(tree), str(tree["table"]), bool(tree.get("create")))


def _server(tree: Mapping[str, Any]) -> Server:
    return Server(tree.get("dsn"), tree.get("env"))
