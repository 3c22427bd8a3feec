"""Where a NATS server is, and a connection to it.

Law: no password or token is kept, shown or written; what an address holds is never repeated in a message.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from eventide.connectors.nats.credentials import check_credentials
from eventide.errors import EventideError

if TYPE_CHECKING:
    from nats.aio.client import Client

_CONNECT_S = 5
_SCHEMES = ("", "nats", "tls", "ws", "wss")


@dataclass(frozen=True, slots=True)
class Server:
    """Addresses with commas between (`servers`) without users, or the environment variable `env` that holds them.
    `credentials` is the path of a `.creds` file.
    """

    servers: str | None = None
    env: str | None = None
    credentials: str | None = None

    def __post_init__(self) -> None:
        if (self.servers is None) == (self.env is None):
            raise ValueError(
                'say where NATS is, once: servers="nats://host:4222", or env="NAME" of the environment variable that '
                "holds such a text"
            )
        if self.servers is not None and "@" in self.servers:
            raise ValueError(
                "servers= holds a user, a password or a token, which would stand in plans and logs: put the whole text "
                "into an environment variable and name it with env=, or use credentials="
            )
        for one in (self.servers or "").split(","):
            scheme = one.strip().rpartition("://")[0]
            if self.servers is not None and (not one.strip() or scheme not in _SCHEMES):
                raise ValueError(
                    f'servers={self.servers!r} is no address of NATS: write for example "nats://host:4222"'
                )

    async def connect(self, fault: type[EventideError]) -> Client:
        """A connection. Raises the given error when waiting would not help, else what the client raises."""
        nats = driver(fault)
        text = self.servers if self.env is None else os.environ.get(self.env)
        if not text:
            raise fault(f"the environment variable {self.env} is not set: it must hold where NATS is")
        settings: dict[str, Any] = {}
        if self.credentials:
            check_credentials(self.credentials, fault)
            settings = {"user_credentials": self.credentials}
        try:
            found = await _connected(
                [one.strip() for one in text.split(",")],
                name="eventide",
                error_cb=_unsaid,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_CONNECT_S,
                **settings,
            )
        except ImportError:
            raise fault(
                "the package nkeys, which credentials= needs, is not installed: pip install eventide[nats]"
            ) from None
        except (nats.errors.AuthorizationError, ValueError) as told:
            raise fault(
                f"NATS does not let us in: {plain(told, self.env)}. Check user, password or credentials"
            ) from None
        except nats.errors.Error as told:
            if "authorization" in str(told).lower():
                raise fault("NATS does not let us in: check user, password or credentials") from None
            raise
        return found

    def as_tree(self) -> dict[str, str]:
        """The server as plain values."""
        tree = {"env": self.env} if self.env is not None else {"servers": str(self.servers)}
        return tree | ({"credentials": self.credentials} if self.credentials else {})


async def _connected(servers: list[str], **settings: Any) -> Client:
    """A connection; one that does not come about is taken down again, which the client leaves to us."""
    from nats.aio.client import Client

    made = Client()
    try:
        await made.connect(servers, **settings)
    except BaseException:
        with suppress(AssertionError, AttributeError):  # it had not begun: it reads credentials first
            await closed(made)
        raise
    return made


async def closed(connection: Client) -> None:
    """Close a connection, with its socket, which the loop does in its next rounds."""
    await connection.close()
    await asyncio.sleep(0.01)


async def _unsaid(fault: Exception) -> None:
    """What goes wrong on the way is told by whoever waits for it."""


def driver(fault: type[EventideError]) -> Any:
    """The client's module, if it is installed."""
    try:
        import nats
        import nats.errors
        import nats.js.errors
    except ImportError:
        raise fault("the client of NATS is not installed: pip install eventide[nats]") from None
    return nats


def is_installed() -> bool:
    """True when the client is there."""
    return find_spec("nats") is not None


def plain(fault: BaseException, env: str | None = None) -> str:
    """What went wrong on one line; only its kind where the text could hold a piece of an address with a password."""
    if env is not None and isinstance(fault, ValueError):
        return f"the environment variable {env} cannot be read as an address"
    return " ".join(str(fault).split()) or type(fault).__name__
