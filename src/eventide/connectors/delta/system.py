"""Delta Lake as plain values and back, for plans as text, and what it promises.

Law: what is as usual is left out; there are no secrets to leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.delta.sink import Delta
from eventide.connectors.delta.source import DeltaTableRows
from eventide.connectors.schemas import schema_to
from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "Delta table",
        "source",
        "exactly once",
        "a position is a version of the table and a row number in it",
        "the version stays until it is read: nobody vacuums its files away",
    ),
    Promise(
        "Delta table",
        "sink",
        "exactly once",
        "rows and epoch number (an application transaction) in one commit; merged by keys and window, or appended. On "
        "a local disk a commit and its files are synced; what a power cut left torn is taken away and comes again",
        "a local disk with atomic renames that keeps what fsync has confirmed, or S3 with conditional puts; the right "
        "to write and rewrite files",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, DeltaTableRows)
    tree: Tree = {"kind": "delta", "path": source.path, "name": source.name, "schema": schema_to(source.schema)}
    given = {"version": source.version, "arrival": source.arrival}
    return tree | {key: value for key, value in given.items() if value is not None}


def source_from(tree: Mapping[str, Any], schema: Schema) -> DeltaTableRows:
    """A source of plain values."""
    return DeltaTableRows(str(tree["path"]), schema, tree.get("version"), tree.get("arrival"), tree.get("name", ""))


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, Delta)
    return {"kind": "delta", "path": sink.path}


def sink_from(tree: Mapping[str, Any]) -> Delta:
    """A sink of plain values."""
    return Delta(str(tree["path"]))
