"""Paged rows: joins and captures in pages of keys, of which those that do not fit are on the disk.

Law: as `pages`: rows of different keys never meet, so what comes out is the same rows in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import polars as pl

from eventide.engine.clocks import CommonProgress
from eventide.engine.memory import Memory
from eventide.engine.steps.matching import Deriving, Made
from eventide.engine.steps.pages import Pages

_SEED = 5


class PagedRows:
    """A step that makes rows of others by `keys`, in as many pages as memory asks for."""

    def __init__(self, make: Callable[[], Deriving], keys: Sequence[str], memory: Memory) -> None:
        keys = list(keys)

        def share(frame: pl.DataFrame, number: int, pages: int) -> pl.DataFrame:
            return frame.filter(frame.select(keys).hash_rows(seed=_SEED) % pages == number)

        self._any = make()
        self._pages = Pages(make, share, memory)
        self.schema, self.order, self.reach_us = self._any.schema, self._any.order, self._any.reach_us
        self.held_back = self._any.held_back
        self.snapshot, self.restore = self._pages.snapshot, self._pages.restore
        self.pieces = self._pages.pieces

    def take(self, side: int, rows: pl.DataFrame, progress: CommonProgress, other: int) -> Made:
        """The next rows of a side, a page at a time."""
        pages = self._pages
        made = pages.each(lambda number, step: step.take(side, pages.share(rows, number), progress, other))
        if len(made) == 1:
            return made[0]
        absorbed: Counter[str] = Counter()
        for one in made:
            absorbed.update(one.absorbed)
        found = [one.rows for one in made if one.rows.height]
        together = pl.concat(found, how="diagonal").sort(self.order, maintain_order=True) if found else pl.DataFrame()
        return Made(together, dict(absorbed))


def paged(make: Callable[[], Deriving], keys: Sequence[str], memory: Memory | None) -> Deriving:
    """The step, in pages where memory is bounded."""
    return make() if memory is None else PagedRows(make, keys, memory)
