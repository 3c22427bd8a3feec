"""HTTP ingest as plain values and back, for plans as text, and what it promises.

Law: a token is in the text by the name of its environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.http.source import HttpIngest
from eventide.connectors.schemas import schema_to
from eventide.connectors.serving import Address, Door
from eventide.flow import Promise, Source
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "HTTP and WebSocket ingest",
        "source",
        "exactly once",
        "202 (or a message's offset) is answered when the rows are in a journal, behind its fsync; a position is an "
        "offset of the journal",
        "the folder of the journal stays as it is. A sender that got no answer cannot know, and sends again: give "
        "rows an id to tell copies apart",
    ),
)
_SETTINGS = ("path", "format", "journal", "arrival", "body_bytes_most", "journal_bytes_most", "name")


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    assert isinstance(source, HttpIngest)
    tree: Tree = {"kind": "http", "address": str(source.door.address)}
    tree |= {name: getattr(source, name) for name in _SETTINGS if getattr(source, name) is not None}
    if source.door.token_env is not None:
        tree["token_env"] = source.door.token_env
    tree |= {"origins": list(source.door.origins)} if source.door.origins else {}
    tree |= {"header": list(source.header)} if source.header else {}
    return tree | {"schema": schema_to(source.schema)}


def source_from(tree: Mapping[str, Any], schema: Schema) -> HttpIngest:
    """A source of plain values."""
    door = Door(Address.of(tree["address"]), tree.get("token_env"), tuple(tree.get("origins", ())))
    settings = {name: tree[name] for name in _SETTINGS if name in tree}
    return HttpIngest(door, schema, header=tuple(tree.get("header", ())), **settings)
