"""Empty windows on request: a known key that sent nothing in a window shows as a row with no events.

Law: a key is known from the earliest window in which it had an accepted event; it has rows for every window from
there on that its watermark has closed, but none behind the last window that has an event.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.grid import Grid
from eventide.instants import NO_WATERMARK


@dataclass
class Top:
    """The last window that any event of the stream lies in, shared by all workers; None before the first event."""

    grid: Grid
    window: int | None = None

    def see(self, rows: pl.DataFrame) -> None:
        """Look at the event times (`_t`) of a batch; those between windows that leave gaps lie in none."""
        first, last = self.grid.first(pl.col("_t")), self.grid.last(pl.col("_t"))
        furthest = rows.select(last.filter(first <= last).max()).item()
        if furthest is not None:
            self.window = furthest if self.window is None else max(self.window, furthest)


class EmptyWindows:
    """Remembers, for each key, the next window that must show."""

    def __init__(self, top: Top) -> None:
        self._grid = top.grid
        self._top = top
        self.known = pl.DataFrame(schema={CODE: pl.Int64(), "next": pl.Int64()})

    def notice(self, rows: pl.DataFrame) -> None:
        """Learn the keys of accepted rows (with `_code`, `_t` and `_before`)."""
        first = pl.max_horizontal(self._grid.first(pl.col("_t")), self._grid.first_open(pl.col("_before")))
        first = pl.when(pl.col("_before") > NO_WATERMARK).then(first).otherwise(self._grid.first(pl.col("_t")))
        seen = rows.group_by(CODE).agg(first.min().alias("next"))
        # an accepted row may belong to an earlier open window than those seen so far; closed ones are behind "next"
        self.known = pl.concat([self.known, seen]).group_by(CODE).agg(pl.col("next").min())

    def fill(self, due: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        """`due` with the empty windows that came due as well."""
        windows = self._due_windows(progress)
        if not windows.height:
            return due
        last = windows.group_by(CODE).agg((pl.col("_window").max() + 1).alias("then"))
        moved = self.known.join(last, on=CODE, how="left")
        self.known = moved.select(CODE, pl.max_horizontal("next", "then").alias("next"))
        return windows.join(due.drop("place"), on=[CODE, "_window"], how="left")

    def _due_windows(self, progress: Progress) -> pl.DataFrame:
        top = -1 if self._top.window is None else self._top.window
        listed = pl.int_ranges("next", pl.max_horizontal(pl.lit(top + 1), "next"), dtype=pl.Int64).alias("_window")
        windows = self.known.select(CODE, listed).explode("_window", empty_as_null=False)
        ends = windows.select(self._grid.end(pl.col("_window")).alias("end")).to_series()
        placed = windows.with_columns(progress.place(windows.get_column(CODE), ends).alias("place"))
        return placed.filter(pl.col("place").is_not_null())

    def snapshot(self) -> pl.DataFrame:
        """The known keys and the top window."""
        return self.known.with_columns(pl.lit(self._top.window, dtype=pl.Int64).alias("top"))

    def restore(self, saved: pl.DataFrame) -> None:
        """Take a snapshot back."""
        self.known = saved.drop("top")
        if saved.height:
            top = saved.get_column("top")[0]
            self._top.window = top if self._top.window is None else max(top, self._top.window)
