"""Webhooks as plain values and back, for plans as text, and what they promise.

Law: secrets are in the text by the name of their environment variable only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.webhook.sink import Webhook
from eventide.flow import Promise, Sink
from eventide.instants import duration_text, positive_us

PROMISES = (
    Promise(
        "webhook",
        "sink",
        "at least once",
        "each epoch is posted once it is decided, and retried; after a kill the last one is posted again, each request "
        "with the same `Idempotency-Key`",
        "a receiver that answers 2xx when it has taken the rows; one that heeds the keys takes each row once",
    ),
)
_DEFAULT = Webhook("https://host")
_SETTINGS = ("url", "env", "token_env", "format", "rows_most", "allow_private")


def sink_to(sink: Sink) -> dict[str, Any]:
    """A sink as plain values."""
    assert isinstance(sink, Webhook)
    own = {name: getattr(sink, name) for name in _SETTINGS if getattr(sink, name) != getattr(_DEFAULT, name)}
    tree = {"kind": "webhook", **{name: value for name, value in own.items() if value is not None}}
    return tree | ({} if sink.timeout_us == _DEFAULT.timeout_us else {"timeout": duration_text(sink.timeout_us)})


def sink_from(tree: Mapping[str, Any]) -> Webhook:
    """A sink of plain values."""
    settings = {name: tree[name] for name in _SETTINGS if name in tree}
    return Webhook(**settings, timeout_us=positive_us(tree.get("timeout", "10s"), "timeout"))
