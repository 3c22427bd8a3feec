"""Casts as Polars expressions.

Law: what cannot be cast becomes null; a cast never stops the run. The same value gives the same result on every batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

_INSTANT: Final = pl.Datetime("us", "UTC")
_TRUE: Final = ("true", "t", "yes", "1")
_FALSE: Final = ("false", "f", "no", "0")
_OFFSET: Final = r"(Z|[+-]\d{2}:?\d{2})$"


def _by_type(cast: Callable[[pl.Series], pl.Series], to: pl.DataType) -> Callable[[pl.Expr], pl.Expr]:
    # a column's type is known only when rows come, and text needs another way than numbers do
    return lambda x: x.map_batches(cast, return_dtype=to, is_elementwise=True)


def _boolean(values: pl.Series) -> pl.Series:
    if values.dtype != pl.String:
        return values.cast(pl.Boolean, strict=False)
    word = pl.col("x").str.strip_chars().str.to_lowercase()
    known = pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)
    return values.alias("x").to_frame().select(known).to_series()


def _instant(values: pl.Series) -> pl.Series:
    if values.dtype != pl.String:
        return values.cast(pl.Int64, strict=False).cast(_INSTANT)
    text = pl.col("x").str.strip_chars().str.replace(" ", "T", literal=True)
    day_only = text.str.len_chars() == len("2020-01-01")
    whole = (
        pl.when(day_only).then(text + "T00:00:00Z").when(text.str.contains(_OFFSET)).then(text).otherwise(text + "Z")
    )
    read = whole.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False, exact=True)
    return values.alias("x").to_frame().select(read).to_series()


def _string(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return values.cast(pl.String)


def _integer(values: pl.Series) -> pl.Series:
    return values.cast(pl.Int64, strict=False)


CASTS: Final[Mapping[str, Callable[..., pl.Expr]]] = {
    "to_boolean": _by_type(_boolean, pl.Boolean()),
    "to_float": lambda x: x.cast(pl.Float64, strict=False),
    "to_instant": _by_type(_instant, _INSTANT),
    "to_integer": _by_type(_integer, pl.Int64()),
    "to_string": _by_type(_string, pl.String()),
}
"""The casts by the names they have in the tree.

Text is true or false by the words true, t, yes, 1 and false, f, no, 0."""
