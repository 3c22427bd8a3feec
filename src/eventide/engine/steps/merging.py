"""Merging: the rows of one capture become one row.

Law: captures are a function of the accepted rows: sorted by event time, log and offset, the first row of a combination
of values opens a capture, and those at most `within` behind it belong to it. It comes out when the watermark has
passed that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from eventide.engine.aggregates import LOG_NAME, TIME
from eventide.engine.clocks import CommonProgress
from eventide.engine.keys import CODE
from eventide.engine.steps.counts import first_rows
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.matching import IN_ORDER, Frames, Made, appended, places_of
from eventide.instants import END_OF_TIME
from eventide.plan import Merge

_ANY_NUMBER = 2**40


class Merging:
    """The rows of captures that are still open."""

    order = IN_ORDER

    def __init__(self, spec: Merge, columns: Mapping[str, pl.DataType]) -> None:
        self._spec = spec
        self._by = list(spec.by)
        self.schema = dict(columns)
        self._open: pl.DataFrame | None = None

    @property
    def reach_us(self) -> int:
        return self._spec.within_us + 1

    def held_back(self, watermarks: Sequence[int]) -> int:
        """A capture that is open began at most `within` behind the watermark."""
        (watermark,) = watermarks
        return watermark if watermark == END_OF_TIME else watermark - self._spec.within_us

    def take(self, side: int, rows: pl.DataFrame, progress: CommonProgress, other: int) -> Made:
        """The captures that are complete."""
        self._open = appended(self._open, rows.drop(PLACE))
        if not self._open.height:
            return Made(pl.DataFrame())
        first_us = int(self._open.get_column(TIME).min())  # type: ignore[arg-type] # integers
        if first_us + self._spec.within_us >= progress.least:
            return Made(pl.DataFrame())
        numbered = self._numbered(self._open)
        began = pl.col(TIME).first().over("_capture")
        due = (began + (self._spec.within_us + 1)).clip(upper_bound=END_OF_TIME).alias("_due")
        numbered = numbered.with_columns(due)
        placed = places_of(progress, numbered.get_column("_due"))
        complete = numbered.filter(placed.is_not_null())
        self._open = numbered.filter(placed.is_null()).select(rows.drop(PLACE).columns)
        if not complete.height:
            return Made(pl.DataFrame())
        first = [pl.col(name).drop_nulls().first() for name in self.schema]
        marks = [pl.col(name).first() for name in IN_ORDER]
        merged = complete.group_by("_capture", maintain_order=True).agg(*first, *marks)
        return Made(merged.drop("_capture").sort(self.order), _absorbed(complete))

    def _numbered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows sorted by capture and `IN_ORDER`, with a number for each capture."""
        codes = rows.select(pl.struct(self._by).rank("dense").cast(pl.Int64).alias(CODE))
        ordered = pl.concat([rows, codes], how="horizontal").sort(CODE, *IN_ORDER)
        begins = first_rows(ordered, _ANY_NUMBER, self._spec.within_us + 1)
        return ordered.with_columns(begins.cast(pl.Int64).cum_sum().alias("_capture"))

    def snapshot(self) -> Frames:
        """The rows of open captures."""
        return {} if self._open is None else {"open": self._open}

    def restore(self, frames: Frames) -> None:
        """Take a snapshot."""
        self._open = frames.get("open")


def _absorbed(complete: pl.DataFrame) -> dict[str, int]:
    """How many rows of each log went into another one."""
    later = complete.filter(pl.int_range(pl.len()).over("_capture") > 0)
    counts = later.group_by(LOG_NAME).agg(pl.len())
    return dict(counts.iter_rows())
