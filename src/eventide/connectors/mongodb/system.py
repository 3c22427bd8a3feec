"""MongoDB as plain values and back, for plans as text, and what it promises.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.mongodb.config import Deployment
from eventide.connectors.mongodb.sink import MongoCollection
from eventide.flow import Promise, Sink

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "MongoDB collection",
        "sink",
        "exactly once",
        "a row's identity (keys and window; or run, output, epoch and row) is its `_id`, and it is replaced only by "
        "one with a stamp that is not smaller, so an epoch may be written again. Readers may see part of an epoch for "
        "a while; `_eventide_epochs` says which one is whole",
        "MongoDB 5 or later (tested against a stand-in); a majority that keeps what it confirmed; nobody else writes "
        "the documents",
    ),
)


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, MongoCollection)
    tree: Tree = {
        "kind": "mongodb",
        **sink.deployment.as_tree(),
        "database": sink.database,
        "collection": sink.collection,
    }
    return tree | ({} if sink.instants == "date" else {"instants": sink.instants})


def sink_from(tree: Mapping[str, Any]) -> MongoCollection:
    """A sink of plain values."""
    deployment = Deployment(tree.get("address"), tree.get("env"))
    return MongoCollection(deployment, str(tree["database"]), str(tree["collection"]), tree.get("instants", "date"))
