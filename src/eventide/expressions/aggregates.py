"""The methods by which an expression becomes an aggregation: `col("dose").mean()`.

Law: each method only names an aggregation and its settings; what it computes stands in its docstring, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from eventide.instants import Duration

A = TypeVar("A")
"""What the methods make: `Aggregation`, which stands above this module because it holds an expression."""


class Aggregates(Generic[A]):
    """Mixed into `Expr`, which says how an aggregation of itself is made."""

    __slots__ = ()

    def _aggregation(self, function: str, **arguments: object) -> A:
        raise NotImplementedError  # Expr defines it

    def count(self) -> A:
        """How many values are not null."""
        return self._aggregation("count")

    def sum(self) -> A:
        """The sum, exact before it is rounded once; null without values. Integers saturate at 64 bits."""
        return self._aggregation("sum")

    def mean(self) -> A:
        """The arithmetic mean."""
        return self._aggregation("mean")

    def min(self) -> A:
        """The smallest value; NaN is passed over."""
        return self._aggregation("min")

    def max(self) -> A:
        """The largest value; NaN is passed over."""
        return self._aggregation("max")

    def range(self) -> A:
        """The largest value less the smallest. Integers saturate at 64 bits."""
        return self._aggregation("range")

    def var(self, ddof: int = 1) -> A:
        """The variance with divisor n - ddof; null when n <= ddof. Beyond sizes of about 1e150, where squares leave the
        range of floats, it is NaN.
        """
        return self._aggregation("var", ddof=ddof)

    def std(self, ddof: int = 1) -> A:
        """The standard deviation with divisor n - ddof; null when n <= ddof."""
        return self._aggregation("std", ddof=ddof)

    def first(self) -> A:
        """The first value by event time, then log, then offset."""
        return self._aggregation("first")

    def last(self) -> A:
        """The last value by event time, then log, then offset."""
        return self._aggregation("last")

    def quantile(self, q: float) -> A:
        """The value of rank ceil(q n), with a relative error of at most 1 % (DDSketch: Masson et al., VLDB 2019).

        NaN is passed over.
        """
        return self._aggregation("quantile", q=q)

    def median(self) -> A:
        """The quantile 0.5, with a relative error of at most 1 %; NaN is passed over."""
        return self._aggregation("median")

    def count_distinct(self, exact_up_to: int = 1024) -> A:
        """How many different values: exact up to `exact_up_to`, then estimated with a relative standard error of
        1/sqrt(exact_up_to - 1) by a theta sketch (Dasgupta et al., ICDT 2016). -0.0 is 0.0; all NaN are one.
        """
        return self._aggregation("count_distinct", exact_up_to=exact_up_to)

    def top_k(self, k: int) -> A:
        """The k most frequent values with their counts; among equals the smaller value first."""
        return self._aggregation("top_k", k=k)

    def histogram(self, edges: Sequence[float]) -> A:
        """How many values lie in each `[edge, next edge)`, the last bin closed; values outside are not counted."""
        return self._aggregation("histogram", edges=edges)

    def rate(self, per: Duration = "1s") -> A:
        """How many values there are in each `per` of the window's length."""
        return self._aggregation("rate", per=per)

    def time_weighted_mean(self) -> A:
        """The mean in which each reading counts for as long as it holds: until the next one, the last until the end.

        The end is the window's; the time before the window's first reading does not count.
        """
        return self._aggregation("time_weighted_mean")

    def slope(self, per: Duration = "1s") -> A:
        """The slope of the least-squares line over event time, per `per`; null with fewer than two different times."""
        return self._aggregation("slope", per=per)

    def projection(self, ahead: Duration) -> A:
        """The height of the least-squares line at `ahead` behind the window's end."""
        return self._aggregation("projection", ahead=ahead)

    def any(self) -> A:
        """True when a value is true."""
        return self._aggregation("any")

    def all(self) -> A:
        """True when no value is false."""
        return self._aggregation("all")

    def collect(self, limit: int = 1000) -> A:
        """The first `limit` values by event time, as a list."""
        return self._aggregation("collect", limit=limit)
