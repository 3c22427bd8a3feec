"""Runs of which the older part may lie on the disk: slice states as files in order of slice.

Law: a row on the disk is read once, when its slice is taken, and in one pass with others when files are merged; what is
taken is what would have been taken from memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

import polars as pl

from eventide.engine.aggregates import AggregateState, stack
from eventide.engine.memory import ColdFile, Memory
from eventide.engine.memory.memory import size_of
from eventide.engine.steps.runs import Runs

_FILES_ALIKE = 4
_ALIKE = 4
_ALL = 2**62
_STATE_BYTES = 400
"""What a state takes while it is merged or its window closes: it, the result row, and what sorts them."""


class Cold:
    """States in a file in order of slice, of which the first `taken` rows are gone."""

    def __init__(self, memory: Memory, frame: pl.DataFrame, by: str) -> None:
        counts = _counted(frame.get_column(by))
        self._slices = counts.get_column("value")
        self._ends = counts.get_column("len").cum_sum()
        self._file = ColdFile(memory, frame)
        self.taken = 0

    @property
    def rows(self) -> int:
        """How many rows are left."""
        return self._file.rows - self.taken

    @property
    def span(self) -> tuple[int, int]:
        """The smallest and the largest slice left."""
        first = int(self._ends.search_sorted(self.taken, side="right"))
        return int(self._slices[first]), int(self._slices[-1])

    def cut(self, rows: int) -> int:
        """A slice so that about so many of the rows left lie below it, and at least one."""
        place = int(self._ends.search_sorted(self.taken + rows, side="right"))
        return max(int(self._slices[place]), self.span[0] + 1) if place < self._slices.len() else _ALL

    def counts(self) -> pl.DataFrame:
        """How many rows each slice (`value`) has left (`len`)."""
        left = (self._ends - self.taken).clip(lower_bound=0)
        rows = left - left.shift(1, fill_value=0)
        return pl.DataFrame([self._slices.alias("value"), rows.alias("len")]).filter(pl.col("len") > 0)

    def below(self, slice_number: int) -> pl.DataFrame | None:
        """The rows left of all slices below a number."""
        end = self._end(slice_number)
        return self._file.read(self.taken, end - self.taken) if end > self.taken else None

    def between(self, low: int, high: int) -> tuple[int, int]:
        """Where the rows left of slices from one number up to another stand in the file, and how many they are."""
        start = max(self.taken, self._end(low))
        return start, max(self._end(high) - start, 0)

    def blocks(self, low: int, high: int, rows_most: int) -> Iterator[pl.DataFrame]:
        """Those rows, so many at once."""
        start, rows = self.between(low, high)
        for first in range(start, start + rows, rows_most):
            yield self._file.read(first, min(rows_most, start + rows - first))

    def take_below(self, slice_number: int) -> None:
        """Those rows are gone."""
        self.taken = max(self.taken, self._end(slice_number))
        if not self.rows:
            self.remove()

    def _end(self, slice_number: int) -> int:
        place = int(self._slices.search_sorted(slice_number, side="left"))
        return int(self._ends[place - 1]) if place else 0

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        self._file.remove()


class ColdRuns(Runs):
    """Runs that can go to disk. Files of similar size are merged, so there are few."""

    def __init__(self, state: AggregateState, by: Sequence[str], memory: Memory) -> None:
        super().__init__(state, by)
        self._memory = memory
        self._cold: list[list[Cold]] = []
        """Each with its pieces in order of slice."""
        memory.join(self)

    @property
    def held_bytes(self) -> int:
        """The bytes in memory."""
        return size_of(self.frames)

    @property
    def _at_once(self) -> int:
        """How many states may be read from the disk at once."""
        return max(self._memory.limit_bytes // _STATE_BYTES, 1)

    def spill(self) -> None:
        """Put what is in memory on the disk."""
        held = super().all()
        if held is not None:
            self.frames = []
            self._cold.append([Cold(self._memory, held, self.by[0])])
            self._merge_files()

    def _merge_files(self) -> None:
        while True:
            last = self._cold[-_FILES_ALIKE:]
            sizes = [sum(piece.rows for piece in one) for one in last]
            if len(last) < _FILES_ALIKE or max(sizes) > _ALIKE * min(sizes):
                return
            del self._cold[-_FILES_ALIKE:]
            self._cold.append(list(self._merged(last)))

    def _merged(self, several: list[list[Cold]]) -> Iterable[Cold]:
        """Several files as one, a range of slices after the other."""
        left = [piece for one in several for piece in one]
        rows = max(self._at_once // len(several), 1)
        while left:
            cut = min(piece.cut(rows) for piece in left)
            parts = [part for part in (piece.below(cut) for piece in left) if part is not None]
            if parts:
                yield Cold(self._memory, self._state.merge(stack(parts), self.by).sort(self.by[0]), self.by[0])
            for piece in left:
                piece.take_below(cut)
            left = [piece for piece in left if piece.rows]

    @property
    def span(self) -> tuple[int, int] | None:
        spans = [piece.span for one in self._cold for piece in one]
        held = super().span
        spans += [] if held is None else [held]
        return (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None

    def below(self, slice_number: int) -> pl.DataFrame | None:
        parts = [piece.below(slice_number) for one in self._cold for piece in one]
        found = [part for part in (*parts, super().below(slice_number)) if part is not None]
        if len(found) > 1:
            return self._state.merge(stack(found), self.by)
        return found[0] if found else None

    def take_below(self, slice_number: int) -> pl.DataFrame | None:
        taken = super().take_below(slice_number)
        for one in self._cold:
            for piece in one:
                piece.take_below(slice_number)
        left = [[piece for piece in one if piece.rows] for one in self._cold]
        self._cold = [one for one in left if one]
        return taken

    def upto(self, slice_number: int) -> pl.DataFrame | None:
        found = self.below(slice_number)
        return None if found is None else found.sort(self.by[0])

    def all(self) -> pl.DataFrame | None:
        if not self._cold:
            return super().all()
        return self.below(_ALL)

    def parts(self) -> Iterator[pl.DataFrame]:
        """A range of slices after the other; where one slice has more than may be read at once, shares of its keys."""
        if not self._cold:
            yield from super().parts()
            return
        for low, high in pairwise([-_ALL, *self.cuts(_ALL), _ALL]):
            for part in self._range(low, high):
                yield self._state.merge(part, self.by)

    def _range(self, low: int, high: int) -> Iterator[pl.DataFrame]:
        """The states of a range of slices, those of one group together, in as many parts as memory asks for."""
        rows = sum(piece.between(low, high)[1] for one in self._cold for piece in one)
        rows += sum(self._below(frame, high) - self._below(frame, low) for frame in self.frames)
        shares = max(-(-rows // self._at_once), 1)
        key = pl.col(self.by[-1])
        for share in range(shares):
            held = [frame.slice((a := self._below(frame, low)), self._below(frame, high) - a) for frame in self.frames]
            cold = (block for one in self._cold for piece in one for block in piece.blocks(low, high, self._at_once))
            found = [part.filter(key % shares == share) if shares > 1 else part for part in chain(held, cold)]
            found = [part for part in found if part.height]
            if found:
                yield stack(found)

    def replace(self, held: pl.DataFrame | None) -> None:
        for one in self._cold:
            for piece in one:
                piece.remove()
        self._cold = []
        super().replace(held)

    def cuts(self, slice_number: int) -> list[int]:
        """Slices below a number, between two of which no more states lie than may be in memory at once, or one slice's;
        none where all together are no more.
        """
        counts = [piece.counts() for one in self._cold for piece in one]
        counts += [_counted(frame.get_column(self.by[0])) for frame in self.frames]
        if not counts:
            return []
        below = pl.concat(counts).filter(pl.col("value") < slice_number)
        rows = self._at_once
        if int(below.get_column("len").sum()) <= rows:
            return []
        slices = below.group_by("value").agg(pl.col("len").sum()).sort("value")
        part = (slices.get_column("len").cum_sum() - 1) // rows
        begins = part != part.shift(1)
        return [int(one) for one in slices.get_column("value").filter(begins.fill_null(False))]


def _counted(slices: pl.Series) -> pl.DataFrame:
    """How many rows each slice has."""
    return slices.rle().struct.unnest().select(pl.col("value").cast(pl.Int64), pl.col("len").cast(pl.Int64))
