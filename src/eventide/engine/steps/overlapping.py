"""Sliding windows that do not change once they are out: rows go into slices, slices into windows.

Law: a row is added to one slice whatever the number of windows over it. A row that is late for some of its windows
counts for the rest: it is kept apart, with the first window (`_from`) that it counts for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from eventide.engine.aggregates import TIME, AggregateState, stack
from eventide.engine.clocks import CommonProgress, Progress
from eventide.engine.keys import CODE, KeyCount
from eventide.engine.memory import Memory
from eventide.engine.steps.doubling import covers, merged_by_doubling
from eventide.engine.steps.empty import EmptyWindows
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.judged import BEFORE, Judged, no_late
from eventide.engine.steps.runs import Runs, runs_of
from eventide.engine.steps.slices import SLICE, WINDOW, Slicer
from eventide.instants import END_OF_TIME

FROM: Final = "_from"


class OverlappingWindows:
    """Each row lies in several windows (or, between windows that leave gaps, in none)."""

    def __init__(
        self,
        grid: Grid,
        keys: KeyCount,
        state: AggregateState,
        empty: EmptyWindows | None,
        memory: Memory | None = None,
    ) -> None:
        self._slicer = Slicer(grid, keys, state)
        self._grid = grid
        self._state = state
        self._empty = empty
        self._whole = runs_of(state, [SLICE, CODE], memory)
        self._partly = runs_of(state, [SLICE, CODE, FROM], memory)

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Put rows (with `_code`, `_t`, `_before`, `_place` and the inputs) into slices; close what is due."""
        if not rows.height:
            return Judged(self.on_progress(progress))
        first, last = self._grid.first(pl.col(TIME)), self._grid.last(pl.col(TIME))
        open_from = self._grid.first_open(pl.col(BEFORE))
        passed = rows.select((first < open_from) | (first > last)).to_series()
        late, partly = no_late(), rows.clear()
        if passed.any():
            behind = rows.filter(passed).with_columns(first.alias("_first"), last.alias("_last"), open_from.alias(FROM))
            behind = behind.filter(pl.col("_first") <= pl.col("_last"))
            late = self._slicer.late(behind.filter(pl.col("_last") < pl.col(FROM)))
            partly = behind.filter(pl.col("_last") >= pl.col(FROM))
        if self._empty is not None:
            self._empty.notice(stack([rows.filter(~passed), partly.select(rows.columns)]))
        self._whole.add(self._slicer.partial(rows, passed if passed.any() else None))
        if partly.height:
            sliced = partly.with_columns(self._grid.slice(pl.col(TIME)).alias(SLICE))
            self._partly.add(self._state.partial(sliced, self._partly.by))
        return Judged(self.on_progress(progress), late, on_time=rows.height - late.height)

    def stages(self, progress: CommonProgress) -> list[int]:
        """Watermarks on the way at which to close windows, so that what closes at once is not too much."""
        least, slide = progress.least, self._grid.slices_per_slide
        bound = END_OF_TIME if least == END_OF_TIME else self._grid.first_open_at(least) * slide
        cuts = self._whole.cuts(bound)
        return self._slicer.ends_before([cut // slide for cut in cuts], progress)

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The windows that came due, with their states."""
        due = self._due_in_common(progress) if isinstance(progress, CommonProgress) else self._due_by_key(progress)
        if self._empty is not None and self._whole.shape is not None:
            nothing = self._whole.shape.rename({SLICE: WINDOW}).with_columns(
                pl.lit(None, dtype=pl.Int64).alias("place")
            )
            due = self._empty.fill(nothing if due is None else due, progress)
        return [] if due is None or not due.height else [self._slicer.out(due)]

    def _due_in_common(self, progress: CommonProgress) -> pl.DataFrame | None:
        spans = [span for span in (self._whole.span, self._partly.span) if span is not None]
        if not spans:
            return None
        slide, size = self._grid.slices_per_slide, self._grid.slices_per_window
        lowest, highest = min(low for low, _ in spans), max(high for _, high in spans)
        first = max(self._grid.first_open_at(progress.before), (lowest - size) // slide + 1)
        last = highest // slide
        if progress.least != END_OF_TIME:
            last = min(last, self._grid.first_open_at(progress.least) - 1)
        if last < first:
            return None
        due = self._windows(first, last)
        for runs in (self._whole, self._partly):
            runs.take_below((last + 1) * slide)
        return due.with_columns(pl.lit(0, dtype=pl.Int64).alias("place"))

    def _windows(self, first: int, last: int) -> pl.DataFrame:
        """The states of the windows from `first` to `last`, of every key that has rows in them."""
        bound = last * self._grid.slices_per_slide + self._grid.slices_per_window
        parts = self._whole.upto(bound)
        partly = self._partly.below(bound)
        made = []
        if parts is not None and parts.height:
            made.append(self._whole_windows(parts, first, last))
        if partly is not None:
            made.append(self._slicer.merged(self._spread(partly, pl.col(FROM), first, last).drop(FROM)))
        return made[0] if len(made) == 1 else self._with_partly(*made)

    def _with_partly(self, windows: pl.DataFrame, partly: pl.DataFrame) -> pl.DataFrame:
        """Windows with what partly late rows add to a few of them."""
        pairs = partly.select(WINDOW, CODE)
        touched = windows.join(pairs, on=[WINDOW, CODE], how="semi")
        others = windows.join(pairs, on=[WINDOW, CODE], how="anti")
        return stack([others, self._slicer.merged(stack([touched, partly]))])

    def _whole_windows(self, parts: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
        if covers(self._state, parts, self._slicer.keys.size):
            return merged_by_doubling(self._state, parts, self._grid, self._slicer.keys.size, (first, last))
        return self._slicer.merged(self._spread(parts, None, first, last))

    def _spread(
        self, held: pl.DataFrame, least: pl.Expr | None, first: int | None = None, last: int | None = None
    ) -> pl.DataFrame:
        """Slice states once for each window that counts them, from window `first` to `last`."""
        slide, size = self._grid.slices_per_slide, self._grid.slices_per_window
        low, high = (pl.col(SLICE) - size) // slide + 1, pl.col(SLICE) // slide
        low = low if least is None else pl.max_horizontal(low, least)
        low = low if first is None else low.clip(lower_bound=first)
        high = high if last is None else high.clip(upper_bound=last)
        numbered = held.with_columns(low.alias("_low"), high.alias("_high")).filter(pl.col("_low") <= pl.col("_high"))
        windows = pl.int_ranges("_low", pl.col("_high") + 1, dtype=pl.Int64).alias(WINDOW)
        return numbered.with_columns(windows).explode(WINDOW, empty_as_null=False).drop("_low", "_high", SLICE)

    def _due_by_key(self, progress: Progress) -> pl.DataFrame | None:
        held = [frame for frame in (self._whole.all(), self._partly.all()) if frame is not None]
        if not held:
            return None
        spread = [self._spread(one, pl.col(FROM) if FROM in one.columns else None) for one in held]
        windows = stack([one.drop(FROM, strict=False) for one in spread])
        pairs = windows.select(CODE, WINDOW).unique()
        ends = pairs.select(self._grid.end(pl.col(WINDOW))).to_series()
        pairs = pairs.with_columns(progress.place(pairs.get_column(CODE), ends).alias("place"))
        pairs = pairs.filter(pl.col("place").is_not_null())
        if not pairs.height:
            return None
        fresh = pairs.filter(pl.col("place") >= 0)
        merged = self._slicer.merged(windows.join(fresh.drop("place"), on=[CODE, WINDOW]))
        done = pairs.group_by(CODE).agg(pl.col(WINDOW).max().alias("done"))
        for runs in (self._whole, self._partly):
            self._forget(runs, done)
        return merged.join(fresh, on=[CODE, WINDOW])

    def _forget(self, runs: Runs, done: pl.DataFrame) -> None:
        """Drop the slices that no window counts any more."""
        held = runs.all()
        if held is not None:
            marked = held.join(done, on=CODE, how="left")
            still = pl.col("done").is_null() | (pl.col(SLICE) // self._grid.slices_per_slide > pl.col("done"))
            runs.replace(marked.filter(still).drop("done"))

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """The state as frames."""
        saved = {"slices": self._whole.saved(), "partly": self._partly.saved()}
        frames = {name: frame for name, frame in saved.items() if frame is not None}
        if self._empty is not None:
            frames["empty"] = self._empty.snapshot()
        return frames

    def pieces(self) -> Iterator[dict[str, pl.DataFrame]]:
        """The frames of `snapshot` in parts."""
        yield from ({"slices": part} for part in self._whole.parts())
        yield from ({"partly": part} for part in self._partly.parts())
        if self._empty is not None:
            yield {"empty": self._empty.snapshot()}

    def restore(self, frames: dict[str, pl.DataFrame]) -> None:
        """Take the state of a snapshot."""
        self._whole.replace(frames.get("slices"))
        self._partly.replace(frames.get("partly"))
        if self._empty is not None and "empty" in frames:
            self._empty.restore(frames["empty"])
