"""What lake tables have in common: a commit carries rows and the epoch's number, and the table says which epoch it has.

Law: rows of the epoch that a table names, and of all before it, are there; others are not. Rows without an identity
carry `_run` and `_epoch`, by which they can be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from eventide.errors import SinkError
from eventide.flow import Opening, Stand

RETRACT = "retract"

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class LakeTable(Protocol):
    """A table whose commits are whole. Methods raise `SinkError`."""

    def stand(self) -> Stand:
        """What is sure to last; empty where every commit is."""

    def mend(self, stand: Stand) -> None:
        """Take away what a power cut left torn behind where the table stood, and make sure of the rest."""

    def epoch(self) -> int:
        """The last epoch with rows that is in the table; -1 before any."""

    def put(self, rows: pl.DataFrame, epoch: int | None) -> None:
        """Commit rows, and their epoch where there is one: upserted by their identity, or appended."""

    def take_back(self, epoch: int) -> None:
        """Go back behind an earlier epoch. Rows with an identity stay until the same windows come again."""


@dataclass
class LakeWriter:
    """Collects frames and commits them together, for runs without state."""

    table: LakeTable
    frames: list[pl.DataFrame] = field(default_factory=list)

    def write(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def commit(self) -> None:
        if self.frames:
            self.table.put(pl.concat(self.frames, how="vertical_relaxed"), None)
            self.frames = []

    def close(self) -> None:
        self.commit()

    def abort(self) -> None:
        self.frames = []


@dataclass
class LakeEpochs:
    """The rows of an output in a lake table, an epoch a commit."""

    table: LakeTable

    def stand(self) -> Stand:
        return self.table.stand()

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            self.table.put(rows, epoch)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        self.table.mend(stand)
        there = self.table.epoch()
        if there > epoch:
            self.table.take_back(epoch)
        elif there < epoch and rows.height:
            self.table.put(rows, epoch)

    def close(self) -> None:
        """Nothing is held between two epochs."""


@dataclass(frozen=True)
class Shape:
    """What the rows of an output look like in a table."""

    columns: Mapping[str, pl.DataType]
    identity: tuple[str, ...] = ()
    run: str = ""
    output: str = ""

    @classmethod
    def of(cls, opening: Opening) -> Shape:
        """The shape of an output that is opened for epochs."""
        return cls(opening.columns, tuple(opening.identity), opening.run, opening.output)

    def rows(self, rows: pl.DataFrame, epoch: int | None) -> pl.DataFrame:
        """Rows as a table holds them: one of each identity, the last; marked with run and epoch where they have none.
        Retractions are still there.
        """
        if self.identity:
            rows = rows.unique(list(self.identity), keep="last", maintain_order=True)
        elif epoch is not None:
            marks = pl.lit(self.run).alias("_run"), pl.lit(epoch, dtype=pl.Int64).alias("_epoch")
            rows = rows.with_columns(*marks)
        return plain(rows)

    def empty(self) -> pl.DataFrame:
        """A frame without rows, for a commit that only says where the table stands."""
        return self.rows(pl.DataFrame(schema=dict(self.columns)), None)


def plain(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in types that lake tables have: whole numbers of 32 and 64 bits, durations as microseconds."""
    return rows.with_columns(_plain(name, dtype) for name, dtype in rows.schema.items())


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    match dtype:
        case pl.Duration():
            return column.dt.total_microseconds()
        case pl.Int8() | pl.Int16() | pl.UInt8() | pl.UInt16():
            return column.cast(pl.Int32)
        case pl.UInt32() | pl.UInt64() | pl.Int128():
            return column.cast(pl.Int64)
        case pl.Null() | pl.Categorical() | pl.Enum():
            return column.cast(pl.String)
        case _:
            return column


def told(where: str, work: Callable[[], object], faults: tuple[type[Exception], ...]) -> None:
    """Do work on a table; its faults in words."""
    try:
        work()
    except faults as fault:
        lines = [line for line in str(fault).splitlines() if line.strip() and "<unknown>" not in line]
        text = _COLOURS.sub("", " ".join(" ".join(lines[:4]).split()))
        raise SinkError(
            f"cannot write to {where}: {text}. Mend that and start again: with a state folder the epoch is kept there "
            "and will be written then"
        ) from None
