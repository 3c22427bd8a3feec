"""Expressions as Polars expressions.

Law: null means unknown, as in SQL. `/` is true division (by zero: infinite or NaN); `//` and `%` round towards minus
infinity and are null for a divisor of zero. Nothing a row holds can stop the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import polars as pl

from eventide.errors import ExpressionError
from eventide.expressions.casts import CASTS
from eventide.expressions.tree import Call, Column, Expr, Literal


def to_polars(expression: Expr) -> pl.Expr:
    """The Polars expression that computes the same.

    Raises `ExpressionError` for a regular expression that cannot be used.

    >>> from eventide.expressions.tree import col
    >>> pl.DataFrame({"a": [7, -7, None]}).select(to_polars(col("a") // 2)).to_series().to_list()
    [3, -4, None]
    """
    match expression:
        case Column():
            return pl.col(expression.name)
        case Literal():
            return _literal(expression.value)
        case Call(function="is_in"):
            return _is_in(expression.arguments)
        case Call(function="matches"):
            check_pattern(expression.arguments[1])
    if not isinstance(expression, Call) or expression.function not in _FUNCTIONS:
        raise ExpressionError(
            f"{expression!r} is not an expression that Polars can compute: use the methods of col(...)"
        )
    return _FUNCTIONS[expression.function](*_arguments(expression))


def _arguments(expression: Call) -> list[pl.Expr]:
    arguments = [to_polars(argument) for argument in expression.arguments]
    for place, argument in enumerate(expression.arguments):
        # Polars refuses a null without a type where a function needs text, a number, a time or a condition
        if isinstance(argument, Literal) and argument.value is None:
            condition = expression.function == "when" and place % 2 == 0 and place < len(arguments) - 1
            arguments[place] = pl.lit(None, pl.Boolean() if condition else _NULL_TYPES.get(expression.function))
    return arguments


def _literal(value: object) -> pl.Expr:
    match value:
        case bool() | None | str():
            return pl.lit(value)
        case int():
            return pl.lit(value, dtype=pl.Int64)  # Polars would choose a type by size, and small ones overflow
        case float():
            return pl.lit(value, dtype=pl.Float64)
        case datetime():
            return pl.lit(value.replace(tzinfo=None), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
        case timedelta():
            return pl.lit(value, dtype=pl.Duration("us"))
    raise ExpressionError(f"{value!r} is not a value that a literal can hold")


def _is_in(arguments: tuple[Expr, ...]) -> pl.Expr:
    value, *choices = arguments
    texts = [one.value for one in choices if isinstance(one, Literal) and isinstance(one.value, str)]
    others = [one for one in choices if not (isinstance(one, Literal) and isinstance(one.value, str))]
    subject = to_polars(value)
    # texts go as one list, which is quick when it is long; numbers one by one: Polars keeps 1 and 1.0 apart in lists
    found = [subject.is_in(pl.lit(pl.Series(texts, dtype=pl.String)).implode())] if texts else []
    return pl.any_horizontal(*found, *(subject == to_polars(one) for one in others))


def _said(fault: Exception) -> str:
    """The line of a fault that says what it is; those around it draw the place."""
    lines = str(fault).strip().splitlines()
    return next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])


def check_pattern(pattern: Expr) -> None:
    """Raise `ExpressionError` when it is not a regular expression, in a text that stands there."""
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        raise ExpressionError(f"matches({pattern!r}): the pattern must be a text that stands in the expression")
    try:
        pl.select(pl.lit("").str.contains(pattern.value))
    except pl.exceptions.PolarsError as fault:
        raise ExpressionError(
            f"matches({pattern!r}): not a regular expression without look-around or references back: {_said(fault)}"
        ) from None


def _when(*parts: pl.Expr) -> pl.Expr:
    chosen = parts[-1]
    for place in range(len(parts) - 3, -1, -2):
        chosen = pl.when(parts[place]).then(parts[place + 1]).otherwise(chosen)
    return chosen


def _clip(value: pl.Expr, low: pl.Expr, high: pl.Expr) -> pl.Expr:
    # not Expr.clip: it casts the bounds to the value's type, so that an integer clipped to 6.5 became 6
    return (
        pl.when(value.is_nan()).then(value).when(value < low).then(low).when(value > high).then(high).otherwise(value)
    )


def _unless_zero(divisor: pl.Expr) -> pl.Expr:
    return pl.when(divisor != 0).then(divisor)


def _power(value: pl.Expr, exponent: pl.Expr) -> pl.Expr:
    # in integers Polars refuses a negative exponent, for the whole batch
    return value.cast(pl.Float64).pow(exponent.cast(pl.Float64))


def _round(value: pl.Expr, digits: pl.Expr) -> pl.Expr:
    return value.round(int(pl.select(digits).item()), mode="half_away_from_zero")


_NULL_TYPES: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("and", "not", "or"), pl.Boolean()),
    **dict.fromkeys(("abs", "ceil", "exp", "floor", "floordiv", "log", "log10", "neg", "round", "sign"), pl.Float64()),
    **dict.fromkeys(
        ("contains", "ends_with", "length", "lower", "replace", "starts_with", "strip", "upper"), pl.String()
    ),
    **dict.fromkeys(("concat", "matches"), pl.String()),
    **dict.fromkeys(("hour", "minute", "weekday"), pl.Datetime("us", "UTC")),
}

_FUNCTIONS: Mapping[str, Callable[..., pl.Expr]] = {
    **CASTS,
    "abs": lambda x: x.abs(),
    "add": lambda x, y: x + y,
    "and": lambda x, y: x & y,
    "ceil": lambda x: x.ceil(),
    "clip": _clip,
    "coalesce": pl.coalesce,
    "concat": lambda *x: pl.concat_str(x),
    "contains": lambda x, y: x.str.contains(y, literal=True),
    "div": lambda x, y: x / y,
    "ends_with": lambda x, y: x.str.ends_with(y),
    "eq": lambda x, y: x == y,
    "exp": lambda x: x.exp(),
    "floor": lambda x: x.floor(),
    "floordiv": lambda x, y: x // _unless_zero(y),
    "ge": lambda x, y: x >= y,
    "greatest": pl.max_horizontal,
    "gt": lambda x, y: x > y,
    "hour": lambda x: x.dt.hour().cast(pl.Int64),
    "is_not_null": lambda x: x.is_not_null(),
    "is_null": lambda x: x.is_null(),
    "le": lambda x, y: x <= y,
    "least": pl.min_horizontal,
    "length": lambda x: x.str.len_chars().cast(pl.Int64),
    "log": lambda x: x.log(),
    "log10": lambda x: x.log10(),
    "lower": lambda x: x.str.to_lowercase(),
    "lt": lambda x, y: x < y,
    "matches": lambda x, y: x.str.contains(y),
    "minute": lambda x: x.dt.minute().cast(pl.Int64),
    "mod": lambda x, y: x % _unless_zero(y),
    "mul": lambda x, y: x * y,
    "ne": lambda x, y: x != y,
    "neg": lambda x: -x,
    "not": lambda x: ~x,
    "or": lambda x, y: x | y,
    "pow": _power,
    "replace": lambda x, y, z: x.str.replace_all(y, z, literal=True),
    "round": _round,
    "sign": lambda x: x.sign(),
    "sqrt": lambda x: x.sqrt(),
    "starts_with": lambda x, y: x.str.starts_with(y),
    "strip": lambda x: x.str.strip_chars(" \t\r\n"),
    "sub": lambda x, y: x - y,
    "upper": lambda x: x.str.to_uppercase(),
    "weekday": lambda x: x.dt.weekday().cast(pl.Int64),
    "when": _when,
}
