"""The windows that came out, and the events that came too late for them.

Law: an event is lost to a row of a window where it came behind that row, or was never taken into the window at all.
What is remembered is bounded: a sample of the windows, chosen by key and start, of the time in which events still come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from eventide.engine.aggregates import TIME
from eventide.engine.keys import CODE
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.judged import BEFORE, PLACE

WINDOWS_MOST: Final = 65_536
_PRIME = 2**31 - 1
_WINDOW = [CODE, "window_start"]
_OUT = {CODE: pl.Int64(), "window_start": pl.Int64(), "window_end": pl.Int64(), "class": pl.Int64()}
_WAITING = {CODE: pl.Int64(), "window_start": pl.Int64(), "window_end": pl.Int64(), "n": pl.Int64()}


@dataclass
class CameOut:
    """The rows of windows that went out (`out`: one for each window and class) and the events that windows lost before
    they came out (`waiting`). `allowed_us` is how long windows take corrections, `longest_us` how far behind a window's
    end an event came at most; one window in 2 ** `halved` is looked at. Where events are put `in_order` in front of
    windows, one behind its watermark is taken into none of its windows, those still open among them.
    """

    grid: Grid
    allowed_us: int
    in_order: bool = False
    out: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_OUT))
    waiting: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_WAITING))
    longest_us: int = 0
    halved: int = 0

    def lost(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The windows whose end the watermark had reached before the row, or that do not take it: `_code`,
        `window_start`, `window_end`, `_place`, by how much, and whether they did not take the row (`dropped`).
        """
        behind = rows.filter(pl.col(TIME) < pl.col(BEFORE)).select(CODE, TIME, BEFORE, PLACE)
        by = pl.col(BEFORE) - pl.col("window_end")
        dropped = pl.lit(True) if self.in_order else by >= self.allowed_us
        passed = _windows(behind, self.grid, all_of_them=self.in_order)
        found = passed.with_columns(by.alias("by"), dropped.alias("dropped"))
        return found.filter(self._looked_at).select(*_WINDOW, "window_end", PLACE, "by", "dropped")

    @property
    def _looked_at(self) -> pl.Expr:
        mixed = (pl.col("window_start") % _PRIME * 48_271 + pl.col(CODE) % _PRIME * 69_621) % _PRIME
        wanted: pl.Expr = mixed % 2**self.halved == 0
        return wanted

    def new(self, going: pl.DataFrame) -> pl.DataFrame:
        """The rows going out (`_code`, `window_start`, `window_end`, `class`, `present`, `_place`) that are the first
        ones of their window and class.
        """
        first = going.filter(self._looked_at).unique([*_WINDOW, "class"], keep="first", maintain_order=True)
        return first.join(self.out, on=[*_WINDOW, "class"], how="anti")

    def losses(self, lost: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        """Which classes lose events, and at which place: `class`, `_place`, `n`."""
        ever = lost.join(self.out, on=_WINDOW).select("class", PLACE, n=pl.lit(1, pl.Int64))
        now = new.select(*_WINDOW, "class", pl.col(PLACE).alias("at"))
        pairs = lost.join(now, on=_WINDOW).filter(pl.col("dropped") | (pl.col(PLACE) > pl.col("at")))
        known = pairs.select("class", pl.max_horizontal(PLACE, "at").alias(PLACE), n=pl.lit(1, pl.Int64))
        waited = now.join(self.waiting, on=_WINDOW).select("class", pl.col("at").alias(PLACE), "n")
        return pl.concat([ever, known, waited])

    def remember(self, lost: pl.DataFrame, new: pl.DataFrame) -> None:
        """All this has happened."""
        self.out = pl.concat([self.out, new.select(*_OUT)])
        dropped = lost.filter("dropped").select(*_WINDOW, "window_end", n=pl.lit(1, pl.Int64))
        if dropped.height:
            together = pl.concat([self.waiting, dropped]).group_by(_WINDOW, maintain_order=True)
            self.waiting = together.agg(pl.col("window_end").first(), pl.col("n").sum())
        if lost.height:
            self.longest_us = max(self.longest_us, int(lost.get_column("by").max()))  # type: ignore[arg-type] # integers

    def sweep(self) -> None:
        """Forget what no event comes for any more, and look at fewer windows where there are too many."""
        if self._size <= WINDOWS_MOST:
            return
        ends = [frame.get_column("window_end").max() for frame in (self.out, self.waiting) if frame.height]
        oldest = max(int(end) for end in ends) - 2 * self.longest_us  # type: ignore[arg-type] # integers
        self._keep(pl.col("window_end") >= oldest)
        while self._size > WINDOWS_MOST:
            self.halved += 1
            self._keep(self._looked_at)

    @property
    def _size(self) -> int:
        return self.out.height + self.waiting.height

    def _keep(self, wanted: pl.Expr) -> None:
        self.out, self.waiting = self.out.filter(wanted), self.waiting.filter(wanted)

    def dump(self) -> tuple[dict[str, int], dict[str, pl.DataFrame]]:
        """Plain values and frames."""
        return {"longest_us": self.longest_us, "halved": self.halved}, {"out": self.out, "waiting": self.waiting}

    def load(self, values: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> None:
        """Take them back."""
        self.longest_us, self.halved = int(values["longest_us"]), int(values["halved"])
        self.out, self.waiting = frames["out"], frames["waiting"]


def _windows(rows: pl.DataFrame, grid: Grid, *, all_of_them: bool) -> pl.DataFrame:
    """Each row with each of its windows, or with those that its watermark has passed."""
    last = grid.last(pl.col(TIME))
    if not all_of_them:
        last = pl.min_horizontal(last, grid.first_open(pl.col(BEFORE)) - 1)
    numbers = pl.int_ranges(grid.first(pl.col(TIME)), last + 1).alias("_number")
    each = rows.with_columns(numbers).explode("_number").filter(pl.col("_number").is_not_null())
    bounds: list[tuple[str, Callable[[pl.Expr], pl.Expr]]] = [("window_start", grid.start), ("window_end", grid.end)]
    return each.with_columns(bound(pl.col("_number")).alias(name) for name, bound in bounds)
