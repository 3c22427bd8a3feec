"""The interval join: pairs of rows whose event times are close enough, and rows that the watermark proves alone.

Law: the pairs are all pairs of accepted rows with equal keys and times within the bounds (decision 0008): a row is
kept until the other side's watermark has passed every time at which a partner may lie, and no longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
from eventide.engine.clocks import CommonProgress
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.matching import (
    OTHER_LOG,
    OTHER_OFFSET,
    Frames,
    Made,
    appended,
    matches,
    places_of,
)
from eventide.instants import END_OF_TIME
from eventide.plan import IntervalJoin

_MATCHED, _PHASE, _PARTNER_TIME = "_matched", "_phase", "_partner"
_LEFT, _RIGHT = 0, 1
_NAMES = ("left", "right")
_AT_ONCE, _ALONE, _DUE = 0, 1, 2


class Intervals:
    """The rows of both sides that may still find partners. `columns` are those of each side, by their derived names."""

    order = (PLACE, _PHASE, _PARTNER_TIME, "_by_log", "_by_offset")

    def __init__(self, spec: IntervalJoin, columns: Sequence[Mapping[str, pl.DataType]]) -> None:
        self._spec = spec
        self._keys = [left for left, _ in spec.on]
        self._columns = columns
        self._kept: list[pl.DataFrame | None] = [None, None]
        # a left row at t looks for right ones between t + lower and t + upper; seen from the right it is mirrored
        self._bounds = ((spec.lower_us, spec.upper_us), (-spec.upper_us, -spec.lower_us))
        self._alone = (spec.how in ("left", "outer"), spec.how == "outer")
        self.schema = {**columns[_LEFT], **{name: t for name, t in columns[_RIGHT].items() if name not in self._keys}}

    @property
    def reach_us(self) -> int:
        return max(abs(self._spec.lower_us), abs(self._spec.upper_us)) + 1

    def held_back(self, watermarks: Sequence[int]) -> int:
        """The smaller watermark, and what may still come out alone behind it."""
        waits = [
            watermarks[1 - side] - max(self._bounds[side][1], 0)
            for side in (_LEFT, _RIGHT)
            if self._alone[side] and watermarks[1 - side] < END_OF_TIME
        ]
        return min(*watermarks, *waits)

    def take(self, side: int, rows: pl.DataFrame, progress: CommonProgress, other: int) -> Made:
        """Pairs of the new rows with kept ones, and rows of either side that are proved to be alone."""
        kept = self._kept[1 - side]
        mine = rows.with_columns(pl.lit(False).alias(_MATCHED))
        made = []
        if kept is not None and kept.height and mine.height:
            pairs = matches(mine, kept, self._keys, self._bounds[side])
            made.append(self._paired(side, mine, kept, pairs))
            mine = _marked(mine, pairs.get_column("asked"))
            kept = _marked(kept, pairs.get_column("held"))
        past = (pl.col(TIME) + self._bounds[side][1] + 1).clip(upper_bound=END_OF_TIME) <= other
        made.append(self._single(side, mine.filter(past), pl.col(PLACE), _ALONE))
        self._kept[side] = appended(self._kept[side], mine.filter(~past).drop(PLACE))
        if kept is not None:
            due = (kept.get_column(TIME) + self._bounds[1 - side][1] + 1).clip(upper_bound=END_OF_TIME)
            placed = kept.with_columns(places_of(progress, due).alias(PLACE))
            gone = placed.filter(pl.col(PLACE).is_not_null())
            made.append(self._single(1 - side, gone, pl.col(PLACE), _DUE))
            self._kept[1 - side] = kept.filter(placed.get_column(PLACE).is_null())
        found = pl.concat(made, how="diagonal")
        return Made(found.sort(self.order, maintain_order=True))

    def _paired(self, side: int, mine: pl.DataFrame, kept: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
        """The rows of pairs."""
        new, old = mine[pairs.get_column("asked")], kept[pairs.get_column("held")]
        order = old.select(
            pl.col(TIME).alias(_PARTNER_TIME), pl.col(LOG_NAME).alias("_by_log"), pl.col(ROW_OFFSET).alias("_by_offset")
        )
        left, right = (new, old) if side == _LEFT else (old, new)
        time = pl.max_horizontal(new.get_column(TIME), old.get_column(TIME))
        rows = left.select(*self._columns[_LEFT], LOG_NAME, ROW_OFFSET)
        beside = right.select(
            *(name for name in self._columns[_RIGHT] if name not in self._keys),
            pl.col(LOG_NAME).alias(OTHER_LOG),
            pl.col(ROW_OFFSET).alias(OTHER_OFFSET),
        )
        rows = pl.concat([rows, beside, order], how="horizontal")
        phase = pl.lit(_AT_ONCE, pl.Int8).alias(_PHASE)
        return rows.with_columns(pl.select(time).to_series().alias(TIME), new.get_column(PLACE), phase)

    def _single(self, side: int, rows: pl.DataFrame, place: pl.Expr, phase: int) -> pl.DataFrame:
        """The rows among these that come out alone."""
        if not self._alone[side]:
            rows = rows.clear()
        log, offset = (LOG_NAME, ROW_OFFSET) if side == _LEFT else (OTHER_LOG, OTHER_OFFSET)
        return rows.filter(~pl.col(_MATCHED)).select(
            *self._columns[side],
            pl.col(LOG_NAME).alias(log),
            pl.col(ROW_OFFSET).alias(offset),
            TIME,
            place.cast(pl.Int64).alias(PLACE),
            pl.lit(phase, pl.Int8).alias(_PHASE),
            pl.col(TIME).alias(_PARTNER_TIME),
            pl.col(LOG_NAME).alias("_by_log"),
            pl.col(ROW_OFFSET).alias("_by_offset"),
        )

    def snapshot(self) -> Frames:
        """The kept rows of both sides."""
        return {name: frame for name, frame in zip(_NAMES, self._kept, strict=True) if frame is not None}

    def restore(self, frames: Frames) -> None:
        """Take a snapshot."""
        self._kept = [frames.get(name) for name in _NAMES]


def _marked(rows: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """The rows with those of these numbers marked as matched."""
    if not numbers.len():
        return rows
    return rows.with_columns(rows.get_column(_MATCHED).clone().scatter(numbers.unique(), True))
