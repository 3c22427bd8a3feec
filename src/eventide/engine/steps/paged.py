"""Paged windows: any kind of windows in pages of keys, of which those that do not fit are on the disk.

Law: keys are independent of each other, so a page at a time gives what all pages at once would have given. A batch
opens every page once: slow, and never out of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import polars as pl

from eventide.engine.aggregates import stack
from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.memory import ColdFile, Memory
from eventide.engine.memory.memory import size_of
from eventide.engine.steps.judged import PLACE, Judged

Frames = dict[str, pl.DataFrame]
_T = TypeVar("_T")
_MIX, _SHIFT = 2_654_435_761, 2**15
_PAGES_MOST = 4_096
_PAGE_LEAST = 512
_ROOM = 4
"""A page takes no more than this share of what may be in memory."""


class Windows(Protocol):
    """One kind of windows, as the window step has them."""

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged: ...

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]: ...

    def snapshot(self) -> Frames: ...

    def restore(self, frames: Frames) -> None: ...


@dataclass
class _Page:
    """The windows of some keys: here, or as files."""

    windows: Windows | None
    files: dict[str, ColdFile] = field(default_factory=dict)
    held_bytes: int = 0


class PagedWindows:
    """Windows in as many pages as memory asks for, one at first."""

    def __init__(self, make: Callable[[], Windows], memory: Memory) -> None:
        self._make = make
        self._memory = memory
        self._pages = [_Page(make())]
        self._working = False
        memory.join(self)

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Judge the rows of a batch, a page at a time."""
        judged = self._each(lambda number, windows: windows.on_batch(log, self._share(rows, number), progress))
        if len(judged) == 1:
            return judged[0]
        late = pl.concat([one.late for one in judged]).sort(PLACE)
        on_time, corrected = sum(one.on_time for one in judged), sum(one.corrected for one in judged)
        return Judged([due for one in judged for due in one.results], late, on_time, corrected)

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The windows that came due without new rows."""
        return [due for one in self._each(lambda _, windows: windows.on_progress(progress)) for due in one]

    def _each(self, work: Callable[[int, Windows], _T]) -> list[_T]:
        """Work on each page. While that goes on, pages go to disk but are not split."""
        self._working = True
        done = [self._with(page, partial(work, number)) for number, page in enumerate(self._pages)]
        self._working = False
        self._memory.settle()
        return done

    def _with(self, page: _Page, work: Callable[[Windows], _T]) -> _T:
        """Work on a page, which goes back to the disk afterwards when there is no room."""
        if page.windows is None:
            page.windows = self._opened(page.files)
            page.files = {}
        done = work(page.windows)
        page.held_bytes = size_of(page.windows.snapshot().values())
        self._memory.settle()
        return done

    def _opened(self, files: Mapping[str, ColdFile]) -> Windows:
        windows = self._make()
        windows.restore({name: file.all() for name, file in files.items()})
        for file in files.values():
            file.remove()
        return windows

    def _share(self, frame: pl.DataFrame, number: int) -> pl.DataFrame:
        pages = len(self._pages)
        return frame if pages == 1 else frame.filter(pl.col(CODE) * _MIX // _SHIFT % pages == number)

    @property
    def held_bytes(self) -> int:
        """The bytes of the pages that are here."""
        return sum(page.held_bytes for page in self._pages if page.windows is not None)

    def spill(self) -> None:
        """Put all pages on the disk, more and smaller ones where they have grown."""
        pages, largest = len(self._pages), max(page.held_bytes for page in self._pages)
        while largest * _ROOM > self._memory.limit_bytes and largest > _PAGE_LEAST and pages < _PAGES_MOST:
            pages, largest = pages * 2, largest // 2
        if pages > len(self._pages) and not self._working:
            self._split(pages)
            return
        for page in self._pages:
            self._put_away(page)

    def _split(self, pages: int) -> None:
        """So many pages instead of those there are: page n of k goes into n, n + k, n + 2 k."""
        old, self._pages = self._pages, [_Page(None) for _ in range(pages)]
        for number, page in enumerate(old):
            whole = self._frames(page)
            for place in range(number, pages, len(old)):
                mine = {name: self._share(frame, place) for name, frame in whole.items()}
                self._pages[place] = _Page(None, self._stored(mine), size_of(mine.values()))
            for file in page.files.values():
                file.remove()

    def _frames(self, page: _Page) -> Frames:
        if page.windows is not None:
            return page.windows.snapshot()
        return {name: file.all() for name, file in page.files.items()}

    def _put_away(self, page: _Page) -> None:
        if page.windows is not None:
            page.files = self._stored(page.windows.snapshot())
            page.windows = None

    def _stored(self, frames: Frames) -> dict[str, ColdFile]:
        return {name: ColdFile(self._memory, frame) for name, frame in frames.items()}

    def snapshot(self) -> Frames:
        """The state as frames."""
        named: dict[str, list[pl.DataFrame]] = {}
        for page in self._pages:
            for name, frame in self._frames(page).items():
                named.setdefault(name, []).append(frame)
        return {name: stack(frames) for name, frames in named.items()}

    def restore(self, frames: Frames) -> None:
        """Take the state of a snapshot."""
        for page in self._pages:
            for file in page.files.values():
                file.remove()
        self._pages = [_Page(self._make(), {}, size_of(frames.values()))]
        assert self._pages[0].windows is not None
        self._pages[0].windows.restore(frames)
        self._memory.settle()
