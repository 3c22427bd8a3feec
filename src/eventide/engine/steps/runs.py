"""Runs: the slice states of a stream as a few frames, each sorted by slice.

Law: adding is cheap (frames of similar size are merged, so there are few); taking the oldest slices does not touch
the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from eventide.engine.aggregates import AggregateState, stack


class Runs:
    """Partial states grouped by `by`, of which the first column is the slice."""

    def __init__(self, state: AggregateState, by: Sequence[str]) -> None:
        self._state = state
        self.by = list(by)
        self.frames: list[pl.DataFrame] = []
        self.shape: pl.DataFrame | None = None
        """The columns of the states, in a frame without rows; None before the first."""

    @property
    def span(self) -> tuple[int, int] | None:
        """The smallest and the largest slice held; None when there is none."""
        if not self.frames:
            return None
        slices = [frame.get_column(self.by[0]) for frame in self.frames]
        return min(int(one[0]) for one in slices), max(int(one[-1]) for one in slices)

    def add(self, partial: pl.DataFrame) -> None:
        """Take in partial states; frames not twice as large as the new one are merged with it."""
        new = partial.sort(self.by[0])
        self.shape = new.clear() if self.shape is None else self.shape
        while self.frames and self.frames[-1].height < 2 * new.height:
            new = self._state.merge(stack([self.frames.pop(), new]), self.by).sort(self.by[0])
        self.frames.append(new)

    def below(self, slice_number: int) -> pl.DataFrame | None:
        """The states of all slices below a number, still held."""
        parts = [frame.head(_rows_below(frame, self.by[0], slice_number)) for frame in self.frames]
        parts = [part for part in parts if part.height]
        return stack(parts) if parts else None

    def take_below(self, slice_number: int) -> pl.DataFrame | None:
        """The states of all slices below a number, no longer held."""
        taken = self.below(slice_number)
        if taken is not None:
            kept = [frame.slice(_rows_below(frame, self.by[0], slice_number)) for frame in self.frames]
            self.frames = [frame for frame in kept if frame.height]
        return taken

    def all(self) -> pl.DataFrame | None:
        """Everything held, one row for each group."""
        if len(self.frames) > 1:
            self.frames = [self._state.merge(stack(self.frames), self.by).sort(self.by[0])]
        return self.frames[0] if self.frames else None

    def replace(self, held: pl.DataFrame | None) -> None:
        """Hold exactly this."""
        if held is not None and self.shape is None:
            self.shape = held.clear()
        self.frames = [] if held is None or not held.height else [held.sort(self.by[0])]


def _rows_below(frame: pl.DataFrame, column: str, bound: int) -> int:
    return int(frame.get_column(column).search_sorted(bound, side="left"))
