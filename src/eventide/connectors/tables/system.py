"""DuckDB as plain values and back, for plans as text, and what it promises.

Law: what is as usual is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.schemas import schema_to
from eventide.connectors.tables.duckdb import DuckDb
from eventide.connectors.tables.duckdb_rows import DuckDbRows
from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "DuckDB table",
        "sink",
        "exactly once",
        "rows and epoch number in one transaction (table `_eventide_epochs`)",
        "DuckDB 2.0 or later; no other process holds the file",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, DuckDbRows)
    given = {"table": source.table, "query": source.query, "arrival": source.arrival}
    tree: Tree = {"kind": "duckdb", "path": source.path, "name": source.name, "schema": schema_to(source.schema)}
    return tree | {key: value for key, value in given.items() if value is not None}


def source_from(tree: Mapping[str, Any], schema: Schema) -> DuckDbRows:
    """A source of plain values."""
    what = tree.get("table"), tree.get("query")
    return DuckDbRows(tree["path"], schema, *what, tree.get("arrival"), tree.get("name", ""))


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, DuckDb)
    return {"kind": "duckdb", "path": sink.path, "table": sink.table}


def sink_from(tree: Mapping[str, Any]) -> DuckDb:
    """A sink of plain values."""
    return DuckDb(str(tree["path"]), str(tree["table"]))
