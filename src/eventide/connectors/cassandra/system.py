"""Cassandra as plain values and back, for plans as text, and what it promises.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.cassandra.config import Cluster
from eventide.connectors.cassandra.sink import CassandraTable
from eventide.flow import Promise, Sink

Tree = dict[str, Any]

PROMISES = (
    Promise(
        "Cassandra table",
        "sink",
        "exactly once",
        "every change names its row (keys and window; or run, output, epoch and row) and carries a stamp that only "
        "grows, so an epoch may be written again, and what comes late from before a kill does not win. Readers may see "
        "part of an epoch for a while; `_eventide_epochs` says which one is whole",
        "replicas that keep what they confirmed (commitlog_sync group or batch, or several of them); nobody else "
        "writes the rows",
    ),
)


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    assert isinstance(sink, CassandraTable)
    tree: Tree = {"kind": "cassandra", **sink.cluster.as_tree(), "keyspace": sink.keyspace, "table": sink.table}
    tree |= {} if sink.consistency == "LOCAL_QUORUM" else {"consistency": sink.consistency}
    return tree | ({"create": True} if sink.create else {})


def sink_from(tree: Mapping[str, Any]) -> CassandraTable:
    """A sink of plain values."""
    cluster = Cluster(tree.get("hosts"), tree.get("env"), tree.get("tls", False))
    rest = bool(tree.get("create")), tree.get("consistency", "LOCAL_QUORUM")
    return CassandraTable(cluster, str(tree["keyspace"]), str(tree["table"]), *rest)
