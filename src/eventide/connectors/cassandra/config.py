"""Where a Cassandra cluster is, and a session with it.

Law: no password is kept, shown or written; what an address holds is never repeated in a message.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote

from eventide.errors import SinkError

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::(?P<port>\d{1,5}))?")
_CONNECT_S = 20
_REQUEST_S = 20


@dataclass(frozen=True, slots=True)
class Address:
    """Some nodes of a cluster, and who we are there."""

    nodes: tuple[tuple[str, int], ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool | str = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes with commas between (`hosts`) without users, or the environment variable `env` that holds them, with
    `user:password@` in front where that is needed. `tls` encrypts: True trusts the authorities of this machine, a path
    those in that file.
    """

    hosts: str | None = None
    env: str | None = None
    tls: bool | str = False

    def __post_init__(self) -> None:
        if (self.hosts is None) == (self.env is None):
            raise ValueError(
                'say where Cassandra is, once: hosts="node1,node2:9042", or env="NAME" of the environment variable '
                'that holds such a text, "user:password@node1,node2"'
            )
        if self.hosts is not None and "@" in self.hosts:
            raise ValueError(
                "hosts= holds a user or a password, which would stand in plans and logs: put the whole text into an "
                "environment variable and name it with env="
            )
        if self.hosts is not None:
            _address(self.hosts, "hosts=")

    def address(self) -> Address:
        """Where to go. Raises `SinkError` when the environment does not say so."""
        if self.env is None:
            return replace(_address(str(self.hosts), "hosts="), tls=self.tls)
        text = os.environ.get(self.env)
        if not text:
            raise SinkError(f"the environment variable {self.env} is not set: it must hold where Cassandra is")
        try:
            return replace(_address(text, f"the environment variable {self.env}"), tls=self.tls)
        except ValueError as fault:
            raise SinkError(str(fault)) from None

    def as_tree(self) -> dict[str, str | bool]:
        """The cluster as plain values."""
        where: dict[str, str | bool] = {"env": self.env} if self.env is not None else {"hosts": str(self.hosts)}
        return where | ({"tls": self.tls} if self.tls else {})


def _address(text: str, where: str) -> Address:
    user, at, nodes = text.removeprefix("cassandra://").rpartition("@")
    found = [_HOST.fullmatch(one.strip()) for one in nodes.rstrip("/").split(",")]
    # what stands in a wrong place may be a piece of a password
    if None in found:
        raise ValueError(
            f"{where} cannot be read as addresses of Cassandra: write node1,node2:9042, with user:password@ in front "
            "in an environment variable, and %40 for @, %3A for : in a password"
        )
    name, _, password = user.partition(":")
    places = tuple((one["host"].strip("[]"), int(one["port"] or 9042)) for one in found if one is not None)
    return Address(places, unquote(name), unquote(password)) if at else Address(places)


def driver() -> Any:
    """The driver's package with the modules that we use, if it is installed."""
    if not is_installed():
        raise SinkError("the driver of Cassandra is not installed: pip install eventide[cassandra]")
    for module in ("auth", "cluster", "concurrent", "connection", "policies", "query", "util"):
        import_module(f"cassandra.{module}")
    # what goes wrong on the way is told by whoever waits for it; who has set up logging still gets the driver's lines
    logging.getLogger("cassandra").addHandler(logging.NullHandler())
    return import_module("cassandra")


def is_installed() -> bool:
    """True when the driver is there."""
    return find_spec("cassandra") is not None


def connect(address: Address, consistency: str) -> Any:
    """A session. Raises what the driver raises."""
    cassandra = driver()
    place = cassandra.cluster
    profile = place.ExecutionProfile(
        load_balancing_policy=cassandra.policies.TokenAwarePolicy(cassandra.policies.DCAwareRoundRobinPolicy()),
        consistency_level=cassandra.ConsistencyLevel.name_to_value[consistency],
        request_timeout=_REQUEST_S,
    )
    auth = None
    if address.user is not None:
        auth = cassandra.auth.PlainTextAuthProvider(address.user, address.password or "")
    cluster = place.Cluster(
        list(address.nodes),
        auth_provider=auth,
        ssl_context=_trusting(address.tls),
        connect_timeout=_CONNECT_S,
        control_connection_timeout=_CONNECT_S,
        execution_profiles={place.EXEC_PROFILE_DEFAULT: profile},
        application_name="eventide",
    )
    try:
        return cluster.connect()
    except BaseException:
        cluster.shutdown()
        raise


def _trusting(tls: bool | str) -> ssl.SSLContext | None:
    """How nodes prove who they are: by a certificate for the name or address by which we know them."""
    if not tls:
        return None
    try:
        return ssl.create_default_context(cafile=None if tls is True else tls)
    except OSError as fault:
        raise SinkError(f"tls={str(tls)!r} is not a file with certificates of authorities: {plain(fault)}") from None


def plain(fault: BaseException) -> str:
    """What the server or the driver said, on one line."""
    errors = getattr(fault, "errors", None)
    if isinstance(errors, dict) and errors:
        fault = next(iter(errors.values()))
    return " ".join(str(fault).split()) or type(fault).__name__


def is_refused(fault: BaseException) -> bool:
    """True for what waiting does not mend: a wrong password, a right that is missing."""
    cassandra = driver()
    kinds = (cassandra.AuthenticationFailed, cassandra.Unauthorized)
    errors = getattr(fault, "errors", None)
    found: Sequence[BaseException] = list(errors.values()) if isinstance(errors, dict) else [fault]
    return any(isinstance(one, kinds) for one in found)
