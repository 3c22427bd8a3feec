"""Where MongoDB is, and a client of it.

Law: no password is kept, shown or written; what an address holds is never repeated in a message.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from eventide.errors import SinkError

if TYPE_CHECKING:
    from pymongo import MongoClient

_SCHEMES = ("mongodb://", "mongodb+srv://")
_SETTINGS: dict[str, Any] = {
    "serverselectiontimeoutms": 5_000,
    "connecttimeoutms": 5_000,
    "sockettimeoutms": 30_000,
    "appname": "eventide",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A server or a replica set: a connection string (`address`) without a password, or the environment variable `env`
    that holds one.
    """

    address: str | None = None
    env: str | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.env is None):
            raise ValueError(
                'say where MongoDB is, once: address="mongodb://host:27017", or env="NAME" of the environment variable '
                "that holds such a text"
            )
        if self.address is None:
            return
        if not self.address.startswith(_SCHEMES):
            raise ValueError("address= must begin with mongodb:// or mongodb+srv://")
        if _holds_a_secret(self.address):
            raise ValueError(
                "address= holds a user or a password, which would stand in plans and logs: put the whole text into an "
                "environment variable and name it with env="
            )

    def connect(self) -> MongoClient[dict[str, Any]]:
        """A client, which connects when it is used. Raises `SinkError` when the address cannot be read."""
        driver()
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError

        text = self.address if self.env is None else os.environ.get(self.env)
        if not text:
            raise SinkError(f"the environment variable {self.env} is not set: it must hold where MongoDB is")
        where = "address=" if self.env is None else f"the environment variable {self.env}"
        try:
            given = {name.lower() for name in parse_qs(urlsplit(text).query)}
            return MongoClient(text, **{name: one for name, one in _SETTINGS.items() if name not in given})
        except (PyMongoError, ValueError):  # what they say may be a piece of a password
            raise SinkError(
                f"{where} cannot be read as a connection string: write mongodb://user:password@host:27017/, with "
                "%40 for @ and %2F for / in a password"
            ) from None

    def as_tree(self) -> dict[str, str]:
        """The deployment as plain values."""
        return {"env": self.env} if self.env is not None else {"address": str(self.address)}


def _holds_a_secret(address: str) -> bool:
    try:
        parts = urlsplit(address)
        named = " ".join(parse_qs(parts.query)).lower()
    except ValueError:
        return True
    return "@" in address or any(word in named for word in ("password", "mechanismproperties"))


def driver() -> None:
    """Raises `SinkError` when the client is not installed."""
    if not is_installed():
        raise SinkError("the client of MongoDB is not installed: pip install eventide[mongodb]")


def is_installed() -> bool:
    """True when the client is there."""
    return find_spec("pymongo") is not None
