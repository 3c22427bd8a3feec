"""Empty windows on request: a known key that sent nothing in a window shows as a row with no events.

Law: a key is known from the earliest window in which it had an accepted event; it has rows for every window from there on that
its watermark has closed, but none behind the window of the largest event time seen.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.grid import Grid
from eventide.instants import NO_WATERMARK


class EmptyWindows:
    """Remembers, for each key, the next window that must show."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.known = pl.DataFrame(schema={CODE: pl.Int64(), "next": pl.Int64(), "top": pl.Int64()})

    def notice(self, rows: pl.DataFrame) -> None:
        """Learn the keys of accepted rows (with `_code` and `_t`)."""
        first = pl.max_horizontal(self._grid.first(pl.col("_t")), self._grid.first_open(pl.col("_before")))
        first = pl.when(pl.col("_before") > NO_WATERMARK).then(first).otherwise(self._grid.first(pl.col("_t")))
        seen = rows.group_by(CODE).agg(first.min().alias("next"), self._grid.last(pl.col("_t")).max().alias("top"))
        old = self.known.rename({"next": "old", "top": "old_top"})
        both = old.join(seen, on=CODE, how="full", coalesce=True)
        # a key that has had rows goes on where it stands: earlier windows of it are closed
        self.known = both.select(
            CODE, pl.min_horizontal("old", "next").alias("next"), pl.max_horizontal("old_top", "top").alias("top")
        )

    def fill(self, due: pl.DataFrame | None, progress: Progress) -> pl.DataFrame | None:
        """`due` with the empty windows that came due as well."""
        windows = self._due_windows(progress)
        if not windows.height:
            return due
        last = windows.group_by(CODE).agg((pl.col("_window").max() + 1).alias("then"))
        moved = self.known.join(last, on=CODE, how="left")
        self.known = moved.select(CODE, pl.max_horizontal("next", "then").alias("next"), "top")
        if due is None:
            return windows
        return windows.join(due.drop("place"), on=[CODE, "_window"], how="left")

    def _due_windows(self, progress: Progress) -> pl.DataFrame:
        top = self.known.get_column("top").max()
        asked = self.known.select(CODE, pl.int_ranges("next", pl.lit(top) + 1, dtype=pl.Int64).alias("_window"))
        windows = asked.explode("_window", empty_as_null=False)
        ends = windows.select(self._grid.end(pl.col("_window")).alias("end")).to_series()
        placed = windows.with_columns(progress.place(windows.get_column(CODE), ends).alias("place"))
        return placed.filter(pl.col("place").is_not_null())
