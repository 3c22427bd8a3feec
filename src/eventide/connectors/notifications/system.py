"""The sink of notifications as plain values and back.

Law: only the names of environment variables are written, never what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from eventide.connectors.notifications.sink import NotifySink
from eventide.flow import Promise, Sink
from eventide.instants import duration_text, positive_us

PROMISES: tuple[Promise, ...] = ()
_DEFAULT = NotifySink(("X",))
_SETTINGS = tuple(one.name for one in fields(NotifySink) if one.name not in ("targets", "clock"))


def sink_to(sink: Sink) -> dict[str, Any]:
    """The sink as plain values; settings with their default value are left out."""
    assert isinstance(sink, NotifySink)
    tree: dict[str, Any] = {"kind": "notify", "targets": list(sink.targets)}
    for name in _SETTINGS:
        value = getattr(sink, name)
        if value != getattr(_DEFAULT, name):
            tree[name.removesuffix("_us")] = _plain(name, value)
    return tree


def sink_from(tree: Mapping[str, Any]) -> NotifySink:
    """The sink of plain values."""
    names = {name.removesuffix("_us"): name for name in _SETTINGS}
    unknown = sorted(set(tree) - {"kind", "targets", "output", *names})
    if unknown:
        raise ValueError(f"notify has an unknown setting {', '.join(map(repr, unknown))}: it takes {', '.join(names)}")
    given = {names[name]: _read(names[name], value) for name, value in tree.items() if name in names}
    return NotifySink(tuple(tree["targets"]), **given)


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_us"):
        return duration_text(value)
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: Any) -> Any:
    if name.endswith("_us"):
        return positive_us(value, name.removesuffix("_us"))
    return tuple(value) if isinstance(value, list) else value
