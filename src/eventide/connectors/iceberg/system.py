"""Apache Iceberg as plain values and back, for plans as text, and what it promises.

Law: what is as usual is left out; there are no secrets to leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.iceberg.config import Place
from eventide.connectors.iceberg.sink import Iceberg
from eventide.connectors.iceberg.source import IcebergTableRows
from eventide.connectors.schemas import schema_to
from eventide.flow import Promise, Sink, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "Iceberg table",
        "source",
        "exactly once",
        "a position is a snapshot of the table and a row number in it",
        "the snapshot stays until it is read: nobody expires it",
    ),
    Promise(
        "Iceberg table",
        "sink",
        "exactly once",
        "rows and epoch number (a property of the table) in one commit; replaced by keys and window, or appended. On a "
        "local disk files are synced before the catalog hears of them",
        "a catalog that PyIceberg knows and that keeps what it confirmed; one run at a time with a state folder",
    ),
)


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, IcebergTableRows)
    given = {"snapshot": source.snapshot, "arrival": source.arrival}
    tree: Tree = {"kind": "iceberg", **_place_to(source.place), "name": source.name, "schema": schema_to(source.schema)}
    return tree | {key: value for key, value in given.items() if value is not None}


def source_from(tree: Mapping[str, Any], schema: Schema) -> IcebergTableRows:
    """A source of plain values."""
    rest = tree.get("snapshot"), tree.get("arrival"), tree.get("name", "")
    return IcebergTableRows(_place_from(tree), schema, *rest)


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, Iceberg)
    return {"kind": "iceberg", **_place_to(sink.place)}


def sink_from(tree: Mapping[str, Any]) -> Iceberg:
    """A sink of plain values."""
    return Iceberg(_place_from(tree))


def _place_to(place: Place) -> Tree:
    return {"table": place.table, "catalog": place.catalog}


def _place_from(tree: Mapping[str, Any]) -> Place:
    return Place(str(tree["table"]), str(tree.get("catalog", "default")))
