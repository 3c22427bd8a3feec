"""What changed in a frame since another one: rows that are kept, by their places, and rows that are new.

Law: a frame put together again is the one that was taken apart, bit for bit and row for row. Hashes only say where to
look; every row that is kept was compared.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import polars as pl

START, LENGTH = "start", "length"


@dataclass(frozen=True, slots=True)
class Patch:
    """`runs` are stretches of rows, in order: from the place `start` of the frame before, or the next new ones where
    that is null. `rows` are the new ones.
    """

    runs: pl.DataFrame
    rows: pl.DataFrame


def fits(frame: pl.DataFrame) -> bool:
    """True when rows of a frame can be compared bit by bit."""
    return frame.width > 0 and all(_is_comparable(dtype) for dtype in frame.dtypes)


def difference(before: pl.DataFrame, now: pl.DataFrame, *, ordered: bool = True) -> Patch | None:
    """What makes a frame of the one before; None when they are of different columns. Where the order of rows means
    nothing (`ordered` is false), kept rows come in the order that they had, then the new ones.
    """
    if before.schema != now.schema:
        return None
    old, new = _bits(before), _bits(now)
    place = _places(old, new)
    known = place.is_not_null()
    same = _equal(old[place.drop_nulls()], new.filter(known))
    place = place.scatter(known.arg_true().filter(~same), None)
    return Patch(_runs(place if ordered else place.sort(nulls_last=True)), now.filter(place.is_null()))


def _places(old: pl.DataFrame, new: pl.DataFrame) -> pl.Series:
    """Where each row was, as far as hashes tell; null where it was not. Most frames begin as they did before."""
    seed = int.from_bytes(os.urandom(8))
    was, now = old.hash_rows(seed), new.hash_rows(seed)
    shorter = min(old.height, new.height)
    differs = (was.head(shorter) != now.head(shorter)).arg_true()
    begin = int(differs[0]) if differs.len() else shorter
    places = was.slice(begin).alias("hash").to_frame().with_row_index("place", begin)
    rest = now.slice(begin).alias("hash").to_frame()
    found = rest.join(places, on="hash", how="left", maintain_order="left")
    if found.height != rest.height:  # rows that are there more than once
        found = rest.join(places.unique("hash", keep="first"), on="hash", how="left", maintain_order="left")
    kept = pl.int_range(begin, eager=True, dtype=pl.Int64).alias("place")
    return pl.concat([kept, found.get_column("place").cast(pl.Int64)])


def patched(before: pl.DataFrame, patch: Patch) -> pl.DataFrame:
    """The frame that a patch makes of the one before."""
    is_new = pl.col(START).is_null()
    taken = pl.when(is_new).then(LENGTH).otherwise(0).cum_sum() - pl.when(is_new).then(LENGTH).otherwise(0)
    first = pl.when(is_new).then(taken + before.height).otherwise(START)
    places = patch.runs.select(pl.int_ranges(first, first + pl.col(LENGTH)).explode().alias("place")).drop_nulls()
    return pl.concat([before, patch.rows], how="vertical").rechunk()[places.get_column("place")]


def behind(before: int, rows: int) -> pl.DataFrame:
    """The runs of a patch that puts rows behind all those before."""
    return pl.DataFrame({START: [0, None], LENGTH: [before, rows]}, schema={START: pl.Int64(), LENGTH: pl.Int64()})


def is_behind(runs: pl.DataFrame, before: int) -> bool:
    """True for the runs of such a patch."""
    return runs.height == 2 and runs.row(0) == (0, before) and runs.item(1, START) is None


def _runs(place: pl.Series) -> pl.DataFrame:
    """Places in order as stretches."""
    at = pl.col("place")
    begins = (at.is_null() != at.shift().is_null()) | (at != at.shift() + 1).fill_null(False)
    return (
        place.alias("place")
        .to_frame()
        .with_columns(run=begins.fill_null(True).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(at.first().alias(START), pl.len().cast(pl.Int64).alias(LENGTH))
        .select(START, LENGTH)
    )


def _is_comparable(dtype: pl.DataType) -> bool:
    match dtype:
        case pl.List(inner=pl.DataType() as inner):
            return not inner.is_nested()
        case _:
            return not dtype.is_nested()


def _bits(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with numbers as bits, since 0.0 and -0.0 count as equal and are not the same."""
    return frame.select(_as_bits(name, dtype) for name, dtype in frame.schema.items())


def _as_bits(name: str, dtype: pl.DataType) -> pl.Expr:
    match dtype:
        case pl.Float64():
            return pl.col(name).reinterpret(dtype=pl.Int64)
        case pl.Float32():
            return pl.col(name).reinterpret(dtype=pl.Int32)
        case pl.List(inner=pl.DataType() as inner) if inner.is_float():
            return pl.col(name).list.eval(_element(inner))
        case _:
            return pl.col(name)


def _element(inner: pl.DataType) -> pl.Expr:
    return pl.element().reinterpret(dtype=pl.Int64 if inner == pl.Float64 else pl.Int32)


def _equal(left: pl.DataFrame, right: pl.DataFrame) -> pl.Series:
    """Row by row, nulls like other values."""
    same = pl.Series([True] * left.height, dtype=pl.Boolean) if not left.width else None
    for name in left.columns:
        one = left.get_column(name).eq_missing(right.get_column(name))
        same = one if same is None else same & one
    assert same is not None
    return same
