"""How functions are said in Flink SQL and Spark SQL, and what cannot be said there with the same meaning.

Law: an entry of the tables means what `polars` computes; what would mean something else stands in `GAPS` with the
reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlglot import exp

from eventide.errors import ExpressionError
from eventide.expressions.nodes import function, operator, wrapped

Printer: TypeAlias = Callable[..., exp.Expr]

_UNTYPED = "its result depends on the operands' types, which are not known where SQL is printed"
_TEXT_FORM = "numbers and instants are read and written in another form there"

GAPS: Final[Mapping[tuple[str, str], str]] = {
    ("flink", "floordiv"): _UNTYPED,
    ("flink", "strip"): "its TRIM takes away one character only; clean the text where it is read",
    ("flink", "to_instant"): _TEXT_FORM,
    ("flink", "to_string"): _TEXT_FORM,
    ("spark", "ceil"): "its result is an integer, which NaN and infinity do not fit",
    ("spark", "floor"): "its result is an integer, which NaN and infinity do not fit",
    ("spark", "floordiv"): _UNTYPED,
    ("spark", "to_instant"): _TEXT_FORM,
    ("spark", "to_string"): _TEXT_FORM,
}
"""What a dialect cannot say, with the reason."""


def engine_literal(value: object, dialect: str) -> exp.Expr:
    """A value as Flink or Spark write it."""
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int():
            return _signed(exp.Literal.number(str(abs(value))), value)
        case float():
            return _float(value)
        case str():
            return exp.Literal.string(value)
        case datetime():
            return _instant(value, dialect)
        case timedelta() if dialect == "spark":
            return exp.Interval(
                this=exp.Literal.string(f"{value / timedelta(seconds=1):.6f}"), unit=exp.Var(this="SECOND")
            )
    raise ExpressionError(f"{value!r} cannot be said in {dialect}: its intervals hold a fixed number of digits")


def _signed(size: exp.Expr, value: float) -> exp.Expr:
    return exp.Neg(this=size) if math.copysign(1.0, value) < 0 else size


def _float(value: float) -> exp.Expr:
    if not math.isfinite(value):
        return _double_of("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity")
    digits = repr(abs(value)).upper()
    # without an exponent both engines read a decimal, not a double
    return _signed(exp.Literal.number(digits if "E" in digits else f"{digits}E0"), value)


def _instant(value: datetime, dialect: str) -> exp.Expr:
    if dialect == "spark":
        return exp.Cast(this=exp.Literal.string(value.isoformat()), to=exp.DataType(this=exp.DataType.Type.TIMESTAMP))
    millis, rest = divmod(value - datetime.fromisoformat("1970-01-01T00:00:00+00:00"), timedelta(milliseconds=1))
    if rest:
        raise ExpressionError(f"{value!r} cannot be said in flink: its instants are made of whole milliseconds")
    return function("to_timestamp_ltz", _signed(exp.Literal.number(str(abs(millis))), millis), exp.Literal.number("3"))


def _double(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def _double_of(text: str) -> exp.Expr:
    return _double(exp.Literal.string(text))


def _zero() -> exp.Expr:
    return exp.Literal.number("0")


def _case(*branches: tuple[exp.Expr, exp.Expr], default: exp.Expr | None = None) -> exp.Expr:
    ifs = [exp.If(this=condition.copy(), true=value.copy()) for condition, value in branches]
    return exp.Case(ifs=ifs, default=None if default is None else default.copy())


def _mod(value: exp.Expr, divisor: exp.Expr) -> exp.Expr:
    # both engines give the sign of the value; the sum and second remainder give that of the divisor
    by = function("nullif", divisor, _zero())
    return operator(exp.Mod, operator(exp.Add, operator(exp.Mod, value, by), by.copy()), by.copy())


def _clip(value: exp.Expr, low: exp.Expr, high: exp.Expr) -> exp.Expr:
    nan = operator(exp.EQ, _double(value.copy()), _double_of("NaN"))
    below, above = operator(exp.LT, value.copy(), low.copy()), operator(exp.GT, value.copy(), high.copy())
    return _case((nan, value), (below, low), (above, high), default=value)


def _flink_extreme(name: str) -> Printer:
    # Flink's own is null when an argument is: each argument is replaced by the next one that is not
    def printer(*values: exp.Expr) -> exp.Expr:
        turned = [[*values[place:], *values[:place]] for place in range(len(values))]
        return function(name, *(function("coalesce", *(one.copy() for one in turn)) for turn in turned))

    return printer


def _flink_edge(side: str) -> Printer:
    def printer(text: exp.Expr, part: exp.Expr) -> exp.Expr:
        return operator(exp.EQ, function(side, text, function("char_length", part.copy())), part)

    return printer


def _flink_weekday(instant: exp.Expr) -> exp.Expr:
    day = function("dayofweek", exp.Cast(this=instant, to=exp.DataType(this=exp.DataType.Type.DATE)))
    shifted = operator(exp.Mod, operator(exp.Add, day, exp.Literal.number("5")), exp.Literal.number("7"))
    return operator(exp.Add, shifted, exp.Literal.number("1"))


def _spark_div(value: exp.Expr, divisor: exp.Expr) -> exp.Expr:
    # Spark's own is null or an error for a divisor of zero
    infinite = operator(exp.Mul, _double(value), _double_of("Infinity"))
    quotient = operator(exp.Div, _double(value.copy()), _double(divisor.copy()))
    return _case((operator(exp.EQ, divisor, _zero()), infinite), default=quotient)


def _spark_log(name: str) -> Printer:
    # Spark's own is null for zero and below
    def printer(value: exp.Expr) -> exp.Expr:
        return _case(
            (operator(exp.GT, value, _zero()), function(name, value)),
            (operator(exp.EQ, value, _zero()), _double_of("-Infinity")),
            (operator(exp.LT, value, _zero()), _double_of("NaN")),
        )

    return printer


_BOTH: Final[Mapping[str, Printer]] = {
    "clip": _clip,
    "length": lambda text: function("char_length", text),
    "log": lambda value: function("ln", value),
    "mod": _mod,
    "pow": lambda value, exponent: function("power", _double(value), _double(exponent)),
}

FLINK: Final[Mapping[str, Printer]] = {
    **_BOTH,
    "contains": lambda text, part: operator(exp.GT, function("locate", part, text), _zero()),
    "div": lambda value, divisor: operator(exp.Div, _double(value), _double(divisor)),
    "ends_with": _flink_edge("right"),
    "greatest": _flink_extreme("greatest"),
    "least": _flink_extreme("least"),
    "matches": lambda text, pattern: function("regexp", text, pattern),
    "starts_with": _flink_edge("left"),
    "weekday": _flink_weekday,
}

SPARK: Final[Mapping[str, Printer]] = {
    **_BOTH,
    "div": _spark_div,
    "ends_with": lambda text, part: function("endswith", text, part),
    "log": _spark_log("ln"),
    "log10": _spark_log("log10"),
    "matches": lambda text, pattern: exp.RegexpLike(this=wrapped(text), expression=pattern),
    "starts_with": lambda text, part: function("startswith", text, part),
    "strip": lambda text: function("btrim", text, exp.Literal.string(" \t\r\n")),
    "weekday": lambda instant: operator(exp.Add, function("weekday", instant), exp.Literal.number("1")),
}
