"""Expressions over columns and aggregations over windows: a small typed tree that prints as Polars and as SQL.

Law: the tree is the only form in which user expressions travel; nothing given as text is ever run as code.
"""

from eventide.expressions.aggregation import aggregation, count, rate
from eventide.expressions.choice import when
from eventide.expressions.columns import columns_of
from eventide.expressions.own import OwnAggregate, checked_own, own_aggregate
from eventide.expressions.polars import to_polars
from eventide.expressions.rowwise import coalesce, concat, greatest, least
from eventide.expressions.tree import Aggregation, Call, Column, Expr, Literal, col, lit, same

__all__ = [
    "Aggregation",
    "Call",
    "Column",
    "Expr",
    "Literal",
    "OwnAggregate",
    "aggregation",
    "checked_own",
    "coalesce",
    "col",
    "columns_of",
    "concat",
    "count",
    "greatest",
    "least",
    "lit",
    "own_aggregate",
    "rate",
    "same",
    "to_polars",
    "when",
]
