"""A POST request to an address that was checked.

Law: the connection goes to the address that was checked; redirects are not followed.
"""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, unquote, urlsplit

from eventide.connectors.notifications.address import Failed, Refused, addresses


class Post:
    """A target with an http or https address."""

    def __init__(self, url: str, timeout_s: float, *, allow_private: bool) -> None:
        self._parts = _parts(url)
        self._timeout_s = timeout_s
        self._allow_private = allow_private

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Deliver, or raise `Failed` (worth another try) or `Refused` (not)."""
        tls = self._parts.scheme == "https"
        host, port = self._parts.hostname or "", self._parts.port or (443 if tls else 80)
        reachable = addresses(host, port, allow_private=self._allow_private)
        connection = _Pinned(host, port, reachable[0], self._timeout_s, tls=tls)
        try:
            connection.request("POST", self._path(), body, {**self._own_headers(), **headers})
            status = connection.getresponse().status
        except (OSError, HTTPException, ValueError) as fault:
            raise Failed(f"the request did not get through ({type(fault).__name__})") from None
        finally:
            connection.close()
        _judge(status)

    def _path(self) -> str:
        return (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")

    def _own_headers(self) -> dict[str, str]:
        headers = {"User-Agent": "eventide"}
        if self._parts.username is not None:
            known = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
            headers["Authorization"] = f"Basic {b64encode(known.encode()).decode()}"
        return headers


class _Pinned(HTTPConnection):
    """A connection to one address under the host's name."""

    def __init__(self, host: str, port: int, address: str, timeout_s: float, *, tls: bool) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        opened = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = ssl.create_default_context().wrap_socket(opened, server_hostname=self.host) if self._tls else opened


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("the address is not a URL") from None
    if not parts.hostname or port == 0:
        raise Refused("the address names no host")
    return parts


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status in (408, 425, 429) or status >= 500:
        raise Failed(f"the server answered {status}")
    if 300 <= status < 400:
        raise Refused(f"the server answered {status}, and redirects are not followed: give the final address")
    raise Refused(f"the server answered {status}")
