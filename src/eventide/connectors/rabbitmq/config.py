"""Where RabbitMQ is, and a connection to it.

Law: no password is kept, shown or written; what an address holds is never repeated in a message.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from eventide.errors import EventideError

if TYPE_CHECKING:
    from aiormq.abc import AbstractConnection

_SCHEMES = ("amqp://", "amqps://")
_HEARTBEAT_S = 10


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker: an address without a user (`address`), or the environment variable `env` that holds one."""

    address: str | None = None
    env: str | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.env is None):
            raise ValueError(
                'say where RabbitMQ is, once: address="amqp://host:5672/vhost", or env="NAME" of the environment '
                "variable that holds such a text"
            )
        if self.address is None:
            return
        if not self.address.startswith(_SCHEMES):
            raise ValueError("address= must begin with amqp:// or amqps://")
        if "@" in self.address or "password" in self.address.lower():
            raise ValueError(
                "address= holds a user or a password, which would stand in plans and logs: put the whole text into an "
                "environment variable and name it with env="
            )

    async def connect(self, fault: type[EventideError]) -> AbstractConnection:
        """A connection. Raises the given error when waiting would not help, else what the client raises."""
        driver(fault)
        import aiormq
        from aiormq.exceptions import AuthenticationError, InvalidFrameError, ProbableAuthenticationError

        try:
            return await aiormq.connect(self._address(fault))
        except (AuthenticationError, ProbableAuthenticationError):
            raise fault("RabbitMQ does not let us in: check user and password") from None
        except InvalidFrameError:  # the broker closes instead of opening the virtual host
            raise fault(
                "RabbitMQ does not let us into the virtual host: check the end of the address, and the permissions"
            ) from None

    def _address(self, fault: type[EventideError]) -> str:
        text = self.address if self.env is None else os.environ.get(self.env)
        if not text:
            raise fault(f"the environment variable {self.env} is not set: it must hold where RabbitMQ is")
        try:
            parts = urlsplit(text)
            _ = parts.port
            if not text.startswith(_SCHEMES) or not parts.hostname or text.count("@") > 1 or "@" in parts.path:
                raise ValueError
        except ValueError:  # what stands in a wrong place may be a piece of a password
            where = "address=" if self.env is None else f"the environment variable {self.env}"
            raise fault(
                f"{where} cannot be read as an address: write amqp://user:password@host:5672/vhost, with %40 for @ and "
                "%2F for / in a password"
            ) from None
        if "heartbeat" in parse_qs(parts.query):
            return text
        return f"{text}{'&' if parts.query else '?'}heartbeat={_HEARTBEAT_S}"

    def as_tree(self) -> dict[str, str]:
        """The broker as plain values."""
        return {"env": self.env} if self.env is not None else {"address": str(self.address)}


def driver(fault: type[EventideError]) -> None:
    """Raises the given error when the client is not installed."""
    if not is_installed():
        raise fault("the client of RabbitMQ is not installed: pip install eventide[rabbitmq]")
    # what goes wrong on the way is told by whoever waits for it; who has set up logging still gets the client's lines
    logging.getLogger("aiormq").addHandler(logging.NullHandler())


def is_installed() -> bool:
    """True when the client is there."""
    return find_spec("aiormq") is not None


def passing() -> tuple[type[BaseException], ...]:
    """What may be over when it is tried again."""
    from aiormq.exceptions import AMQPError, ChannelInvalidStateError

    return (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


def is_missing(fault: BaseException) -> bool:
    """True when a queue or an exchange was never made; while a broker starts, one may only be away."""
    return " is down" not in plain(fault)


def plain(fault: BaseException) -> str:
    """What went wrong, on one line."""
    return " ".join(" ".join(map(str, fault.args)).split()) or type(fault).__name__
