"""Windows that do not overlap - tumbling, calendar, global - and do not change once they are out.

Law: a window is a slice; closing the oldest windows does not touch the states of the others.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from eventide.engine.aggregates import TIME, AggregateState
from eventide.engine.clocks import CommonProgress, Progress
from eventide.engine.keys import CODE, KeyCount
from eventide.engine.memory import Memory
from eventide.engine.steps.empty import EmptyWindows
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.judged import BEFORE, Judged, no_late
from eventide.engine.steps.runs import runs_of
from eventide.engine.steps.slices import SLICE, WINDOW, Slicer, joined, split
from eventide.instants import END_OF_TIME


class DisjointWindows:
    """Each row lies in one window, whose first result is final."""

    def __init__(
        self,
        grid: Grid,
        keys: KeyCount,
        state: AggregateState,
        empty: EmptyWindows | None,
        memory: Memory | None = None,
    ) -> None:
        self._slicer = Slicer(grid, keys, state)
        self._empty = empty
        self._runs = runs_of(state, [SLICE, CODE], memory)

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Put rows (with `_code`, `_t`, `_before`, `_place` and the inputs) into windows; close what is due."""
        if not rows.height:
            return Judged(self.on_progress(progress))
        passed = self._passed(rows)
        late = no_late() if passed is None else self._slicer.late(rows.filter(passed))
        if self._empty is not None:
            self._empty.notice(rows if passed is None else rows.filter(~passed))
        fresh = self._slicer.partial(rows, passed) if late.height < rows.height else None
        return Judged(self._close(fresh, progress), late, on_time=rows.height - late.height)

    def _passed(self, rows: pl.DataFrame) -> pl.Series | None:
        """Which rows come behind the end of their window; None where none does."""
        grid = self._slicer.grid
        earliest, furthest = int(rows.get_column(TIME).min()), int(rows.get_column(BEFORE).max())  # type: ignore[arg-type] # integers
        if furthest < END_OF_TIME and grid.slice_at(earliest) >= grid.first_open_at(furthest):
            return None
        behind = rows.select(grid.end(grid.last(pl.col(TIME))) <= pl.col(BEFORE)).to_series()
        return behind if behind.any() else None

    def stages(self, progress: CommonProgress) -> list[int]:
        """Watermarks on the way at which to close windows, so that what closes at once is not too much."""
        least = progress.least
        bound = END_OF_TIME if least == END_OF_TIME else self._slicer.grid.first_open_at(least)
        return self._slicer.ends_before(self._runs.cuts(bound), progress)

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The windows that came due without new rows."""
        return self._close(None, progress)

    def _close(self, fresh: pl.DataFrame | None, progress: Progress) -> list[pl.DataFrame]:
        if isinstance(progress, CommonProgress):
            due = self._due_in_common(fresh, progress)
        else:
            due = self._due_by_key(fresh, progress)
        if self._empty is not None and self._runs.shape is not None:
            nothing = self._runs.shape.rename({SLICE: WINDOW}).with_columns(pl.lit(None, dtype=pl.Int64).alias("place"))
            due = self._empty.fill(nothing if due is None else due, progress)
        return [] if due is None or not due.height else [self._slicer.out(due)]

    def _due_in_common(self, fresh: pl.DataFrame | None, progress: CommonProgress) -> pl.DataFrame | None:
        least = progress.least
        bound = END_OF_TIME if least == END_OF_TIME else self._slicer.grid.first_open_at(least)
        due = None
        if fresh is not None:
            due, rest = split(fresh, bound)
            self._runs.add(rest)
        old = self._runs.take_below(bound)
        if old is not None:
            due = joined(self._slicer.state, old, old.clear() if due is None else due)
        if due is None or not due.height:
            return None
        columns = [column.alias(WINDOW) if column.name == SLICE else column for column in due.get_columns()]
        return pl.DataFrame([*columns, pl.Series("place", [0], dtype=pl.Int64).new_from_index(0, due.height)])

    def _due_by_key(self, fresh: pl.DataFrame | None, progress: Progress) -> pl.DataFrame | None:
        if fresh is not None:
            self._runs.add(fresh)
        held = self._runs.all()
        if held is None:
            return None
        ends = held.select(self._slicer.grid.end(pl.col(SLICE))).to_series()
        place = progress.place(held.get_column(CODE), ends)
        is_due = place.is_not_null()
        if not is_due.any():
            return None
        self._runs.replace(held.filter(~is_due))
        return held.with_columns(place.alias("place")).filter(is_due).rename({SLICE: WINDOW})

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """The state as frames."""
        saved = self._runs.saved()
        frames = {} if saved is None else {"slices": saved}
        if self._empty is not None:
            frames["empty"] = self._empty.snapshot()
        return frames

    def pieces(self) -> Iterator[dict[str, pl.DataFrame]]:
        """The frames of `snapshot` in parts."""
        yield from ({"slices": part} for part in self._runs.parts())
        if self._empty is not None:
            yield {"empty": self._empty.snapshot()}

    def restore(self, frames: dict[str, pl.DataFrame]) -> None:
        """Take the state of a snapshot."""
        self._runs.replace(frames.get("slices"))
        if self._empty is not None and "empty" in frames:
            self._empty.restore(frames["empty"])
