"""Chains of rows: which rows are reached from a first one when every row names the next.

Law: by doubling the step, all are found in a logarithmic number of passes.
"""

from __future__ import annotations

import polars as pl


def chosen(following: pl.Series, first: pl.Series) -> pl.Series:
    """Which rows are reached from the rows `first`, when row i is followed by row `following[i]` (the height: none).

    >>> chosen(pl.Series([2, 3, 4, 4], dtype=pl.Int64), pl.Series([0], dtype=pl.Int64)).to_list()
    [True, False, True, False]
    """
    height = following.len()
    jumps = pl.concat([following.cast(pl.Int64), pl.Series([height], dtype=pl.Int64)])
    reached = pl.Series([False]).new_from_index(0, height + 1).scatter(first.cast(pl.UInt32), True)
    step = 1
    while step < height:
        reached = reached.clone().scatter(jumps.filter(reached).cast(pl.UInt32), True)
        jumps = jumps.gather(jumps)
        step *= 2
    return reached.head(height)
