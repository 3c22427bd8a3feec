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

_YEAR_1_US: Final = -62_135_596_800_000_000
_YEAR_10000_US: Final = 253_402_300_800_000_000

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

_NONE_REFUSED: Final = pl.DataFrame(schema=REFUSED_SCHEMA)

DEAD_LETTER_SCHEMA: Final = {LOG: pl.String(), **REFUSED_SCHEMA}
"""Columns of the `dead_letters` output."""


def first_reason(reasons: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """The text of the first (condition, text) whose condition is true; null where none is."""
    return pl.coalesce([pl.when(condition).then(text) for condition, text in reasons])


def rows_as_text(rows: pl.DataFrame) -> pl.Series:
    """Each row as JSON text, hidden columns left out; instants outside the years 1 to 9999 as their microseconds."""
    shown = [writable(name, dtype) for name, dtype in rows.schema.items() if not name.startswith("_")]
    return rows.select(pl.struct(shown).struct.json_encode().alias("raw")).to_series()


def writable(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as JSON can hold it: instants as text, those outside the years 1 to 9999 as their microseconds."""
    if not isinstance(dtype, pl.Datetime):
        return pl.col(name)
    instant = pl.col(name).cast(INSTANT).cast(pl.Int64)
    inside = (instant >= _YEAR_1_US) & (instant < _YEAR_10000_US)
    written = pl.when(inside).then(instant).cast(INSTANT).dt.to_string("iso:strict")
    return pl.when(inside).then(written).otherwise(instant.cast(pl.String)).alias(name)


def no_refused() -> pl.DataFrame:
    """A frame of refused rows with no row in it."""
    return _NONE_REFUSED


@dataclass(frozen=True, slots=True)
class Batch:
    """A run of consecutive entries of one log.

    `rows` holds the readable rows: the user's columns with their schema types, then `_offset` and `_arrival`.
    `refused` holds the rest with a reason each. `heartbeat` is a watermark (microseconds, exclusive) that the source
    itself asserts behind the last row; null where it asserts nothing. `idle_floor` is set when the batch records
    that its log was declared idle at this place, with the stream watermark of that moment. `notes` are sentences about
    the log that people should hear once, such as a new version of its schema.
    """

    log: str
    rows: pl.DataFrame
    refused: pl.DataFrame = field(default_factory=no_refused)
    heartbeat: int | None = None
    idle_floor: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def received(self) -> int:
        """How many entries of the log this batch stands for."""
        return self.rows.height + self.refused.height
