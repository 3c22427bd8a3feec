"""Runs: the slice states of a stream as a few frames, each sorted by slice.

Law: adding is cheap (frames of similar size are merged, so there are few); taking the oldest slices does not touch
the others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import polars as pl

from eventide.engine.aggregates import AggregateState, stack
from eventide.engine.memory import Memory


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
        spans = [self._span(frame) for frame in self.frames]
        return min(low for low, _ in spans), max(high for _, high in spans)

    def add(self, partial: pl.DataFrame) -> None:
        """Take in partial states; frames not twice as large as the new one are merged with it."""
        self.shape = partial.clear() if self.shape is None else self.shape
        if not partial.height:
            return
        new = partial.sort(self.by[0]) if partial.height > 1 else partial
        while self.frames and self.frames[-1].height < 2 * new.height:
            new = self._together(self.frames.pop(), new)
        self.frames.append(new)

    def _together(self, one: pl.DataFrame, two: pl.DataFrame) -> pl.DataFrame:
        """Two frames as one; only slices that lie in the range of both need a merge."""
        (low_one, high_one), (low_two, high_two) = self._span(one), self._span(two)
        low, high = max(low_one, low_two), min(high_one, high_two)
        if low > high:
            return stack([one, two] if high_one < low_two else [two, one])
        cuts = [(frame, self._below(frame, low), self._below(frame, high + 1)) for frame in (one, two)]
        shared = stack([frame.slice(start, end - start) for frame, start, end in cuts])
        parts = [
            *(frame.head(start) for frame, start, _ in cuts),
            self._state.merge(shared, self.by).sort(self.by[0]),
            *(frame.slice(end) for frame, _, end in cuts),
        ]
        return stack([part for part in parts if part.height])

    def below(self, slice_number: int) -> pl.DataFrame | None:
        """The states of all slices below a number, still held: one row for each group."""
        parts = [frame.head(self._below(frame, slice_number)) for frame in self.frames]
        parts = [part for part in parts if part.height]
        if len(parts) > 1:
            return self._state.merge(stack(parts), self.by)
        return parts[0] if parts else None

    def take_below(self, slice_number: int) -> pl.DataFrame | None:
        """The states of all slices below a number, no longer held."""
        taken = self.below(slice_number)
        if taken is not None:
            kept = [frame.slice(self._below(frame, slice_number)) for frame in self.frames]
            self.frames = [frame for frame in kept if frame.height]
        return taken

    def all(self) -> pl.DataFrame | None:
        """Everything held, one row for each group."""
        while len(self.frames) > 1:
            self.frames.append(self._together(self.frames.pop(), self.frames.pop()))
        return self.frames[0] if self.frames else None

    def upto(self, slice_number: int) -> pl.DataFrame | None:
        """As `below`, in order of slice, for who asks again soon: what is held is brought together."""
        held = self.all()
        return None if held is None else held.head(self._below(held, slice_number))

    def cuts(self, slice_number: int) -> list[int]:
        """Slices at which to take what lies below a number piece by piece; none: at once."""
        return []

    def saved(self) -> pl.DataFrame | None:
        """Everything held, as a frame for a snapshot, even if there are no rows now; None before the first."""
        held = self.all()
        return self.shape if held is None else held

    def parts(self) -> Iterator[pl.DataFrame]:
        """What `saved` gives in parts; nothing before the first."""
        saved = self.saved()
        if saved is not None:
            yield saved

    def replace(self, held: pl.DataFrame | None) -> None:
        """Hold exactly this: one row for each group."""
        if held is not None and self.shape is None:
            self.shape = held.clear()
        self.frames = [] if held is None or not held.height else [held.sort(self.by[0])]

    def _span(self, frame: pl.DataFrame) -> tuple[int, int]:
        slices = frame.get_column(self.by[0])
        return int(slices[0]), int(slices[-1])

    def _below(self, frame: pl.DataFrame, slice_number: int) -> int:
        """How many rows of a frame lie below a slice."""
        low, high = self._span(frame)
        if slice_number <= low:
            return 0
        if slice_number > high:
            return frame.height
        return bisect_left(frame.get_column(self.by[0]), slice_number)


def runs_of(state: AggregateState, by: Sequence[str], memory: Memory | None) -> Runs:
    """Runs in memory, or those that can go to disk where memory is bounded."""
    if memory is None:
        return Runs(state, by)
    from eventide.engine.steps.cold_runs import ColdRuns

    return ColdRuns(state, by, memory)
