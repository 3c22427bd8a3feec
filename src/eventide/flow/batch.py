"""A batch: the next piece of one log, as columns.

Law: offsets grow strictly along a log and are never reused, so a batch says exactly which part of the log it is; where
the cuts between batches fall means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

OFFSET: Final = "_offset"
"""Column of a batch: the row's position in its log, `Int64`, strictly growing."""

ARRIVAL: Final = "_arrival"
"""Column of a batch: when the row reached us, `Datetime("us", "UTC")`, may be null where nobody knows."""

LOG: Final = "_log"
"""Column of the `late` and `dead_letters` outputs: the name of the log that the row came from."""

RAW: Final = "_raw"
"""Optional column of a batch: the row as text, where the format keeps it (for dead letters that a later rule makes)."""

INSTANT: Final = pl.Datetime("us", "UTC")
"""The type of every column of instants."""

REFUSED_SCHEMA: Final = {
    OFFSET: pl.Int64(),
    ARRIVAL: INSTANT,
    "reason": pl.String(),
    "field": pl.String(),
    "raw": pl.String(),
}
"""Columns of `Batch.refused`: rows that could not be read. `field` is null where the fault is the whole row's."""

DEAD_LETTER_SCHEMA: Final = {LOG: pl.String(), **REFUSED_SCHEMA}
"""Columns of the `dead_letters` output."""


def first_reason(reasons: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """The text of the first (condition, text) whose condition is true; null where none is."""
    return pl.coalesce([pl.when(condition).then(text) for condition, text in reasons])


def no_refused() -> pl.DataFrame:
    """A frame of refused rows with no row in it."""
    return pl.DataFrame(schema=REFUSED_SCHEMA)


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of consecutive entries of one log.

    `rows` holds the readable rows: the user's columns with their schema types, then `_offset` and `_arrival`.
    `refused` holds the rest with a reason each. `heartbeat` is a watermark (microseconds, exclusive) that the source
    itself asserts behind the last row; null where it asserts nothing. `idle_floor` is set when the batch records
    that its log was declared idle at this place, with the stream watermark of that moment.
    """

    log: str
    rows: pl.DataFrame
    refused: pl.DataFrame = field(default_factory=no_refused)
    heartbeat: int | None = None
    idle_floor: int | None = None

    @property
    def received(self) -> int:
        """How many entries of the log this batch stands for."""
        return self.rows.height + self.refused.height
