"""A stage: one step of a chain, with rows in and out in the order of event time.

Law: what a stage remembers is frames; a stage that has to look ahead holds rows back and says so in `reached`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import polars as pl

from eventide.engine.keys import CODE, KeyTable, dump_keys, key_table, load_keys
from eventide.instants import END_OF_TIME, NO_WATERMARK

Frames = dict[str, pl.DataFrame]

AT: Final = "_at"
"""Column: the instant at which a row is judged, `Int64` microseconds: event time, or the end of its window."""

JUDGED: Final = "_judged"
"""Column: true for rows that count; results that may still change pass without being looked at."""

ROW: Final = "_row"
"""Column: the row's place in its frame; rows of one instant keep their order by it."""

RULE: Final = "_rule"
"""Column of alerts: the number of the step that made the row."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What came out of a stage: rows, the instant below which no further row comes, alerts, and the rows that wait.

    `waiting` holds rows that were received but not yet reached, shaped like `rows` (None behind a scoring stage);
    `dropped` how many rows of each log a filter left out; `front` is the last instant of the stream so far.
    """

    rows: pl.DataFrame
    reached: int
    alerts: tuple[pl.DataFrame, ...] = ()
    waiting: pl.DataFrame | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    front: int = NO_WATERMARK


class Stage(Protocol):
    """One step at work."""

    def take(self, given: Taken) -> Taken:
        """The next rows, in order."""

    def snapshot(self) -> Frames:
        """Everything it remembers."""

    def restore(self, frames: Frames) -> None:
        """Take a snapshot; the stage must be fresh."""


class Codes:
    """The keys of a stage as integers."""

    def __init__(self, names: Sequence[str], schema: Mapping[str, pl.DataType]) -> None:
        self.table: KeyTable = key_table(tuple(names), schema)

    def of(self, rows: pl.DataFrame) -> pl.Series:
        """The code of each row."""
        return self.table.encode(rows).alias(CODE)

    def values(self, codes: pl.Series) -> pl.DataFrame:
        """The key columns of codes."""
        return self.table.decode(codes)

    def snapshot(self) -> Frames:
        """The codes as a frame."""
        return {"keys": dump_keys(self.table)} if self.table.names else {}

    def restore(self, frames: Frames) -> None:
        """Take the codes of a snapshot."""
        if "keys" in frames:
            load_keys(self.table, frames["keys"])


def judged(rows: pl.DataFrame) -> pl.Expr:
    """Which rows of a frame count."""
    return pl.col(JUDGED) & (pl.col("op") == "upsert") if "op" in rows.columns else pl.col(JUDGED)


def earlier(reached: int, by_us: int) -> int:
    """An instant before another; the end of time stays."""
    return reached if reached == END_OF_TIME else reached - by_us
