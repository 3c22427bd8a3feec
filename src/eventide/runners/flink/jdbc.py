"""Tables of PostgreSQL as Flink tables, by JDBC: the last row of each window, upserted by its identity.

Law: a password never stands in a statement; names that the connector would not quote are not let through. Upserts may
be done twice after a restart, which leaves the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import polars as pl

from eventide.connectors.postgres.config import TableName
from eventide.connectors.postgres.sink import Postgres
from eventide.engine.pipeline import Pipeline
from eventide.plan import DEAD_LETTERS, LATE, Plan, Write
from eventide.plan.types import type_name
from eventide.runners.flink import sql
from eventide.runners.outlets import identity_of

SETTINGS = {"table.exec.sink.upsert-materialize": "NONE"}
"""Rows of one window come in their order from one place: nothing has to be sorted again in front of the table."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
    current_date current_role current_time current_timestamp current_user default deferrable desc distinct do else end
    except false fetch for foreign from grant group having in initially intersect into lateral leading limit localtime
    localtimestamp not null offset on only or order placing primary references returning select session_user some
    symmetric table then to trailing true union unique user using variadic when where window with authorization binary
    collation concurrently cross current_schema freeze full ilike inner is isnull join left like natural notnull outer
    overlaps right similar tablesample verbose""".split()  # noqa: SIM905 - a hundred words read better as a text
)


def jdbc_gaps(plan: Plan, write: Write, sink: Postgres) -> Iterator[str]:
    """Why a table of PostgreSQL cannot be written there."""
    if sink.server.dsn is None:
        yield "env= names a variable of this process: give dsn=, and the cluster's machines a ~/.pgpass with passwords"
    elif _address(sink.server.dsn) is None:
        yield 'dsn= has to be of the form "postgresql://user@host:port/database" there, with no setting but sslmode'
    if sink.create:
        yield "create=True: the table has to be there before the job begins"
    if write.output in (LATE, DEAD_LETTERS) or plan.aggregate is None:
        yield f"{write.output} has no identity, and rows would come twice after a restart: write files or Kafka"
    elif plan.finish or write.output in {branch.name for branch in plan.branches}:
        yield "steps behind the windows: the job upserts whole results only"
    columns = Pipeline.of(plan, 1).output_schema(write.output)
    for name, kind in columns.items():
        if not _is_plain(name):
            yield f"column {name!r} is a name in need of quotes, which Flink's connector does not set"
        if kind.is_nested():
            yield f"column {name!r} is a {type_name(kind)}, for which Flink's connector has no type"
    named = TableName.of(sink.table)
    for name in [named.table, *([named.schema] if named.schema is not None else [])]:
        if not _is_plain(name):
            yield f"{name!r} is a name in need of quotes, which Flink's connector does not set"


def shown_columns(columns: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns that the table has: what `op` says is done, not written."""
    return {name: kind for name, kind in columns.items() if name != "op"}


def jdbc_table(called: str, plan: Plan, sink: Postgres, columns: Mapping[str, pl.DataType]) -> str:
    """The statement that names the table. Instants travel as text, which the server reads in its column's own type: the
    connector would take them for times of its machine's zone.
    """
    url = _address(sink.server.dsn or "")
    assert url is not None, "a sink with gaps is not compiled"
    shown = shown_columns(columns)
    identity = [sql.name(name) for name in identity_of(plan, columns)]
    listed = [f"{sql.name(name)} {_type(kind)}" for name, kind in shown.items()]
    listed.append(f"PRIMARY KEY ({', '.join(identity)}) NOT ENFORCED")
    settings = {"connector": "jdbc", "url": url, "table-name": sink.table, "sink.buffer-flush.interval": "1s"}
    return sql.table(called, listed, settings)


def jdbc_insert(called: str, columns: Mapping[str, pl.DataType]) -> str:
    """The statement that upserts all changes."""
    listed = ",\n  ".join(_value(name, kind) for name, kind in shown_columns(columns).items())
    return f"INSERT INTO {sql.name(called)}\nSELECT\n  {listed}\nFROM {sql.name('changes')}"


def _value(name: str, kind: pl.DataType) -> str:
    column = sql.name(name)
    return f"CONCAT(CAST({column} AS STRING), 'Z')" if isinstance(kind, pl.Datetime) else column


def _type(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Datetime):
        return "STRING"
    return "BIGINT" if isinstance(kind, pl.Duration) else sql.type_of(type_name(kind))


def _is_plain(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None and name not in _RESERVED


def _address(dsn: str) -> str | None:
    """The JDBC address of a connection string; None when it has another form."""
    try:
        parts = urlsplit(dsn)
        port = parts.port or 5432
        settings = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        return None
    database = parts.path.removeprefix("/")
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not database or parts.password:
        return None
    if set(settings) - {"sslmode"}:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    user = {} if parts.username is None else {"user": parts.username}
    return f"jdbc:postgresql://{host}:{port}/{database}?{urlencode({'stringtype': 'unspecified', **user, **settings})}"
