"""Expressions over columns and aggregations over windows: a small typed tree that prints as Polars and as SQL.

Law: the tree is the only form in which user expressions travel; nothing given as text is ever run as code.
"""

from eventide.expressions.aggregation import aggregation, count, rate
from eventide.expressions.choice import when
from eventide.expressions.columns import columns_of
from eventide.expressions.infer import result_type, type_of
from eventide.expressions.mapping import own_from_mapping, own_to_mapping
from eventide.expressions.own import OwnAggregate, checked_own, own_aggregate
from eventide.expressions.parse import parse_aggregation, parse_expression
from eventide.expressions.polars import to_polars
from eventide.expressions.rowwise import coalesce, concat, greatest, least
from eventide.expressions.sql import to_sql
from eventide.expressions.tree import Aggregation, Call, Column, Expr, Literal, Operand, col, lit, same

__all__ = [
    "Aggregation",
    "Call",
    "Column",
    "Expr",
    "Literal",
    "Operand",
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
    "own_from_mapping",
    "own_to_mapping",
    "parse_aggregation",
    "parse_expression",
    "rate",
    "result_type",
    "same",
    "to_polars",
    "to_sql",
    "type_of",
    "when",
]
