"""Doubling: the states of overlapping windows from the states of their slices, row by row instead of by groups.

Law: the state of 2^k neighbouring slices is that of the first half merged with that of the second; a window is a few
such pieces, one for each binary digit of its length in slices. So a window of m slices costs about 2 log2(m) merges
whatever the number of windows, where grouping costs m.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.aggregates import AggregateState
from eventide.engine.keys import CODE
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.slices import SLICE, WINDOW

_CELLS_FOR_A_ROW = 4
_CELLS_MOST = 2**31


def covers(state: AggregateState, parts: pl.DataFrame, keys: int) -> bool:
    """True when a table of every slice with every key would not be much larger than the states that there are."""
    if not state.pairs:
        return False
    slices = parts.get_column(SLICE)
    cells = (int(slices.max()) - int(slices.min()) + 1) * keys  # type: ignore[arg-type] # integers
    return cells <= min(_CELLS_FOR_A_ROW * parts.height, _CELLS_MOST)


def merged_by_doubling(
    state: AggregateState, parts: pl.DataFrame, grid: Grid, keys: int, windows: tuple[int, int]
) -> pl.DataFrame:
    """The states of the windows from the first to the last of `windows`; `parts` has one row a slice and key."""
    first, last = windows
    slide, size = grid.slices_per_slide, grid.slices_per_window
    low, high = first * slide, last * slide + size
    table = _table(parts.filter(pl.col(SLICE) >= low), low, (high - low) * keys, keys)
    piece, length = table, 1
    whole: pl.DataFrame | None = None
    taken = 0
    while length <= size:
        if size & length:
            shifted = piece.slice(taken * keys)
            whole = shifted if whole is None else _both(state, whole, shifted)
            taken += length
        piece = _both(state, piece, piece.slice(length * keys)) if 2 * length <= size else piece
        length *= 2
    assert whole is not None
    wanted = pl.int_range(0, (last - first) * slide * keys + keys, dtype=pl.Int64, eager=True)
    if slide > 1:
        wanted = wanted.filter((wanted // keys) % slide == 0)
    made = whole[wanted] if slide > 1 else whole.head(wanted.len())
    number = wanted // keys
    marks = [(number // slide + first).alias(WINDOW), (wanted - number * keys).alias(CODE)]
    return made.hstack(marks).filter(pl.col(state.terms[0].name) > 0)


def _table(parts: pl.DataFrame, low: int, cells: int, keys: int) -> pl.DataFrame:
    """The states of every slice with every key, in this order; states without rows are null."""
    cell = (pl.col(SLICE) - low) * keys + pl.col(CODE)
    placed = parts.select(cell.alias("_cell"), pl.exclude(SLICE, CODE))
    every = pl.int_range(0, cells, dtype=pl.Int64, eager=True).alias("_cell").to_frame()
    if placed.height == cells:
        return placed.sort("_cell").drop("_cell")
    return every.join(placed, on="_cell", how="left", maintain_order="left").drop("_cell")


def _both(state: AggregateState, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """Each row of `left` merged with the row of `right` at the same place; rows without a partner are cut off."""
    height = min(left.height, right.height)
    return state.merge_rows(left.head(height), right.head(height))
