"""The past of each key: its last so many values, stacked in front of the new ones.

Law: what is computed from a row's past is computed from its values in their order alone, so neither the cut in front
of it nor the rows of other keys show in its bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from eventide.engine.detection.stage import Frames
from eventide.engine.keys import CODE

_VALUES_AT_ONCE = 100_000
_ROWS_AT_ONCE = 256


class Past:
    """The last `rows` rows of every key in some columns."""

    def __init__(self, rows: int, columns: dict[str, pl.DataType]) -> None:
        self._rows = rows
        self._columns = list(columns)
        self._kept = pl.DataFrame(schema={CODE: pl.Int64(), **columns})

    def stacked(self, new: pl.DataFrame) -> pl.DataFrame:
        """The kept rows and the new ones (which have `pos`), key by key in order; `nth` is the place in the key."""
        touched = self._kept.join(new.select(CODE).unique(), on=CODE, how="semi", maintain_order="left")
        old = touched.with_columns(pl.lit(None, dtype=pl.Int64).alias("pos"))
        whole = pl.concat([old, new.select(old.columns)]).sort(CODE, maintain_order=True)
        whole = whole.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over(CODE).alias("nth"))
        last = whole.filter(pl.len().over(CODE) - pl.col("nth") <= self._rows).select(CODE, *self._columns)
        rest = self._kept.join(last.select(CODE).unique(), on=CODE, how="anti", maintain_order="left")
        self._kept = pl.concat([rest, last])
        return whole

    def snapshot(self) -> Frames:
        return {"past": self._kept}

    def restore(self, frames: Frames) -> None:
        self._kept = frames["past"]


def pieces(stacked: pl.DataFrame, columns: Sequence[str], rows: int, *, itself: bool) -> Iterator[pl.DataFrame]:
    """The new rows of a stack that have a full past, piece by piece, each column also as the list of it, `{column}s`.

    The list holds the `rows` values in front of a row; with `itself` the row's own is the last of them.
    """
    size = max(_VALUES_AT_ONCE // rows, _ROWS_AT_ONCE)
    behind = rows - 1 if itself else rows
    for start in range(0, stacked.height, size):
        piece = stacked.slice(start, size)
        full = piece.select(pl.col("pos").is_not_null() & (pl.col("nth") >= behind)).to_series()
        wanted = piece.filter(full)
        if wanted.height == 0:
            continue
        firsts = full.arg_true().cast(pl.Int64) + (start - behind)
        place = pl.int_range(wanted.height * rows, dtype=pl.Int64, eager=True)
        found = firsts.gather(place // rows) + place % rows
        lists = [stacked.get_column(name).gather(found).reshape((wanted.height, rows)) for name in columns]
        yield wanted.with_columns(one.arr.to_list().alias(f"{name}s") for name, one in zip(columns, lists, strict=True))


def beginnings(stacked: pl.DataFrame, columns: Sequence[str], rows: int) -> pl.DataFrame:
    """The new rows of a stack that do not have `rows` rows yet, themselves included, with lists of what there is."""
    young = stacked.filter(pl.col("nth") < rows - 1)
    lists = [
        pl.concat_list(
            pl.when(pl.col("nth") >= back).then(pl.col(name).shift(back)) for back in reversed(range(rows - 1))
        )
        .list.drop_nulls()
        .alias(f"{name}s")
        for name in columns
    ]
    return young.with_columns(lists).drop_nulls("pos")
