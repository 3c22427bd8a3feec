"""Webhooks: a message as a JSON body of a POST request.

Law: the body holds the message and its row, nothing of the target.
"""

from __future__ import annotations

import json

from eventide.connectors.notifications.message import Message
from eventide.connectors.notifications.post import Post


class Webhook:
    """A target with an http or https address."""

    def __init__(self, url: str, timeout_s: float, *, allow_private: bool) -> None:
        self._post = Post(url, timeout_s, allow_private=allow_private)

    def send(self, message: Message) -> None:
        """Deliver, or raise `Failed` (worth another try) or `Refused` (not)."""
        told = {"output": message.output, "title": message.title, "severity": message.severity, "row": message.row}
        self._post.send(json.dumps(told, allow_nan=True).encode(), {"Content-Type": "application/json"})
