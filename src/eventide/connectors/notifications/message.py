"""Messages: what a row looks like to a person.

Law: a message says what, how much it matters, for which key and when, from the row alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_HEAD = ("at", "alert", "severity", "state", "since", "clock", "values", "condition", "count")


@dataclass(frozen=True, slots=True)
class Message:
    """A title, a text and the row itself as plain values. `severity` is the row's own, or `info`."""

    output: str
    title: str
    body: str
    severity: str
    row: Mapping[str, Any]


def message_of(output: str, row: Mapping[str, Any]) -> Message:
    """The message of a row of an output.

    >>> message_of("alerts", {"alert": "hot", "severity": "critical", "state": "raised", "room": "a"}).title
    '[critical] hot raised: room=a'
    """
    plain = {name: _plain(value) for name, value in row.items()}
    severity = str(plain.get("severity") or "info")
    what = plain.get("alert") or plain.get("condition")
    if what is None:
        title = output
    else:
        keys = ", ".join(f"{name}={value}" for name, value in plain.items() if name not in _HEAD and value is not None)
        title = f"[{severity}] {what} {plain.get('state') or ''}".rstrip() + (f": {keys}" if keys else "")
    body = "\n".join(f"{name}: {value}" for name, value in plain.items() if value is not None)
    return Message(output, title, body, severity, plain)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case list() | tuple():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case _:
            return str(value)
