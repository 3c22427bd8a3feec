"""Pages: a state that falls apart by keys, in pages of which those that do not fit are on the disk.

Law: keys are independent of each other, so a page at a time gives what all pages at once would have given. A batch
opens every page once: slow, and never out of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

import polars as pl

from eventide.engine.aggregates import stack
from eventide.engine.memory import ColdFile, Memory
from eventide.engine.memory.memory import size_of

Frames = dict[str, pl.DataFrame]
_PAGES_MOST = 4_096
_PAGE_LEAST = 2**15
_ROOM = 4
"""A page takes no more than this share of what may be in memory, or `_PAGE_LEAST` bytes: smaller ones cost more than
they save."""


class Framed(Protocol):
    """A state that is frames, each of them with its keys."""

    def snapshot(self) -> Frames: ...

    def restore(self, frames: Frames) -> None: ...


S = TypeVar("S", bound=Framed)
_T = TypeVar("_T")
Share = Callable[[pl.DataFrame, int, int], pl.DataFrame]
"""The rows of a frame whose keys belong to page number n of k. Those of n of 2 k all belong to n % k of k."""


@dataclass
class _Page(Generic[S]):
    """The state of some keys: here, or as files."""

    state: S | None
    files: dict[str, ColdFile] = field(default_factory=dict)
    held_bytes: int = 0


class Pages(Generic[S]):
    """A state in as many pages as memory asks for, one at first."""

    def __init__(self, make: Callable[[], S], share: Share, memory: Memory) -> None:
        self._make = make
        self._share = share
        self._memory = memory
        self._pages: list[_Page[S]] = [_Page(make())]
        self._working = False
        memory.join(self)

    def share(self, frame: pl.DataFrame, number: int) -> pl.DataFrame:
        """The rows of a frame that belong to a page."""
        return frame if len(self._pages) == 1 else self._share(frame, number, len(self._pages))

    def each(self, work: Callable[[int, S], _T]) -> list[_T]:
        """Work on each page. While that goes on, pages go to disk but are not split."""
        self._working = True
        done = [self._with(page, partial(work, number)) for number, page in enumerate(self._pages)]
        self._working = False
        self._memory.settle()
        if any(page.state is None for page in self._pages) and self._wanted > len(self._pages):
            self._split(self._wanted)
        return done

    def _with(self, page: _Page[S], work: Callable[[S], _T]) -> _T:
        """Work on a page, which goes back to the disk afterwards when there is no room."""
        if page.state is None:
            page.state = self._opened(page.files)
            page.files = {}
        done = work(page.state)
        page.held_bytes = size_of(page.state.snapshot().values())
        self._memory.settle()
        return done

    def _opened(self, files: Mapping[str, ColdFile]) -> S:
        state = self._make()
        state.restore({name: file.all() for name, file in files.items()})
        for file in files.values():
            file.remove()
        return state

    @property
    def held_bytes(self) -> int:
        """The bytes of the pages that are here."""
        return sum(page.held_bytes for page in self._pages if page.state is not None)

    def spill(self) -> None:
        """Put all pages on the disk, more and smaller ones where they have grown."""
        if self._wanted > len(self._pages) and not self._working:
            self._split(self._wanted)
            return
        for page in self._pages:
            self._put_away(page)

    @property
    def _wanted(self) -> int:
        """So many pages that the largest one, here or on the disk, leaves room for others."""
        pages, largest = len(self._pages), max(page.held_bytes for page in self._pages)
        while largest * _ROOM > self._memory.limit_bytes and largest > _PAGE_LEAST and pages < _PAGES_MOST:
            pages, largest = pages * 2, largest // 2
        return pages

    def _split(self, pages: int) -> None:
        """So many pages instead of those there are: page n of k goes into n, n + k, n + 2 k."""
        old, self._pages = self._pages, [_Page(None) for _ in range(pages)]
        for number, page in enumerate(old):
            whole = self._frames(page)
            for place in range(number, pages, len(old)):
                mine = {name: self._share(frame, place, pages) for name, frame in whole.items()}
                self._pages[place] = _Page(None, self._stored(mine), size_of(mine.values()))
            for file in page.files.values():
                file.remove()

    def _frames(self, page: _Page[S]) -> Frames:
        if page.state is not None:
            return page.state.snapshot()
        return {name: file.all() for name, file in page.files.items()}

    def _put_away(self, page: _Page[S]) -> None:
        if page.state is not None:
            page.files = self._stored(page.state.snapshot())
            page.state = None

    def _stored(self, frames: Frames) -> dict[str, ColdFile]:
        return {name: ColdFile(self._memory, frame) for name, frame in frames.items()}

    def snapshot(self) -> Frames:
        """The state as frames."""
        named: dict[str, list[pl.DataFrame]] = {}
        for page in self._pages:
            for name, frame in self._frames(page).items():
                named.setdefault(name, []).append(frame)
        return {name: stack(frames) for name, frames in named.items()}

    def pieces(self) -> Iterator[Frames]:
        """The frames of `snapshot`, a page after the other."""
        return map(self._frames, self._pages)

    def restore(self, frames: Frames) -> None:
        """Take the state of a snapshot."""
        for page in self._pages:
            for file in page.files.values():
                file.remove()
        self._pages = [_Page(self._make(), {}, size_of(frames.values()))]
        assert self._pages[0].state is not None
        self._pages[0].state.restore(frames)
        self._memory.settle()
