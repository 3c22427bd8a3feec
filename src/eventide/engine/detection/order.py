"""The order: rows wait until the watermark has passed them and come out sorted by event time, then log, then offset.

Law: everything that comes out lies in front of everything that comes later, whatever the cuts.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from eventide.engine.detection.stage import AT
from eventide.instants import END_OF_TIME


class Order:
    """A buffer of rows in front of the watermark."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = list(by)
        self.waiting: pl.DataFrame | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows that lie at or behind the instant released last."""
        if rows.height:
            self.waiting = rows if self.waiting is None else pl.concat([self.waiting, rows])

    def release(self, reached: int) -> pl.DataFrame | None:
        """The rows before an instant, in order; None when there are none."""
        if self.waiting is None:
            return None
        passed = self.waiting.get_column(AT) < reached if reached != END_OF_TIME else None
        if passed is None:
            found, self.waiting = self.waiting, self.waiting.clear()
        elif passed.any():
            found, self.waiting = self.waiting.filter(passed), self.waiting.filter(~passed)
        else:
            return None
        return found.sort(self._by, maintain_order=True) if found.height else None
