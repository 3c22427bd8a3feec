"""Empty windows on request: a known key that sent nothing in a window shows as a row with no events.

Law: a key is known from the earliest window that an accepted event of it lies in; it has rows for every window from
there on that its watermark has closed, but none behind the last window that any accepted event lies in (decision 0035).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.slices import WINDOW
from eventide.instants import END_OF_TIME, NO_WATERMARK

_RISES: Final = {WINDOW: pl.Int64(), PLACE: pl.Int64()}


@dataclass
class Top:
    """The last window that any accepted event of the stream lies in, shared by all workers.

    `window` is that one in front of the batch (None before the first event); `rises` has the places in the batch at
    which a later one takes its turn.
    """

    grid: Grid
    allowed_us: int = 0
    window: int | None = None
    rises: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_RISES))

    @property
    def now(self) -> int | None:
        """The last window behind the batch."""
        return self.rises.get_column(WINDOW)[-1] if self.rises.height else self.window

    def begin(self, window: int | None, rises: pl.DataFrame | None = None) -> None:
        """Go on from the last window in front of a batch, and from what another process saw in the batch."""
        self.window, self.rises = window, pl.DataFrame(schema=_RISES) if rises is None else rises

    def see(self, rows: pl.DataFrame | None) -> None:
        """Look at the rows of the next batch (`_t`, `_before`, `_place`). None: nothing but a watermark comes. Rows
        between windows that leave gaps lie in none.
        """
        self.begin(self.now)
        if rows is None or not rows.height:
            return
        time = pl.col("_t")
        first, last = self.grid.first(time), self.grid.last(time)
        accepted = (first <= last) & (last >= _first_taken(self.grid, self.allowed_us, first))
        seen = rows.select(last.alias(WINDOW), PLACE, accepted.alias("_accepted")).filter("_accepted")
        highest = seen.get_column(WINDOW).max()
        if highest is None or (self.window is not None and highest <= self.window):  # type: ignore[operator] # integers
            return
        begins = -(2**62) if self.window is None else self.window
        earlier = pl.col(WINDOW).cum_max().shift(1, fill_value=begins).clip(lower_bound=begins)
        self.rises = seen.filter(pl.col(WINDOW) > earlier).select(WINDOW, PLACE)

    def place(self, windows: pl.Series) -> pl.Series:
        """Where in the batch it has come to each window: -1 before the batch, null not yet."""
        found = self.rises.get_column(WINDOW).search_sorted(windows, side="left")
        at = pl.concat([self.rises.get_column(PLACE), pl.Series([None], dtype=pl.Int64)]).gather(found)
        before = -(2**62) if self.window is None else self.window
        return at.to_frame("at").select(pl.when(pl.lit(windows) <= before).then(-1).otherwise("at")).to_series()


class EmptyWindows:
    """Remembers, for each key, the next window that must show."""

    def __init__(self, top: Top) -> None:
        self._grid = top.grid
        self._top = top
        self.known = pl.DataFrame(schema={CODE: pl.Int64(), "next": pl.Int64()})

    def notice(self, rows: pl.DataFrame) -> None:
        """Learn the keys of rows that are accepted (with `_code`, `_t` and `_before`), where nothing is corrected."""
        seen = rows.group_by(CODE).agg(_first_taken(self._grid, 0, self._grid.first(pl.col("_t"))).min().alias("next"))
        # an accepted row may belong to an earlier open window than those seen so far; closed ones are behind "next"
        self.known = pl.concat([self.known, seen]).group_by(CODE).agg(pl.col("next").min())

    def fill(self, due: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        """`due` with the empty windows that came due as well, where nothing is corrected."""
        windows = self._ended(self.known, progress)
        if not windows.height:
            return due
        if not progress.is_common:  # windows that share one watermark come out in order of their ends anyway
            risen = self._top.place(windows.get_column(WINDOW))
            windows = windows.with_columns(pl.max_horizontal("place", pl.lit(risen)).alias("place"))
        self._shown(windows)
        return windows.join(due.drop("place"), on=[CODE, WINDOW], how="left")

    def come(self, accepted: pl.DataFrame | None, held: pl.DataFrame | None, progress: Progress) -> pl.DataFrame:
        """The windows of known keys that have ended and are in reach of this batch, with the place from which on they
        are `shown`: where the key is known from them or an earlier one and the top has come to them; -1 before the
        batch. `accepted` has a row for each window of each accepted event, `held` are windows that are not final.
        """
        known = self.known
        if accepted is not None and accepted.height:
            fresh = accepted.group_by(CODE, WINDOW).agg(pl.col(PLACE).min()).sort(CODE, WINDOW)
            fresh = fresh.with_columns(pl.col(PLACE).cum_min().over(CODE).alias("learnt"))
            lowest = fresh.group_by(CODE).agg(pl.col(WINDOW).min().alias("lowest"))
            known = known.join(lowest, on=CODE, how="full", coalesce=True)
        else:
            known, fresh = known.with_columns(pl.lit(None, dtype=pl.Int64).alias("lowest")), None
        ended = self._ended(known.select(CODE, "next", pl.min_horizontal("next", "lowest").alias("from")), progress)
        was_known = (pl.col(WINDOW) >= pl.col("next")).fill_null(False)
        if held is not None:
            out = held.select(CODE, WINDOW, pl.lit(True).alias("_out"))
            ended = ended.join(out, on=[CODE, WINDOW], how="left")
            was_known = was_known | pl.col("_out").fill_null(False)
        if fresh is not None:
            learnt = fresh.select(CODE, WINDOW, "learnt").sort(WINDOW)
            ended = ended.sort(WINDOW).join_asof(learnt, on=WINDOW, by=CODE, check_sortedness=False)
        else:
            ended = ended.with_columns(pl.lit(None, dtype=pl.Int64).alias("learnt"))
        risen = self._top.place(ended.get_column(WINDOW))
        place = pl.max_horizontal(pl.when(was_known).then(-1).otherwise("learnt"), pl.lit(risen))
        come = ended.select(CODE, WINDOW, place.alias("shown"))
        self.known = known.select(CODE, pl.min_horizontal("next", "lowest").alias("next"))
        self._shown(come)
        return come

    def _ended(self, known: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        """The windows of the keys from `from` (or `next`) to the top whose ends are reached, with the `place` of it."""
        start = "from" if "from" in known.columns else "next"
        top = -(2**62) if self._top.now is None else self._top.now
        if progress.most < END_OF_TIME:
            top = min(top, self._grid.first_open_at(progress.most) - 1)
        listed = pl.int_ranges(start, pl.max_horizontal(pl.lit(top + 1), start), dtype=pl.Int64).alias(WINDOW)
        windows = known.with_columns(listed).explode(WINDOW, empty_as_null=False)
        ends = windows.select(self._grid.end(pl.col(WINDOW)).alias("end")).to_series()
        placed = windows.with_columns(progress.place(windows.get_column(CODE), ends).alias("place"))
        return placed.filter(pl.col("place").is_not_null())

    def _shown(self, windows: pl.DataFrame) -> None:
        """The windows behind these are the next to show."""
        last = windows.group_by(CODE).agg((pl.col(WINDOW).max() + 1).alias("then"))
        moved = self.known.join(last, on=CODE, how="left")
        self.known = moved.select(CODE, pl.max_horizontal("next", "then").alias("next"))

    def snapshot(self) -> pl.DataFrame:
        """The known keys and the top window."""
        return self.known.with_columns(pl.lit(self._top.now, dtype=pl.Int64).alias("top"))

    def restore(self, saved: pl.DataFrame) -> None:
        """Take a snapshot back; also the top, where nobody has seen one yet."""
        self.known = saved.drop("top")
        if self._top.now is None and saved.height:
            self._top.begin(saved.get_column("top").max())  # type: ignore[arg-type] # integers


def _first_taken(grid: Grid, allowed_us: int, first: pl.Expr) -> pl.Expr:
    """The first window of an event, the first of which is `first`, that takes it."""
    still_open = grid.first_open(pl.col(BEFORE) - allowed_us)
    return pl.when(pl.col(BEFORE) > NO_WATERMARK).then(pl.max_horizontal(first, still_open)).otherwise(first)
