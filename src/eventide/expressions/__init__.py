"""Expressions over columns and aggregations over windows: a small typed tree that prints as Polars and as SQL.

Law: the tree is the only form in which user expressions travel; nothing given as text is ever run as code.
"""

from eventide.expressions.aggregation import (
    Aggregation,
    OwnAggregate,
    aggregation,
    checked_own,
    columns_of,
    count,
    own_aggregate,
    rate,
)
from eventide.expressions.polars import to_polars
from eventide.expressions.tree import Call, Column, Expr, Literal, col, concat, greatest, least, lit, same, when

__all__ = [
    "Aggregation",
    "Call",
    "Column",
    "Expr",
    "Literal",
    "OwnAggregate",
    "aggregation",
    "checked_own",
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
