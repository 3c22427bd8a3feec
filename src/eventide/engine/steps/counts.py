"""Count windows: the events of a key in event-time order, so many at a time.

Law: an event gets its place in the order once the watermark has passed it; until then it waits. The rows of a window
that is not full wait too, at most `size - 1` a key beside those that the watermark has not reached.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME, AggregateState, stack
from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.judged import BEFORE, PLACE, Judged, no_late
from eventide.engine.steps.results import FIRST
from eventide.semantics.windows import Count

_NUMBER = "window_number"
_STARTS = "_starts"


class CountWindows:
    """Windows of `size` events of a key, closed after a timeout at the latest."""

    def __init__(self, spec: Count, state: AggregateState) -> None:
        self._spec = spec
        self._state = state
        self.waiting: pl.DataFrame | None = None
        self.numbers = pl.DataFrame(schema={CODE: pl.Int64(), _NUMBER: pl.Int64()})

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Let rows wait for their place in the order; close windows that are full or timed out."""
        is_late = pl.col(TIME) < pl.col(BEFORE)
        behind = rows.filter(is_late)
        late = no_late()
        if behind.height:
            late = behind.select(PLACE, pl.col(TIME).alias("window_start"), (pl.col(TIME) + 1).alias("window_end"))
            rows = rows.filter(~is_late)
        if rows.height:
            new = rows.drop(PLACE, BEFORE)
            self.waiting = new if self.waiting is None else stack([self.waiting, new])
        return Judged(self.on_progress(progress), late, on_time=rows.height)

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The windows that came due, with their states."""
        if self.waiting is None or not self.waiting.height:
            return []
        placed = progress.place(self.waiting.get_column(CODE), self.waiting.get_column(TIME) + 1)
        released = self.waiting.filter(placed.is_not_null())
        if not released.height:
            return []
        windowed = self._windowed(released.sort(CODE, TIME, LOG_NAME, ROW_OFFSET))
        windows = self._bounds(windowed, progress)
        due = windows.filter(pl.col("place").is_not_null())
        if not due.height:
            return []
        members = windowed.join(due.select(CODE, "_nth"), on=[CODE, "_nth"], how="semi")
        self._forget(members)
        states = self._state.partial(members, [CODE, "_nth"])
        told = self._numbered(due).join(states, on=[CODE, "_nth"])
        marks = [
            pl.lit(FIRST).cast(pl.Int64).alias("phase"),
            pl.lit(0).cast(pl.Int64).alias("revision"),
            pl.lit(True).alias("final"),
        ]
        return [told.with_columns(marks)]

    def _windowed(self, ordered: pl.DataFrame) -> pl.DataFrame:
        """Number the windows of each key (`_nth`, from 0) over its rows in order."""
        if self._spec.timeout_us is None:
            nth = pl.int_range(pl.len(), dtype=pl.Int64).over(CODE) // self._spec.size
            return ordered.with_columns(nth.alias("_nth"))
        starts = ordered.with_columns(first_rows(ordered, self._spec.size, self._spec.timeout_us).alias(_STARTS))
        return starts.with_columns((pl.col(_STARTS).cast(pl.Int64).cum_sum().over(CODE) - 1).alias("_nth"))

    def _bounds(self, windowed: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        """Each window's start, end and the place where it is due; a window not full is due only by its timeout or at
        the end.
        """
        timeout_us = self._spec.timeout_us
        full = pl.col("n") == self._spec.size
        windows = windowed.group_by(CODE, "_nth", maintain_order=True).agg(
            pl.col(TIME).first().alias("window_start"), pl.col(TIME).last().alias("last"), pl.len().alias("n")
        )
        timed = pl.col("window_start") + timeout_us if timeout_us is not None else pl.col("last") + 1
        windows = windows.with_columns(pl.when(full).then(pl.col("last") + 1).otherwise(timed).alias("window_end"))
        place = progress.place(windows.get_column(CODE), windows.get_column("window_end"))
        windows = windows.with_columns(place.alias("place"))
        if timeout_us is None:
            ended = progress.place(windows.get_column(CODE), windows.get_column("window_end") * 0 + _END)
            windows = windows.with_columns(pl.when(full).then(pl.col("place")).otherwise(ended).alias("place"))
        return windows

    def _numbered(self, due: pl.DataFrame) -> pl.DataFrame:
        """Give the windows of each key their numbers in the run."""
        told = due.join(self.numbers, on=CODE, how="left").with_columns(
            (pl.col(_NUMBER).fill_null(0) + pl.col("_nth")).alias(_NUMBER)
        )
        new = told.group_by(CODE).agg((pl.col(_NUMBER).max() + 1).alias(_NUMBER))
        self.numbers = pl.concat([self.numbers.join(new, on=CODE, how="anti"), new])
        return told

    def _forget(self, members: pl.DataFrame) -> None:
        assert self.waiting is not None
        self.waiting = self.waiting.join(members, on=[CODE, LOG_NAME, ROW_OFFSET], how="anti")

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """The state as frames."""
        return {"numbers": self.numbers, **({} if self.waiting is None else {"waiting": self.waiting})}

    def restore(self, frames: dict[str, pl.DataFrame]) -> None:
        """Take the state of a snapshot."""
        self.numbers = frames.get("numbers", self.numbers.clear())
        self.waiting = frames.get("waiting")


_END = 2**63 - 1


def first_rows(ordered: pl.DataFrame, size: int, timeout_us: int) -> pl.Series:
    """Which rows begin a window, when a window ends after `size` rows or `timeout_us` behind its first one.

    The next window of one that begins at row i begins at next(i); the beginnings are what is reached from each key's
    first row. By doubling the step, all are found in a logarithmic number of passes.
    """
    numbered = ordered.select(CODE, TIME).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    last = (pl.col("row").max().over(CODE) + 1).alias("stop")
    numbered = numbered.with_columns(last, (pl.col(TIME) + timeout_us).alias("until"))
    after = numbered.sort("until").join_asof(
        numbered.group_by(CODE, TIME).agg(pl.col("row").min().alias("behind")).sort(TIME),
        left_on="until",
        right_on=TIME,
        by=CODE,
        strategy="forward",
        check_sortedness=False,
    )
    numbered = after.sort("row").with_columns(
        pl.min_horizontal(pl.col("row") + size, pl.col("behind").fill_null(2**62), pl.col("stop")).alias("next")
    )
    height = numbered.height
    jump = pl.when(pl.col("next") == pl.col("stop")).then(height).otherwise(pl.col("next"))
    jumps = pl.concat([numbered.select(jump.alias("next")).to_series(), pl.Series([height], dtype=pl.Int64)])
    first = numbered.select((pl.col("row") == pl.col("row").min().over(CODE)).alias("first")).to_series()
    reached = pl.concat([first, pl.Series([True])])
    step = 1
    while step < height:
        targets = jumps.filter(reached)
        reached = reached.clone().scatter(targets, True)
        jumps = jumps.gather(jumps)
        step *= 2
    return reached.head(height)
