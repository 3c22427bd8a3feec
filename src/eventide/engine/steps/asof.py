"""The as-of join: each left row with the last right row at or before it.

Law: a left row is answered once the right watermark has passed it, so no right row that could change the answer is
still to come; of right rows only those are kept that may still be some left row's last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
from eventide.engine.clocks import CommonProgress
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.matching import IN_ORDER, OTHER_LOG, OTHER_OFFSET, Frames, Made, appended, places_of
from eventide.plan import AsofJoin

_LEFT, _RIGHT = 0, 1
_RIGHT_TIME = "_right_t"


class Asof:
    """Left rows that wait and right rows that may be asked for."""

    order = (PLACE, *IN_ORDER)

    def __init__(self, spec: AsofJoin, columns: Sequence[Mapping[str, pl.DataType]]) -> None:
        self._spec = spec
        self._keys = [left for left, _ in spec.on]
        self._columns = columns
        self._added = [name for name in columns[_RIGHT] if name not in self._keys]
        self._waiting: pl.DataFrame | None = None
        self._kept: pl.DataFrame | None = None
        self.schema = {**columns[_LEFT], **{name: columns[_RIGHT][name] for name in self._added}}

    @property
    def reach_us(self) -> int:
        return 1

    def held_back(self, watermarks: Sequence[int]) -> int:
        """The smaller watermark: what waits is not before the right one."""
        return min(watermarks)

    def take(self, side: int, rows: pl.DataFrame, progress: CommonProgress, other: int) -> Made:
        """Answers to left rows that the right watermark has passed."""
        if side == _LEFT:
            past = pl.col(TIME) < other
            due = rows.filter(past)
            self._waiting = appended(self._waiting, rows.filter(~past).drop(PLACE))
            left_watermark = progress.least
        else:
            left_watermark = other
            self._kept = appended(self._kept, rows.drop(PLACE).drop_nulls(self._keys))
            if self._waiting is None:
                return self._forgetting(left_watermark, Made(pl.DataFrame()))
            placed = places_of(progress, self._waiting.get_column(TIME) + 1)
            due = self._waiting.with_columns(placed.alias(PLACE)).filter(placed.is_not_null())
            self._waiting = self._waiting.filter(placed.is_null())
        made = self._answered(due.sort(self.order)) if due.height else pl.DataFrame()
        return self._forgetting(left_watermark, Made(made))

    def _answered(self, due: pl.DataFrame) -> pl.DataFrame:
        """The left rows, in order, each with its right row or nulls."""
        kept = self._kept if self._kept is not None else pl.DataFrame(schema=self._kept_schema(due))
        last = kept.sort(*IN_ORDER).unique([*self._keys, TIME], keep="last", maintain_order=True)
        number = pl.int_range(pl.len(), dtype=pl.Int64)
        found = (
            due.select(*self._keys, TIME, number.alias("asked"))
            .sort(TIME)
            .join_asof(
                last.select(*self._keys, pl.col(TIME).alias(_RIGHT_TIME), number.alias("held")),
                left_on=TIME,
                right_on=_RIGHT_TIME,
                by=self._keys,
                strategy="backward",
                check_sortedness=False,
                coalesce=False,
            )
            .sort("asked")
        )
        if self._spec.tolerance_us is not None:
            old = pl.col(TIME) - pl.col(_RIGHT_TIME) > self._spec.tolerance_us
            found = found.with_columns(pl.when(~old).then("held").alias("held"))
        right = last.select(
            number.alias("held"),
            *self._added,
            pl.col(LOG_NAME).alias(OTHER_LOG),
            pl.col(ROW_OFFSET).alias(OTHER_OFFSET),
        )
        beside = found.select("held").join(right, on="held", how="left", maintain_order="left")
        rows = pl.concat([due, beside], how="horizontal")
        if self._spec.how == "inner":
            rows = rows.filter(pl.col("held").is_not_null())
        return rows.drop("held")

    def _forgetting(self, left_watermark: int, made: Made) -> Made:
        """Forget right rows that another one of their key stands in front of for every left row to come."""
        if self._kept is None or not self._kept.height:
            return made
        low = left_watermark
        if self._waiting is not None and self._waiting.height:
            low = min(low, int(self._waiting.get_column(TIME).min()))  # type: ignore[arg-type] # integers
        behind = self._kept.filter(pl.col(TIME) <= low)
        last = behind.sort(*IN_ORDER).unique(self._keys, keep="last", maintain_order=True)
        if self._spec.tolerance_us is not None:
            last = last.filter(pl.col(TIME) >= low - self._spec.tolerance_us)
        self._kept = pl.concat([last, self._kept.filter(pl.col(TIME) > low)])
        return made

    def _kept_schema(self, due: pl.DataFrame) -> dict[str, pl.DataType]:
        return {**self._columns[_RIGHT], **{name: due.schema[name] for name in IN_ORDER}}

    def snapshot(self) -> Frames:
        """The rows that wait and those that may be asked for."""
        both = {"waiting": self._waiting, "kept": self._kept}
        return {name: frame for name, frame in both.items() if frame is not None}

    def restore(self, frames: Frames) -> None:
        """Take a snapshot."""
        self._waiting, self._kept = frames.get("waiting"), frames.get("kept")
