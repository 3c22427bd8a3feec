"""Where a PostgreSQL server is: a connection string without a password, or the name of the environment variable that
holds one.

Law: no password is kept, shown or written; what a connection string holds is never repeated in a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from eventide.errors import EventideError

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

_NAME = re.compile(r'(?:"((?:[^"\x00]|"")+)"|([^".\x00]+))(\.(?=.)|$)')
_SECRETS = ("password", "sslpassword", "passfile")
_SECRET_SETTING = re.compile(r"(?:^|\s)(?:ssl)?password\s*=", re.IGNORECASE)
_HOSTS = re.compile(r"[\w.\-/,:\[\]% ]*")
_PORTS = re.compile(r"[0-9, ]*")
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf", "no password")
_SETTINGS = {
    "connect_timeout": "10",
    "application_name": "eventide",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server: a connection string (`dsn`) without a password, or the environment variable `env` that holds one."""

    dsn: str | None = None
    env: str | None = None

    def __post_init__(self) -> None:
        if (self.dsn is None) == (self.env is None):
            raise ValueError(
                'say where PostgreSQL is, once: dsn="postgresql://user@host/database", or env="NAME" of the '
                "environment variable that holds such a text"
            )
        if self.dsn is not None and _holds_a_secret(self.dsn):
            raise ValueError(
                "dsn= holds a password, which would stand in plans and logs: leave it out and set PGPASSWORD or a "
                "~/.pgpass file, or put the whole text into an environment variable and name it with env="
            )

    def connect(self, fault: type[EventideError]) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection in UTC. Raises the given error when there is none to be had, in words without secrets."""
        import psycopg

        try:
            return psycopg.connect(**self._settings(fault))
        except psycopg.Error as told:
            raise Unreachable(fault, f"cannot connect to PostgreSQL: {plain(told)}") from None

    def _settings(self, fault: type[EventideError]) -> dict[str, Any]:
        psycopg = driver(fault)
        text = self.dsn if self.env is None else os.environ.get(self.env)
        if not text:
            raise fault(f"the environment variable {self.env} is not set: it must hold where PostgreSQL is")
        from_where = "dsn=" if self.env is None else f"the environment variable {self.env}"
        try:
            given = psycopg.conninfo.conninfo_to_dict(text)
        except psycopg.Error:
            given = None
        # what stands in a wrong place may be a piece of a password
        if (
            given is None
            or not _HOSTS.fullmatch(str(given.get("host") or ""))
            or not _PORTS.fullmatch(str(given.get("port") or ""))
        ):
            raise fault(
                f"{from_where} cannot be read as a connection string: write postgresql://user@host:5432/database, with "
                "%40 for @ and %2F for / in a password"
            )
        options = f"{given.get('options') or ''} -c TimeZone=UTC -c DateStyle=ISO -c client_encoding=UTF8".strip()
        return {**_SETTINGS, **given, "options": options}

    def as_tree(self) -> dict[str, str]:
        """The server as plain values."""
        return {"env": self.env} if self.env is not None else {"dsn": str(self.dsn)}


class Unreachable(Exception):
    """No connection: `told` is what to raise when it is not tried again."""

    def __init__(self, kind: type[EventideError], text: str) -> None:
        super().__init__(text)
        self.is_refusal = any(said in text for said in _REFUSALS)
        """True for what waiting does not mend: a wrong password, user or database."""
        self.told = kind(f"{text}. Check that the server runs, its address, the user and the password (PGPASSWORD)")


def driver(fault: type[EventideError]) -> Any:
    """The driver's module, if it is installed."""
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError:
        raise fault("the driver of PostgreSQL is not installed: pip install eventide[postgres]") from None
    return psycopg


def is_installed() -> bool:
    """True when the driver is there."""
    from importlib.util import find_spec

    return find_spec("psycopg") is not None


def plain(fault: BaseException) -> str:
    """What the server or the driver said, on one line."""
    diagnosis = getattr(fault, "diag", None)
    primary = getattr(diagnosis, "message_primary", None)
    detail = getattr(diagnosis, "message_detail", None)
    text = f"{primary} ({detail})" if primary and detail else (primary or str(fault))
    return " ".join(text.split()) or type(fault).__name__


def _holds_a_secret(dsn: str) -> bool:
    if "://" not in dsn:
        return _SECRET_SETTING.search(dsn) is not None
    try:
        parts = urlsplit(dsn)
        return bool(parts.password) or any(name.lower() in _SECRETS for name in parse_qs(parts.query))
    except ValueError:
        return "@" in dsn


@dataclass(frozen=True, slots=True)
class TableName:
    """The name of a table, with its schema where one is given."""

    table: str
    schema: str | None = None

    @classmethod
    def of(cls, text: str) -> TableName:
        """The name that a text stands for: `table` or `schema.table`; a part with dots in it stands in quotes.

        >>> TableName.of('weather."a.b"')
        TableName(table='a.b', schema='weather')
        """
        parts: list[str] = []
        place = 0
        while place < len(text) and (found := _NAME.match(text, place)):
            parts.append(found[1].replace('""', '"') if found[1] is not None else found[2])
            place = found.end()
        if place != len(text) or not 1 <= len(parts) <= 2:
            raise ValueError(f'table={text!r} is not the name of a table: write "table" or "schema.table"')
        return cls(parts[-1], parts[0] if len(parts) == 2 else None)

    def beside(self, table: str) -> TableName:
        """A table in the same schema."""
        return TableName(table, self.schema)

    def identifier(self) -> sql.Identifier:
        """The name as SQL."""
        from psycopg import sql

        return sql.Identifier(*([self.schema] if self.schema is not None else []), self.table)


Marks = Mapping[str, str | int]
