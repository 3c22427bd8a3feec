"""Matching rows of two streams by key and event time, and what the steps that do it have in common.

Law: matches are found by sorting and searching, in time and memory that grow with the rows and the matches, not with
their product; null keys match nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
from eventide.engine.clocks import CommonProgress

OTHER_LOG, OTHER_OFFSET = "_log_2", "_offset_2"
"""Columns of derived rows: log and offset of the right row in them; those of the left one are `_log` and `_offset`."""

IN_ORDER = (TIME, LOG_NAME, ROW_OFFSET)
"""Event time, then log, then offset: the order of rows wherever one is needed."""

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Made:
    """Derived rows in the order in which they come out; `absorbed` counts rows of each log that went into others."""

    rows: pl.DataFrame
    absorbed: Mapping[str, int] = field(default_factory=dict)


class Deriving(Protocol):
    """Makes a derived stream of the rows of its sides. Rows have the derived names, event times, logs and places."""

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """The columns that users see."""

    @property
    def order(self) -> Sequence[str]:
        """The columns by which made rows are sorted."""

    def take(self, side: int, rows: pl.DataFrame, progress: CommonProgress, other: int) -> Made:
        """The next rows of a side with the progress of its stream watermark; `other` is the other side's."""

    def held_back(self, watermarks: Sequence[int]) -> int:
        """The watermark of the derived stream: no row with an earlier event time will come out any more."""

    @property
    def reach_us(self) -> int:
        """How far in time a row looks for others."""

    def snapshot(self) -> Frames: ...

    def restore(self, frames: Frames) -> None: ...


def appended(kept: pl.DataFrame | None, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows behind those kept."""
    return rows if kept is None or not kept.height else pl.concat([kept, rows])


def matches(asked: pl.DataFrame, held: pl.DataFrame, keys: Sequence[str], bounds_us: tuple[int, int]) -> pl.DataFrame:
    """All pairs (row number in `asked`, row number in `held`) of one key with the held row's event time between the
    asked one's plus the bounds, both included; in order of asked rows, then of `IN_ORDER`.
    """
    none = pl.DataFrame(schema={"asked": pl.Int64(), "held": pl.Int64()})
    if not asked.height or not held.height:
        return none
    by = list(keys)
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    ordered = held.select(*by, *IN_ORDER, number.alias("held")).sort(*by, *IN_ORDER).with_columns(number.alias("at"))
    moments = ordered.group_by(*by, TIME).agg(pl.col("at").min().alias("first"), pl.col("at").max().alias("last"))
    moments = moments.sort(TIME)
    spans = asked.select(
        *by,
        number.alias("asked"),
        (pl.col(TIME) + bounds_us[0]).alias("from"),
        (pl.col(TIME) + bounds_us[1]).alias("to"),
    ).sort("from")
    for edge, take, strategy in (("from", "first", "forward"), ("to", "last", "backward")):
        spans = spans.join_asof(
            moments.select(*by, TIME, take),
            left_on=edge,
            right_on=TIME,
            by=by,
            strategy=strategy,  # type: ignore[arg-type] # one of the two words
            check_sortedness=False,
            coalesce=True,
        )
    spans = spans.filter(pl.col("first") <= pl.col("last")).sort("asked")
    if not spans.height:
        return none
    ranges = spans.select("asked", pl.int_ranges("first", pl.col("last") + 1, dtype=pl.Int64).alias("at"))
    pairs = ranges.explode("at", keep_nulls=False, empty_as_null=False)
    return pairs.select("asked", ordered.get_column("held").gather(pairs.get_column("at")).alias("held"))


def places_of(progress: CommonProgress, instants: pl.Series) -> pl.Series:
    """Where the watermark reaches each instant, from 0; null not yet."""
    return progress.place(instants, instants).clip(lower_bound=0)
