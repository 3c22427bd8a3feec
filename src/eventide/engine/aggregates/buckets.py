"""Logarithmic buckets for quantiles: bucket k holds the sizes above (101/99)^(k-1) and up to (101/99)^k.

Law: the tables come from whole numbers, so they have the same bits on every machine and in every language; a logarithm
only says where to look (decision 0002).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from functools import cache

import polars as pl

_BELOW = 60_000
_LOWEST, _HIGHEST = -36_000, 35_489
_INFINITE = _HIGHEST + _BELOW + 1
_BITS = 200
_WIDTH = math.log(1.01 / 0.99)


def bucket_of(x: pl.Expr) -> pl.Expr:
    """The bucket of each float: 0 for zero, one for infinity, negative ones mirrored; null for NaN and null."""
    bounds = pl.lit(_bounds())
    size = x.abs()
    near = (size.log() / _WIDTH).ceil().clip(_LOWEST + 1, _HIGHEST - 1).cast(pl.Int32, strict=False) - _LOWEST
    lower = (size <= bounds.gather(near - 1)).cast(pl.Int32)
    higher = (size > bounds.gather(near)).cast(pl.Int32)
    bucket = near - lower + higher + (_LOWEST + _BELOW)
    positive = pl.when(size == math.inf).then(_INFINITE).otherwise(bucket)
    return pl.when(x.is_not_nan()).then(pl.when(x == 0).then(0).when(x > 0).then(positive).otherwise(-positive))


def size_of(bucket: pl.Expr) -> pl.Expr:
    """The number that stands for each bucket, within 1 % of all that are in it."""
    size = pl.lit(_sizes()).gather(bucket.abs() - (_LOWEST + _BELOW), null_on_oob=True)
    known = pl.when(bucket.abs() == _INFINITE).then(math.inf).otherwise(size)
    return pl.when(bucket == 0).then(0.0).otherwise(known * bucket.sign())


@cache
def _bounds() -> pl.Series:
    return _table("bounds", 1, 1)


@cache
def _sizes() -> pl.Series:
    """The harmonic middle of a bucket's bounds: 0.99 times the upper one."""
    return _table("sizes", 99, 100)


def _table(name: str, times: int, by: int) -> pl.Series:
    down = [_as_float(m * times // by, e) for m, e in _powers(99, 101, -_LOWEST)]
    up = [_as_float(m * times // by, e) for m, e in _powers(101, 99, _HIGHEST)]
    return pl.Series(name, [*reversed(down), *up[1:]], dtype=pl.Float64)


def _powers(times: int, by: int, most: int) -> Iterator[tuple[int, int]]:
    """The powers of times/by from 0 on, each from the one before it, as whole numbers of 201 bits and exponents."""
    mantissa, exponent = 1 << _BITS, -_BITS
    for _ in range(most + 1):
        yield mantissa, exponent
        mantissa = (mantissa << 8) * times // by
        longer = mantissa.bit_length() - _BITS - 1
        mantissa, exponent = mantissa >> longer, exponent + longer - 8


def _as_float(mantissa: int, exponent: int) -> float:
    """The nearest float; what is beyond the largest counts as that."""
    try:
        return math.ldexp(float(mantissa), exponent)
    except OverflowError:
        return sys.float_info.max
