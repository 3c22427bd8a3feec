"""Stores that change rows one by one: how rows of an epoch go there without a transaction over all of them.

Law: every change names its row, so doing it again changes nothing; every change carries a stamp, and stamps only grow,
so that one that comes late from before a kill does not win over a newer one. What an epoch changes is done entirely
before the next begins.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from eventide.connectors.by_commit import ByCommit
from eventide.flow import Opening, Stand, SystemClock, WallClock

_ROWS_AT_ONCE = 2_000
_BYTES_AT_ONCE = 16 * 2**20

MARKED: Mapping[str, pl.DataType] = {
    "_run": pl.String(),
    "_output": pl.String(),
    "_epoch": pl.Int64(),
    "_row": pl.Int64(),
}
"""The columns that identify a row of an output in which every row stands for itself."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows to be put in place of those with the same identity, and the identities of rows that go."""

    kept: pl.DataFrame
    gone: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Noted:
    """What a store has noted: the last epoch of this output that was begun (-1: none), and the largest stamp of any
    run that wrote there.
    """

    epoch: int = -1
    stamp: int = 0


class Store(Protocol):
    """A table or collection. Each method returns when the change is sure to last, or raises `SinkError`; while the
    server is away it is tried again.
    """

    def prepare(self) -> Noted:
        """Make what is missing if that is asked for, and see that it fits the rows."""

    def begin(self, epoch: int, stamp: int) -> None:
        """Note that the rows of this epoch are coming."""

    def put(self, changes: Changes, stamp: int) -> None:
        """Change rows."""

    def end(self, epoch: int, stamp: int) -> None:
        """Note that all rows of this epoch are there."""

    def take_back(self, epochs: range, stamp: int) -> None:
        """Delete the rows that these epochs appended."""

    def close(self) -> None:
        """Release the connection."""


def changes(rows: pl.DataFrame, identity: Sequence[str]) -> Changes:
    """What rows with an identity change: the last row of each counts, and goes when it is a retraction."""
    last = rows.unique(list(identity), keep="last", maintain_order=True)
    if "op" not in rows.columns:
        return Changes(last, last.clear().select(identity))
    gone = pl.col("op").eq_missing("retract")
    return Changes(last.filter(~gone).drop("op"), last.filter(gone).select(identity))


def held(columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> dict[str, pl.DataType]:
    """The columns that a store keeps of an output: all but `op`, where rows are upserted, since what it says has been
    done; with those that identify appended rows.
    """
    if identity:
        return {name: dtype for name, dtype in columns.items() if name != "op"}
    return {**MARKED, **columns}


def parts(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows in parts of some megabytes, so that what is made of them for a driver stays bounded; a larger row alone."""
    each = max(1, int(rows.estimated_size()) // max(rows.height, 1))
    size = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // each))
    for start in range(0, rows.height, size):
        yield rows.slice(start, size)


@dataclass
class StoreEpochs:
    """The rows of an output in a store. Rows without identity carry `_run`, `_output`, `_epoch` and `_row`."""

    store: Store
    opening: Opening
    noted: bool = True
    """False for a run without a state folder, which leaves no notes."""
    clock: WallClock = field(default_factory=SystemClock)
    _stamp: int = 0

    def stand(self) -> Stand:
        return {}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        stamp = self._next_stamp()
        if self.noted:
            self.store.begin(epoch, stamp)
        self.store.put(self._changes(epoch, rows), stamp)
        if self.noted:
            self.store.end(epoch, stamp)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        found = self.store.prepare()
        self._stamp = max(self._stamp, found.stamp)
        if found.epoch > epoch:
            # rows with an identity stay until the same windows come again
            if not self.opening.identity:
                self.store.take_back(range(epoch + 1, found.epoch + 1), self._next_stamp())
            self.store.begin(epoch, self._next_stamp())
        self.deliver(epoch, rows)

    def _changes(self, epoch: int, rows: pl.DataFrame) -> Changes:
        if self.opening.identity:
            return changes(rows, self.opening.identity)
        own = {"_run": self.opening.run, "_output": self.opening.output, "_epoch": epoch}
        marks = [pl.lit(value, dtype=MARKED[name]).alias(name) for name, value in own.items()]
        named = rows.with_columns(*marks, pl.int_range(rows.height, dtype=pl.Int64).alias("_row"))
        return Changes(named.select(*MARKED, *rows.columns), named.clear().select(*MARKED))

    def _next_stamp(self) -> int:
        self._stamp = max(self.clock.now_us(), self._stamp + 1)
        return self._stamp

    def close(self) -> None:
        self.store.close()


def by_commit(store: Store, opening: Opening) -> ByCommit:
    """A writer that puts rows into the store at each commit, for runs without state."""
    epochs = StoreEpochs(store, opening, noted=False)
    nothing = pl.DataFrame(schema=dict(opening.columns))
    return ByCommit(epochs.deliver, epochs.close, lambda: epochs.recover(0, nothing, {}))


def opening_of(output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Opening:
    """How a sink is opened by a run without a state folder: its rows carry a name that no other run has."""
    return Opening(output, columns, identity, uuid.uuid4().hex)
