"""The sink of notifications: each row of an output becomes a message to every target.

Law: targets are named by environment variables, so that no secret stands in a plan, a log, an error or a repr. Messages
are handed over at a commit; a delivery cannot be taken back, and the counts say what became of each.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.notifications.message import Message, message_of
from eventide.errors import SinkError
from eventide.flow import SystemClock, WallClock
from eventide.instants import Duration, positive_us

if TYPE_CHECKING:
    from eventide.connectors.notifications.courier import Courier
    from eventide.connectors.notifications.service import Service
    from eventide.connectors.notifications.webhook import Webhook

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

UNDELIVERED = {
    "target": pl.String(),
    "output": pl.String(),
    "fate": pl.String(),
    "reason": pl.String(),
    "title": pl.String(),
    "row": pl.String(),
}
"""Columns of messages that were not delivered; `fate` is `failed` or `dropped`."""


@dataclass(frozen=True, slots=True)
class NotifySink:
    """Targets by environment variable, and how messages are sent to them."""

    targets: tuple[str, ...]
    states: tuple[str, ...] = ("raised", "cleared")
    most: int = 30
    per_us: int = 60_000_000
    tries: int = 5
    backoff_us: int = 1_000_000
    queue: int = 1_000
    timeout_us: int = 10_000_000
    patience_us: int = 30_000_000
    allow_private: bool = False
    clock: WallClock = field(default_factory=SystemClock, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("notify needs a target: the name of an environment variable that holds its address")
        if not all(_VARIABLE.fullmatch(target) for target in self.targets):
            raise ValueError(
                "a target is the name of an environment variable, not an address: put the address into a variable, "
                'such as OPS_WEBHOOK, and write notify("OPS_WEBHOOK")'
            )
        for name in ("most", "tries", "queue"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")

    @property
    def name(self) -> str:
        return f"notify {', '.join(self.targets)}"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> NotifyWriter:
        from eventide.connectors.notifications.courier import Courier, Manner

        manner = Manner(self.most, self.per_us, self.tries, self.backoff_us, self.queue)
        senders = {target: self._sender(target) for target in self.targets}
        couriers = [Courier(target, sender.send, manner, self.clock) for target, sender in senders.items()]
        return NotifyWriter(output, self, couriers)

    def _sender(self, target: str) -> Webhook | Service:
        from eventide.connectors.notifications.address import Refused
        from eventide.connectors.notifications.service import Service
        from eventide.connectors.notifications.webhook import Webhook

        url = os.environ.get(target, "").strip()
        if not url:
            raise SinkError(f"the environment variable {target} is not set: it holds the address to notify")
        try:
            if url.lower().startswith(("http://", "https://")):
                return Webhook(url, self.timeout_us / 1e6, allow_private=self.allow_private)
            return Service(url, allow_private=self.allow_private)
        except Refused as fault:
            raise SinkError(
                f"the environment variable {target} holds no address that can be notified: {fault}"
            ) from None


class NotifyWriter:
    """Hands messages to the couriers of all targets."""

    def __init__(self, output: str, sink: NotifySink, couriers: Sequence[Courier]) -> None:
        self._output = output
        self._sink = sink
        self._couriers = couriers
        self._written: list[Message] = []

    def write(self, frame: pl.DataFrame) -> None:
        wanted = frame.filter(pl.col("state").is_in(self._sink.states)) if "state" in frame.columns else frame
        self._written.extend(message_of(self._output, row) for row in wanted.iter_rows(named=True))

    def commit(self) -> None:
        for message in self._written:
            for courier in self._couriers:
                courier.hand_over(message)
        self._written = []

    def close(self) -> None:
        self.commit()
        for courier in self._couriers:
            courier.close(self._sink.patience_us / 1e6)

    def abort(self) -> None:
        for courier in self._couriers:
            courier.halt()

    def deliveries(self) -> dict[str, dict[str, int]]:
        """What became of the messages, by target."""
        tallies = ((courier.target, courier.tally) for courier in self._couriers)
        return {target: {"sent": t.sent, "failed": t.failed, "dropped": t.dropped} for target, t in tallies}

    def undelivered(self) -> pl.DataFrame:
        """The last messages of each target that were not delivered, with the reason."""
        rows = [
            (courier.target, message.output, fate, reason, message.title, json.dumps(message.row))
            for courier in self._couriers
            for fate, reason, message in list(courier.tally.undelivered)
        ]
        return pl.DataFrame(rows, schema=UNDELIVERED, orient="row")


def notify(  # noqa: PLR0913 - settings of a sink, each with a default
    *targets: str,
    states: str | Sequence[str] = ("raised", "cleared"),
    most: int = 30,
    per: Duration = "1m",
    tries: int = 5,
    backoff: Duration = "1s",
    queue: int = 1_000,
    timeout: Duration = "10s",
    patience: Duration = "30s",
    allow_private: bool = False,
) -> NotifySink:
    """A sink that sends each row as a message: `.write(et.notify("OPS_WEBHOOK"), "alerts")`.

    Each target is the name of an environment variable that holds an address: `https://...` for a webhook (a POST with a
    JSON body), anything else as Apprise writes it (`mailto://`, `slack://`, `tgram://` and so on, with the extra
    `notify`). Of rows with a column `state`, only those in `states` are sent. At most `most` messages go to a target
    within `per`; each is tried `tries` times, with pauses that double from `backoff` on. Messages wait in a queue of
    `queue` places on a thread of their own; when it is full they are dropped. At the end of a run it takes at most
    `patience` to send the rest. `timeout` is how long a webhook may take.

    Hosts in private, loopback and link-local networks are refused unless `allow_private`; redirects are not followed.
    `outcome.deliveries` counts what became of the messages, `outcome.undelivered` holds those that did not arrive.
    Raises `ValueError` for an address in place of a variable's name; a run raises `SinkError` when it is not set.

    >>> notify("OPS_WEBHOOK", most=5).name
    'notify OPS_WEBHOOK'
    """
    return NotifySink(
        targets,
        (states,) if isinstance(states, str) else tuple(states),
        most,
        positive_us(per, "per"),
        tries,
        positive_us(backoff, "backoff"),
        queue,
        positive_us(timeout, "timeout"),
        positive_us(patience, "patience"),
        allow_private,
    )
