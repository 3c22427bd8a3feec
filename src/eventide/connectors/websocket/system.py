"""WebSocket out as plain values and back, for plans as text, and what it promises.

Law: a token is in the text by the name of its environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.serving import Address, Door
from eventide.connectors.websocket.sink import WebSocketOut
from eventide.flow import Promise, Sink

PROMISES = (
    Promise(
        "WebSocket out",
        "sink",
        "at most once",
        "pushed as it comes out to whoever is connected; who is away or too slow misses rows. After a kill, rows since "
        "the last checkpoint are pushed again",
        "viewers that are connected",
    ),
)


def sink_to(sink: Sink) -> dict[str, Any]:
    """A sink as plain values."""
    assert isinstance(sink, WebSocketOut)
    tree = {"kind": "websocket", "address": str(sink.door.address), "path": sink.path, "recent": sink.recent}
    tree |= {} if sink.door.token_env is None else {"token_env": sink.door.token_env}
    return tree | ({"origins": list(sink.door.origins)} if sink.door.origins else {})


def sink_from(tree: Mapping[str, Any]) -> WebSocketOut:
    """A sink of plain values."""
    door = Door(Address.of(tree["address"]), tree.get("token_env"), tuple(tree.get("origins", ())))
    return WebSocketOut(door, tree.get("path", "/live"), int(tree.get("recent", 100)))
