"""Own aggregates as plain mappings of text, for plans in YAML and JSON.

Law: `own_from_mapping(own_to_mapping(own))` is the same aggregate.
"""

from __future__ import annotations

from collections.abc import Mapping

from eventide.errors import ExpressionError
from eventide.expressions.own import OwnAggregate, checked_own
from eventide.expressions.parse import parse_aggregation, parse_expression
from eventide.expressions.sql import to_sql
from eventide.expressions.tree import Aggregation

_KEYS = ("partial", "merge", "result")


def own_to_mapping(own: OwnAggregate) -> dict[str, object]:
    """The aggregate as `{"partial": {name: text}, "merge": {name: text}, "result": text}`."""
    return {
        "partial": {name: to_sql(part) for name, part in own.parts},
        "merge": {name: to_sql(merge) for name, merge in own.merges},
        "result": to_sql(own.result),
    }


def own_from_mapping(given: Mapping[str, object]) -> OwnAggregate:
    """The aggregate of such a mapping. Raises `ExpressionError`.

    >>> own_from_mapping({"partial": {"n": "count(x)"}, "merge": {"n": "sum(n)"}, "result": "n * 2"}).result
    col("n") * 2
    """
    if set(given) != set(_KEYS):
        raise ExpressionError(f"an own aggregate has {', '.join(_KEYS)}, not {', '.join(map(str, given)) or 'nothing'}")
    result = given["result"]
    if not isinstance(result, str):
        raise ExpressionError(f"result: {result!r} is not an expression: write a text such as total / n")
    try:
        return checked_own(_aggregations(given, "partial"), _aggregations(given, "merge"), parse_expression(result))
    except ValueError as fault:
        raise ExpressionError(str(fault)) from None


def _aggregations(given: Mapping[str, object], key: str) -> dict[str, Aggregation]:
    named = given[key]
    if not isinstance(named, Mapping) or not all(isinstance(text, str) for text in named.values()):
        raise ExpressionError(f"{key}: {named!r} is not a mapping of names to aggregations, such as total: sum(x)")
    return {str(name): parse_aggregation(text) for name, text in named.items()}
