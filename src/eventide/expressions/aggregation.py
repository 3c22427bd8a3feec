"""Aggregations of the events themselves; those of an expression are its methods (`col("dose").mean()`).

Law: every aggregation can be computed from partial states that merge in any order.
"""

from __future__ import annotations

from eventide.expressions.settings import settled
from eventide.expressions.tree import Aggregation, Expr
from eventide.instants import Duration

__all__ = ["Aggregation", "aggregation", "count", "rate"]


def aggregation(function: str, of: Expr | None, **arguments: object) -> Aggregation:
    """A checked aggregation by name; durations are given as text or `timedelta`. Raises `ValueError`.

    >>> from eventide.expressions.tree import col
    >>> aggregation("quantile", col("dose"), q=0.99)
    col("dose").quantile(q=0.99)
    """
    return Aggregation(function, of, settled(function, arguments))


def count() -> Aggregation:
    """How many events there are."""
    return aggregation("count", None)


def rate(per: Duration = "1s") -> Aggregation:
    """How many events there are in each `per` of the window's length."""
    return aggregation("rate", None, per=per)
