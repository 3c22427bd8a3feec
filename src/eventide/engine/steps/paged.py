"""Paged windows: any kind of windows in pages of keys, of which those that do not fit are on the disk.

Law: as `pages`: what comes out is what all keys together would have given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.memory import Memory
from eventide.engine.steps.judged import PLACE, Judged
from eventide.engine.steps.pages import Frames, Pages

_MIX, _SHIFT = 2_654_435_761, 2**15


class Windows(Protocol):
    """One kind of windows, as the window step has them."""

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged: ...

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]: ...

    def snapshot(self) -> Frames: ...

    def restore(self, frames: Frames) -> None: ...


class PagedWindows:
    """Windows in as many pages as memory asks for."""

    def __init__(self, make: Callable[[], Windows], memory: Memory) -> None:
        self._pages = Pages(make, _share, memory)
        self.snapshot = self._pages.snapshot
        self.restore = self._pages.restore
        self.pieces = self._pages.pieces

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Judge the rows of a batch, a page at a time."""
        pages = self._pages
        judged = pages.each(lambda number, windows: windows.on_batch(log, pages.share(rows, number), progress))
        if len(judged) == 1:
            return judged[0]
        late = pl.concat([one.late for one in judged]).sort(PLACE)
        on_time, corrected = sum(one.on_time for one in judged), sum(one.corrected for one in judged)
        return Judged([due for one in judged for due in one.results], late, on_time, corrected)

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The windows that came due without new rows."""
        found = self._pages.each(lambda _, windows: windows.on_progress(progress))
        return [due for one in found for due in one]


def _share(frame: pl.DataFrame, number: int, pages: int) -> pl.DataFrame:
    return frame.filter(pl.col(CODE) * _MIX // _SHIFT % pages == number)
