"""Cassandra as a sink: rows are upserted and deleted one by one, each change with a stamp that only grows.

Law: the table `_eventide_epochs` says for each run and output which epoch was begun and which one is whole; what an
epoch changes may be done again at any time and leads to the same rows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import polars as pl

from eventide.connectors.cassandra.config import Cluster, connect, driver, is_installed, is_refused, plain
from eventide.connectors.cassandra.table import Filling, Table, idempotent, quoted
from eventide.connectors.kinds import check_kinds
from eventide.connectors.stores import Changes, Noted, StoreEpochs, by_commit, opening_of
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Writer

Consistency = Literal["ONE", "LOCAL_ONE", "LOCAL_QUORUM", "QUORUM", "EACH_QUORUM", "ALL"]

_NAME = re.compile(r"\w{1,48}", re.ASCII)
_EPOCHS = "_eventide_epochs"
_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CassandraTable:
    """A table of a Cassandra cluster."""

    cluster: Cluster
    keyspace: str
    table: str
    create: bool = False
    consistency: Consistency = "LOCAL_QUORUM"

    def __post_init__(self) -> None:
        for where, name in (("keyspace", self.keyspace), ("table", self.table)):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{where}={name!r} is no name in Cassandra: use letters, digits and underscores, 48 at most"
                )
        if self.consistency not in get_args(Consistency):
            raise ValueError(f"consistency={self.consistency!r} is unknown: use {', '.join(get_args(Consistency))}")

    @property
    def name(self) -> str:
        return f"cassandra table {self.keyspace}.{self.table}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "cassandra"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        opening = opening_of(output, columns, identity)
        return by_commit(self._store(opening), opening)

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return StoreEpochs(self._store(opening), opening)

    def _store(self, opening: Opening) -> CassandraStore:
        return CassandraStore(self, opening)


class CassandraStore:
    """A table in a session that is made when it is needed, and made again when it broke."""

    def __init__(self, sink: CassandraTable, opening: Opening) -> None:
        self._cassandra = driver()
        self._sink = sink
        self._marks = (opening.run, opening.output)
        self._table = Table(sink.keyspace, sink.table, opening.columns, tuple(opening.identity), sink.create)
        self._noted = f"{quoted(sink.keyspace)}.{quoted(_EPOCHS)}"
        self._filling: Filling | None = None

    def prepare(self) -> Noted:
        def work(filling: Filling) -> Noted:
            text = f"SELECT run, output, epoch, stamp FROM {self._noted} WHERE target = ?"  # noqa: S608 - names are quoted
            found = list(filling.session.execute(idempotent(filling.session, text), (self._sink.table,)))
            mine = [row.epoch for row in found if (row.run, row.output) == self._marks and row.epoch is not None]
            return Noted(max(mine, default=-1), max((row.stamp or 0 for row in found), default=0))

        return self._do(work)

    def begin(self, epoch: int, stamp: int) -> None:
        self._note("epoch", epoch, stamp)

    def end(self, epoch: int, stamp: int) -> None:
        self._note("whole", epoch, stamp)

    def _note(self, what: str, epoch: int, stamp: int) -> None:
        def work(filling: Filling) -> None:
            into = f"{self._noted} (target, run, output, {what}, stamp) VALUES (?, ?, ?, ?, ?)"
            text = f"INSERT INTO {into} USING TIMESTAMP ?"
            row = (self._sink.table, *self._marks, epoch, stamp, stamp)
            filling.session.execute(idempotent(filling.session, text), row)

        self._do(work)

    def put(self, changes: Changes, stamp: int) -> None:
        self._do(lambda filling: filling.put(changes, stamp))

    def take_back(self, epochs: range, stamp: int) -> None:
        self._do(lambda filling: filling.take_back(self._marks, epochs, stamp))

    def _do(self, work: Callable[[Filling], _T]) -> _T:
        """Do work; while the cluster is away it is tried again, about half a minute long. Work may be done again."""
        for wait_s in (*_WAITS_S, None):
            try:
                return work(self._opened())
            except _passing(self._cassandra) as fault:
                self.close()
                if is_refused(fault):
                    raise SinkError(f"Cassandra does not let us in: {self._who(fault)}") from None
                if wait_s is None:
                    raise SinkError(
                        f"cannot write to {self._sink.name}: {plain(fault)}. Check that the cluster runs, its "
                        f"addresses, and that enough replicas are up for {self._sink.consistency}"
                    ) from None
            except self._cassandra.DriverException as fault:
                if is_refused(fault):
                    raise SinkError(f"Cassandra does not let us in: {self._who(fault)}") from None
                raise SinkError(f"cannot write to {self._sink.name}: {plain(fault)}") from None
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _who(self, fault: BaseException) -> str:
        if isinstance(fault, self._cassandra.Unauthorized):
            return f"{plain(fault)}. Grant SELECT and MODIFY on the keyspace, CREATE for create=True"
        return "check user and password"

    def _opened(self) -> Filling:
        if self._filling is None:
            session = connect(self._sink.cluster.address(), self._sink.consistency)
            try:
                types = self._table.prepare(session)
                self._make_notes(session)
                self._filling = Filling(session, self._table, types)
            except BaseException:
                session.cluster.shutdown()
                raise
        return self._filling

    def _make_notes(self, session: Any) -> None:
        if _EPOCHS in session.cluster.metadata.keyspaces[self._sink.keyspace].tables:
            return
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._noted} (target text, run text, output text, epoch bigint, "
            "whole bigint, stamp bigint, PRIMARY KEY ((target), run, output))"
        )

    def close(self) -> None:
        filling, self._filling = self._filling, None
        if filling is not None:
            filling.session.cluster.shutdown()


def _passing(cassandra: Any) -> tuple[type[BaseException], ...]:
    """What may be over when it is tried again."""
    return (
        cassandra.cluster.NoHostAvailable,
        cassandra.OperationTimedOut,
        cassandra.RequestExecutionException,
        cassandra.UnresolvableContactPoints,
        cassandra.connection.ConnectionException,
        cassandra.connection.ConnectionBusy,
        OSError,
    )


def write_cassandra(  # noqa: PLR0913 - where a cluster is and what is wanted of it, each with a default
    table: str,
    *,
    keyspace: str,
    hosts: str | None = None,
    env: str | None = None,
    create: bool = False,
    consistency: Consistency = "LOCAL_QUORUM",
    tls: bool | str = False,
) -> CassandraTable:
    """A sink that keeps the last row of each window in a table of Cassandra 4 or later.

    The cluster is named by `hosts`, addresses with commas between, or by `env`, the environment variable that holds
    them with `user:password@` in front. Results are upserted by keys and window, retracted rows deleted; outputs
    without identity (`late`, `dead_letters`) are appended, with the columns `_run`, `_output`, `_epoch` and `_row`.
    `create` makes the table if it is not there; the keyspace must be there. `tls=True` encrypts and trusts the
    authorities of this machine, a path those in that file. `docs/connectors/cassandra.md` has the
    types.

    >>> write_cassandra("doses", keyspace="air", hosts="127.0.0.1").name
    'cassandra table air.doses'
    """
    check_kinds(write_cassandra, locals())
    return CassandraTable(Cluster(hosts, env, tls), keyspace, table, create, consistency)
