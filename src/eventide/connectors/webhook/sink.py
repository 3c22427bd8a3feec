"""An address that rows are posted to, many in one request, each request with a key of its own.

Law: an epoch is decided before any of it is sent, and done when the receiver has taken all of it. What a kill leaves
unknown is sent again in the same requests with the same keys, so a receiver that heeds them takes each row once.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import polars as pl

from eventide.connectors.by_commit import ByCommit
from eventide.connectors.files.encoding import rows_as_bytes
from eventide.connectors.kinds import check_kinds
from eventide.connectors.notifications.address import Failed, Refused
from eventide.connectors.notifications.post import Post
from eventide.connectors.pieces import pieces
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand
from eventide.instants import Duration, positive_us

PostFormat = Literal["json", "ndjson"]

_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_BODY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address, given as it is (`url`) or by the environment variable `env` that holds it."""

    url: str | None = None
    env: str | None = None
    token_env: str | None = None
    format: PostFormat = "json"
    rows_most: int = 500
    timeout_us: int = 10_000_000
    allow_private: bool = False

    def __post_init__(self) -> None:
        if (self.url is None) == (self.env is None):
            raise ValueError(
                'say where to post, once: url="https://host/path", or env="NAME" of the environment variable that '
                "holds such a text"
            )
        if self.url is not None and ("@" in self.url or "?" in self.url):
            raise ValueError(
                "url= holds a user, a password or a query, which would stand in plans and logs: put the whole text "
                "into an environment variable and name it with env="
            )
        if self.url is not None and not self.url.lower().startswith(("http://", "https://")):
            raise ValueError(f'url={self.url!r} is no address to post to: write for example "https://host/path"')
        if self.format not in ("json", "ndjson"):
            raise ValueError(f'format={self.format!r} is not a format: use "json" (an array of rows) or "ndjson"')
        if self.rows_most < 1:
            raise ValueError(f"rows_most={self.rows_most} must be at least 1: it is the rows of one request")

    @property
    def name(self) -> str:
        return f"webhook {self.env if self.url is None else urlsplit(self.url).netloc}"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> ByCommit:
        epochs = WebhookEpochs(Sender(self, f"{uuid.uuid4().hex}:{output}"))
        return ByCommit(epochs.deliver, epochs.close)

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return WebhookEpochs(Sender(self, f"{opening.run}:{opening.output}"))

    def post(self) -> tuple[Post, dict[str, str]]:
        """What sends, and the headers that let it in. Raises `SinkError` when a variable is not set."""
        url = self.url if self.env is None else _variable(self.env, "the address to post to")
        headers = {"Content-Type": "application/json" if self.format == "json" else "application/x-ndjson"}
        if self.token_env is not None:
            headers["Authorization"] = f"Bearer {_variable(self.token_env, 'the token of the receiver')}"
        try:
            if not str(url).lower().startswith(("http://", "https://")):
                raise Refused("it is no http or https address")
            return Post(str(url), self.timeout_us / 1e6, allow_private=self.allow_private), headers
        except Refused as fault:
            raise SinkError(f"{self.name} holds no address that can be posted to: {fault}") from None


class Sender:
    """Posts rows, again and again while the receiver is away."""

    def __init__(self, sink: Webhook, prefix: str) -> None:
        self._sink = sink
        self._prefix = prefix
        self._post, self._headers = sink.post()
        self._never = threading.Event()

    def send(self, epoch: int, rows: pl.DataFrame) -> None:
        """Post the rows of an epoch; on return the receiver has taken them all. Raises `SinkError`."""
        lines = [line for line in rows_as_bytes(rows, "ndjson", header=False).split(b"\n") if line]
        for number, part in enumerate(pieces(lines, self._sink.rows_most, _BODY_BYTES)):
            body = b"[" + b",".join(part) + b"]" if self._sink.format == "json" else b"\n".join(part) + b"\n"
            key = f"{self._prefix}:{epoch}:{number}"
            self._tried(lambda body=body, key=key: self._send(body, key))  # type: ignore[misc] # defaults have no type

    def _send(self, body: bytes, key: str) -> None:
        self._post.send(body, {**self._headers, "Idempotency-Key": key})

    def _tried(self, send: Callable[[], None]) -> None:
        for wait_s in (*_WAITS_S, None):
            try:
                send()
                return
            except Refused as fault:
                raise SinkError(f"{self._sink.name} does not take rows: {fault}. Mend that and start again") from None
            except Failed as fault:
                if wait_s is None:
                    raise SinkError(
                        f"cannot post to {self._sink.name}: {fault}. Check the address, and that the receiver runs"
                    ) from None
            self._never.wait(wait_s)


def _variable(name: str, what: str) -> str:
    found = os.environ.get(name, "").strip()
    if not found:
        raise SinkError(f"the environment variable {name} is not set: it must hold {what}")
    return found


class WebhookEpochs:
    """The rows of an output as requests, epoch by epoch."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def stand(self) -> Stand:
        return {"epochs": "taken"}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        self._sender.send(epoch, rows)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        if epoch and stand:
            self._sender.send(epoch, rows)

    def close(self) -> None:
        """No connection stays open."""


def write_webhook(  # noqa: PLR0913 - settings of requests, each with a default
    url: str | None = None,
    *,
    env: str | None = None,
    token_env: str | None = None,
    format: PostFormat = "json",
    rows_most: int = 500,
    timeout: Duration = "10s",
    allow_private: bool = False,
) -> Webhook:
    """A sink that posts rows to an address: a JSON array of at most `rows_most` in each request, or lines of them.

    `env` names the environment variable that holds the address where that is a secret; `token_env` one with a token,
    which is sent as `Authorization: Bearer`. Each request has a header `Idempotency-Key`, made of run, output, epoch
    and its number: after a kill the last epoch is posted again in the same requests with the same keys. While the
    receiver is away (or answers 408, 425, 429 or 5xx) it is tried again, about half a minute long. Hosts in private,
    loopback and link-local networks are refused unless `allow_private`; redirects are not followed.

    >>> write_webhook("https://example.org/doses").name
    'webhook example.org'
    """
    check_kinds(write_webhook, locals())
    return Webhook(url, env, token_env, format, rows_most, positive_us(timeout, "timeout"), allow_private)
