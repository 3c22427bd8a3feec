"""Expressions as Polars expressions.

Law: null means unknown, as in SQL; a division by zero is infinite or NaN for `/` and null for `//` and `%` of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from eventide.expressions.tree import Call, Column, Expr, Literal

_INSTANT = pl.Datetime("us", "UTC")


def to_polars(expression: Expr) -> pl.Expr:
    """The Polars expression that computes the same."""
    match expression:
        case Column():
            return pl.col(expression.name)
        case Literal():
            return _literal(expression.value)
        case Call():
            return _FUNCTIONS[expression.function](*(to_polars(argument) for argument in expression.arguments))
        case _:
            raise TypeError(f"{expression!r} is not an expression")


def _literal(value: object) -> pl.Expr:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return pl.lit(moment.astimezone(UTC).replace(tzinfo=None), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(value, timedelta):
        return pl.lit(value, dtype=pl.Duration("us"))
    return pl.lit(value)


def _when(*parts: pl.Expr) -> pl.Expr:
    chosen = parts[-1]
    for place in range(len(parts) - 3, -1, -2):
        chosen = pl.when(parts[place]).then(parts[place + 1]).otherwise(chosen)
    return chosen


def _is_in(value: pl.Expr, *choices: pl.Expr) -> pl.Expr:
    found = pl.lit(False)
    for choice in choices:
        found = found | (value == choice)
    return found


def _concat(*parts: pl.Expr) -> pl.Expr:
    return pl.concat_str([part.cast(pl.String) for part in parts])


def _round(value: pl.Expr, digits: pl.Expr) -> pl.Expr:
    scale = pl.lit(10.0).pow(digits)
    return (value * scale).round() / scale


_FUNCTIONS: Mapping[str, Callable[..., pl.Expr]] = {
    "abs": lambda x: x.abs(),
    "add": lambda x, y: x + y,
    "and": lambda x, y: x & y,
    "ceil": lambda x: x.ceil(),
    "coalesce": lambda *x: pl.coalesce(*x),
    "concat": _concat,
    "contains": lambda x, y: x.str.contains(y, literal=True),
    "div": lambda x, y: x / y,
    "ends_with": lambda x, y: x.str.ends_with(y),
    "eq": lambda x, y: x == y,
    "exp": lambda x: x.exp(),
    "floor": lambda x: x.floor(),
    "floordiv": lambda x, y: x // y,
    "ge": lambda x, y: x >= y,
    "greatest": lambda *x: pl.max_horizontal(*x),
    "gt": lambda x, y: x > y,
    "hour": lambda x: x.dt.hour().cast(pl.Int64),
    "is_in": _is_in,
    "is_not_null": lambda x: x.is_not_null(),
    "is_null": lambda x: x.is_null(),
    "le": lambda x, y: x <= y,
    "least": lambda *x: pl.min_horizontal(*x),
    "length": lambda x: x.str.len_chars().cast(pl.Int64),
    "log": lambda x: x.log(),
    "log10": lambda x: x.log(10.0),
    "lower": lambda x: x.str.to_lowercase(),
    "lt": lambda x, y: x < y,
    "matches": lambda x, y: x.str.contains(y),
    "mod": lambda x, y: x % y,
    "mul": lambda x, y: x * y,
    "ne": lambda x, y: x != y,
    "neg": lambda x: -x,
    "not": lambda x: ~x,
    "or": lambda x, y: x | y,
    "pow": lambda x, y: x.cast(pl.Float64).pow(y),
    "replace": lambda x, y, z: x.str.replace_all(y, z, literal=True),
    "round": _round,
    "sqrt": lambda x: x.sqrt(),
    "starts_with": lambda x, y: x.str.starts_with(y),
    "strip": lambda x: x.str.strip_chars(),
    "sub": lambda x, y: x - y,
    "to_boolean": lambda x: x.cast(pl.Boolean, strict=False),
    "to_float": lambda x: x.cast(pl.Float64, strict=False),
    "to_instant": lambda x: x.cast(_INSTANT, strict=False),
    "to_integer": lambda x: x.cast(pl.Int64, strict=False),
    "to_string": lambda x: x.cast(pl.String),
    "upper": lambda x: x.str.to_uppercase(),
    "weekday": lambda x: x.dt.weekday().cast(pl.Int64),
    "when": _when,
}
