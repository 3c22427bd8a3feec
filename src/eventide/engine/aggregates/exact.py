"""The exact sum of floats: 128-bit integers that add without rounding, in any order.

Law: the state depends only on the multiset of the values added, so neither cuts nor merges show in the last bit of a
result (decision 0001). Values of ordinary size, 2^-12 <= |x| < 2^31, are counted in units of 2^-64; each further
accumulator lies 43 binary orders away and exists only once such a value has come. NaN and infinities add up in a
float of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

_ORDERS = 43
_LOWEST_EXPONENT = -12
_UNIT_EXPONENT = 64
_HEADROOM = 100
_ORDINARY = (2.0**_LOWEST_EXPONENT, 2.0 ** (_LOWEST_EXPONENT + _ORDERS))


@dataclass(frozen=True, slots=True)
class ExactSum:
    """The exact sum of the float column `value`; state columns are `name`, `name+1`, `name-1`, ... and `name!`."""

    name: str
    value: str

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        """The columns whose plain sums make the state, as many as these rows need."""
        x = pl.col(self.value)
        size = x.abs()
        values = rows.get_column(self.value)
        ordinary = ((size < _ORDINARY[1]) & (size >= _ORDINARY[0])) | (size == 0)
        if ((values >= _ORDINARY[0]) & (values < _ORDINARY[1])).all() or rows.select(ordinary.all()).item():
            return [scaled(x, _UNIT_EXPONENT).fill_null(0).cast(pl.Int128).alias(self.name)]
        finite = size.is_finite()
        least, most, strange = rows.select(
            size.filter(finite & (size > 0)).min().alias("least"),
            size.filter(finite).max().alias("most"),
            (~finite).any().alias("strange"),
        ).row(0)
        lanes = [0] if not most else range(_lane(least), _lane(most) + 1)
        columns = [self._in_lane(lane) for lane in {0, *lanes}]
        if strange:
            columns.append(pl.when(finite).then(0.0).otherwise(x).fill_null(0.0).alias(f"{self.name}!"))
        return columns

    def _in_lane(self, lane: int) -> pl.Expr:
        x = pl.col(self.value)
        size = x.abs()
        low = _LOWEST_EXPONENT + _ORDERS * lane
        inside = size >= math.ldexp(1.0, max(low, -1074))
        if low + _ORDERS <= 1023:
            inside &= size < math.ldexp(1.0, low + _ORDERS)
        kept = pl.when(inside & size.is_finite()).then(x).otherwise(0.0)
        column = scaled(kept, _UNIT_EXPONENT - _ORDERS * lane).cast(pl.Int128)
        return column.alias(self.name if lane == 0 else f"{self.name}{lane:+d}")

    def rounded(self, states: pl.DataFrame) -> pl.Series:
        """The sum rounded once to a float."""
        lanes = self._lanes(states.columns)
        if lanes == [0] and f"{self.name}!" not in states.columns:
            return states.get_column(self.name).cast(pl.Float64) * math.ldexp(1.0, -_UNIT_EXPONENT)
        return self.parts(states)[0]

    def parts(self, states: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """The sum as an unevaluated pair high + low (about 106 bits); high alone is the sum rounded to a float."""
        high, low = self._added(states, 0)
        if high.is_nan().any():  # on the way beyond the largest float, from where the rest may lead back
            high, low = (scaled(part, _HEADROOM) for part in self._added(states, -_HEADROOM))
            low = low.zip_with(high.is_finite(), low * 0.0).fill_nan(0.0)
        if f"{self.name}!" in states.columns:
            strange = states.get_column(f"{self.name}!").fill_null(0.0)
            high = high.zip_with(strange == 0, strange)
        return high, low

    def _added(self, states: pl.DataFrame, exponent: int) -> tuple[pl.Series, pl.Series]:
        """The accumulators times 2^exponent, added up as a pair."""
        terms = [piece for lane in self._lanes(states.columns) for piece in self._pieces(states, lane, exponent)]
        high, low = terms[0], terms[0] * 0.0
        for term in terms[1:]:
            high, error = two_sum(high, term)
            low = low + error
        return two_sum(high, low)

    def _lanes(self, columns: Sequence[str]) -> list[int]:
        tails = [name[len(self.name) :] for name in columns if name.startswith(self.name)]
        return sorted((int(tail) if tail else 0 for tail in tails if tail != "!"), reverse=True)

    def _pieces(self, states: pl.DataFrame, lane: int, exponent: int) -> list[pl.Series]:
        """An accumulator times 2^exponent as three floats that add up to it exactly."""
        rest = states.get_column(self.name if lane == 0 else f"{self.name}{lane:+d}").fill_null(0)
        pieces = []
        for _ in range(3):
            piece = rest.cast(pl.Float64)
            pieces.append(scaled(piece, _ORDERS * lane - _UNIT_EXPONENT + exponent))
            rest = rest - piece.cast(pl.Int128)
        return pieces


def two_sum(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The rounded sum and its error, exactly (Knuth, The Art of Computer Programming, volume 2, 4.2.2)."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def two_product(a: pl.Series, b: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The rounded product and its error, exactly (Dekker, Numerische Mathematik 18, 1971), below about 2^996."""
    product = a * b
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(b)
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error.zip_with(product.is_finite() & error.is_finite(), error * 0.0).fill_nan(0.0)


def _halves(a: pl.Series) -> tuple[pl.Series, pl.Series]:
    shifted = a * 134_217_729.0
    high = shifted - (shifted - a)
    return high, a - high


def _lane(size: float) -> int:
    return (math.frexp(size)[1] - 1 - _LOWEST_EXPONENT) // _ORDERS


X = TypeVar("X", pl.Expr, pl.Series)


def scaled(x: X, exponent: int) -> X:
    """x * 2^exponent, in steps that a float can hold."""
    while abs(exponent) > 900:
        step = 900 if exponent > 0 else -900
        x, exponent = x * math.ldexp(1.0, step), exponent - step
    return x * math.ldexp(1.0, exponent)
