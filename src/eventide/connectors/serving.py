"""A small web server inside a run: where it listens, who may come in, and the thread it lives in.

Law: it listens beyond this machine only when a token is asked for; a web page of somebody else never gets in.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from eventide.errors import EventideError

if TYPE_CHECKING:
    from uvicorn import Server

_CONNECTIONS_MOST = 256
_FAREWELL_S = 2


def is_installed() -> bool:
    """True when what is needed to serve is there."""
    return all(find_spec(name) is not None for name in ("starlette", "uvicorn", "websockets"))


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen at."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Address:
        """The address that a text such as `"127.0.0.1:8080"` or `"[::1]:8080"` names."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError(f'address={text!r} is not an address to listen at: write for example "127.0.0.1:8080"')
        return cls("127.0.0.1" if host == "localhost" else host, int(port))

    @property
    def is_loopback(self) -> bool:
        """True when only programs of this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in: those who show the token that the environment variable `token_env` holds; of web pages only
    those from `origins`.
    """

    address: Address
    token_env: str | None = None
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.token_env is None and not self.address.is_loopback:
            raise ValueError(
                f"address={str(self.address)!r} can be reached from other machines: name the environment variable that "
                'holds a token with token_env=, or listen at "127.0.0.1:PORT"'
            )

    def token(self, fault: type[EventideError]) -> bytes | None:
        """The token; None where none is asked for."""
        if self.token_env is None:
            return None
        found = os.environ.get(self.token_env, "").strip()
        if not found:
            raise fault(
                f"the environment variable {self.token_env} is not set: it must hold the token of those who may in"
            )
        return found.encode()

    def refusal(self, headers: Mapping[str, str], token: bytes | None) -> tuple[int, str] | None:
        """The status and the reason for which somebody with these headers stays outside; None for others."""
        origin = headers.get("origin")
        if origin is not None and origin not in self.origins:
            return 403, "web pages of this origin may not come in"
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if token is not None and not (kind.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token)):
            return 401, "a token is needed: Authorization: Bearer TOKEN"
        return None


class Serving:
    """A web application that listens until it is closed."""

    def __init__(self, app: Any, address: Address, message_bytes_most: int, fault: type[EventideError]) -> None:
        try:
            import uvicorn
        except ImportError:
            raise fault("what serves web requests is not installed: pip install eventide[http]") from None
        self._socket = _listening(address, fault)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http="h11",
            ws="websockets-sansio",
            ws_max_size=message_bytes_most,
            ws_per_message_deflate=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS_MOST,
            timeout_graceful_shutdown=_FAREWELL_S,
        )
        self._server: Server = uvicorn.Server(config)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True, name=f"eventide-{address}")
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._server.serve(sockets=[self._socket]))
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            self._socket.close()

    @property
    def is_alive(self) -> bool:
        """True while it listens."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Say farewell to those inside, and end."""
        self._server.should_exit = True
        self._thread.join()


def _listening(address: Address, fault: type[EventideError]) -> socket.socket:
    try:
        return socket.create_server(
            (address.host, address.port),
            family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
            backlog=512,
            reuse_port=False,
        )
    except OSError as told:
        raise fault(
            f"cannot listen at {address}: {told.strerror or told}. Choose another address=, or end who listens there"
        ) from None
