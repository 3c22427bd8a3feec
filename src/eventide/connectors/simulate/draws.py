"""Draws: numbers between 0 and 1 from integers, for whole columns at once.

Law: the same integers, seed and stream give the same numbers with every version of everything: it is integer
arithmetic alone (splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

import math

import polars as pl

_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_WORD = 2**64


def uniform(number: pl.Expr, seed: int, stream: int) -> pl.Expr:
    """A number in [0, 1) for each integer; `stream` tells draws for different purposes apart.

    >>> pl.DataFrame({"n": [0, 1]}).select(uniform(pl.col("n"), 7, 0).round(3)).to_series().to_list()
    [0.499, 0.297]
    """
    start = (seed * _FIRST + stream * _SECOND) % _WORD
    word = number.cast(pl.UInt64) * _unsigned(_STEP) + _unsigned(start)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        word = (word ^ (word // _unsigned(2**shift))) * _unsigned(factor)
    word = word ^ (word // _unsigned(2**31))
    return (word // _unsigned(2**11)).cast(pl.Float64) / 2.0**53


def normal(number: pl.Expr, seed: int, stream: int) -> pl.Expr:
    """A number of the normal distribution with mean 0 and deviation 1 for each integer (Box and Muller, 1958)."""
    radius = (-2.0 * (1.0 - uniform(number, seed, stream)).log()).sqrt()
    return radius * (2.0 * math.pi * uniform(number, seed, stream + 1_000)).cos()


def whole(number: pl.Expr, seed: int, stream: int, below: int) -> pl.Expr:
    """A whole number from 0 to `below` - 1 for each integer."""
    return (uniform(number, seed, stream) * below).floor().cast(pl.Int64)


def _unsigned(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)
