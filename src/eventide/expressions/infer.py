"""The types of expressions and aggregations, found before a row is read.

Law: every fault of a tree is reported, not only the first; a tree that passes cannot fail on rows of its schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime, timedelta

from eventide.errors import ExpressionError
from eventide.expressions.own import OwnAggregate
from eventide.expressions.signatures import NUMBERS, SIGNATURES, VALUE_TYPES, Misfit, ValueType, unfixed
from eventide.expressions.tree import Aggregation, Call, Column, Expr, Literal

_EXTREMES = (*NUMBERS, "string", "boolean", "instant", "duration")
_FLAT = _EXTREMES

_AGGREGATED: Mapping[str, tuple[tuple[str, ...], ValueType | None]] = {
    "all": (("boolean",), "boolean"),
    "any": (("boolean",), "boolean"),
    "collect": (VALUE_TYPES, "list"),
    "count": (VALUE_TYPES, "integer"),
    "count_distinct": (_FLAT, "integer"),
    "first": (VALUE_TYPES, None),
    "histogram": (NUMBERS, "list"),
    "last": (VALUE_TYPES, None),
    "max": (_EXTREMES, None),
    "mean": (NUMBERS, "float"),
    "median": (NUMBERS, "float"),
    "min": (_EXTREMES, None),
    "projection": (NUMBERS, "float"),
    "quantile": (NUMBERS, "float"),
    "range": (NUMBERS, None),
    "rate": (VALUE_TYPES, "float"),
    "slope": (NUMBERS, "float"),
    "std": (NUMBERS, "float"),
    "sum": (NUMBERS, None),
    "time_weighted_mean": (NUMBERS, "float"),
    "top_k": (_FLAT, "list"),
    "var": (NUMBERS, "float"),
}
"""What each aggregation takes and gives; None: what it takes."""


def type_of(expression: Expr, columns: Mapping[str, str]) -> ValueType:
    """The type of an expression over columns of these types.

    Raises `ExpressionError` that lists every fault: unknown columns and operands whose types do not fit.

    >>> from eventide.expressions.tree import col
    >>> type_of(col("dose") * 2, {"dose": "float"})
    'float'
    """
    faults: list[str] = []
    found = _type(expression, columns, faults)
    _refuse(faults)
    return found


def result_type(aggregate: Aggregation | OwnAggregate, columns: Mapping[str, str]) -> ValueType:
    """The type of an aggregate's result over columns of these types. Raises `ExpressionError` as `type_of` does.

    >>> from eventide.expressions.tree import col
    >>> result_type(col("level").count(), {"level": "string"})
    'integer'
    """
    faults: list[str] = []
    if isinstance(aggregate, Aggregation):
        found = _aggregated(aggregate, columns, faults)
    else:
        parts = {name: _aggregated(part, columns, faults) for name, part in aggregate.parts}
        found = _type(aggregate.result, parts, faults)
    _refuse(faults)
    return found


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ExpressionError("\n".join(dict.fromkeys(faults)))


def _type(expression: Expr, columns: Mapping[str, str], faults: list[str]) -> ValueType:
    match expression:
        case Column():
            return _column(expression.name, columns, faults)
        case Literal():
            return _literal(expression.value)
        case Call():
            return _call(expression, columns, faults)
    raise ExpressionError(f"{expression!r} is not an expression: build one with col, lit or when")


def _column(name: str, columns: Mapping[str, str], faults: list[str]) -> ValueType:
    if name in columns:
        for kind in VALUE_TYPES:
            if kind == columns[name]:
                return kind  # type: ignore[return-value] # the members of VALUE_TYPES are those of ValueType
        faults.append(f"column {name!r} has the unknown type {columns[name]!r}: use one of {', '.join(VALUE_TYPES)}")
        return "null"
    near = difflib.get_close_matches(name, columns, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, columns)) or 'none'}"
    faults.append(f"there is no column {name!r}: {remedy}")
    return "null"  # fits everywhere, so that one fault is reported once


def _literal(value: object) -> ValueType:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "float"
        case str():
            return "string"
        case datetime():
            return "instant"
        case timedelta():
            return "duration"
    raise ExpressionError(f"{value!r} is not a value that a literal can hold")


def _call(expression: Call, columns: Mapping[str, str], faults: list[str]) -> ValueType:
    types = [_type(argument, columns, faults) for argument in expression.arguments]
    signature = SIGNATURES.get(expression.function)
    if signature is None:
        faults.append(f"{expression.function!r} is not a function: use one of {', '.join(SIGNATURES)}")
        return "null"
    if not signature.least <= len(types) <= (signature.most or len(types)):
        faults.append(f"{expression!r}: {expression.function} takes another number of arguments than {len(types)}")
        return "null"
    fault = unfixed(expression.function, expression.arguments)
    if fault:
        faults.append(f"{expression!r}: {fault}")
    elif expression.function == "matches":
        faults += _pattern_faults(expression.arguments[1])
    try:
        return signature.rule(types)
    except Misfit as misfit:
        faults.append(f"{expression!r}: {misfit}")
        return "null"


def _pattern_faults(pattern: Expr) -> list[str]:
    from eventide.expressions.polars import check_pattern

    try:
        check_pattern(pattern)
    except ExpressionError as fault:
        return [str(fault)]
    return []


def _aggregated(aggregate: Aggregation, columns: Mapping[str, str], faults: list[str]) -> ValueType:
    takes, gives = _AGGREGATED[aggregate.function]
    given: ValueType = "null" if aggregate.of is None else _type(aggregate.of, columns, faults)
    if given != "null" and given not in takes:
        faults.append(f"{aggregate!r}: {aggregate.function} is made of {' or '.join(takes)}, not of {given}")
        return "null"
    return given if gives is None else gives
