"""From the nodes of sqlglot to trees.

Law: a node that the language does not have is refused with its text; none is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlglot import exp

from eventide.errors import ExpressionError
from eventide.expressions.dialect import CASTS, OPERATORS, EventideDialect
from eventide.expressions.settings import OF_EVENTS, SETTINGS
from eventide.expressions.signatures import LANGUAGE, SIGNATURES, unfixed
from eventide.expressions.tree import Call, Column, Expr, Literal, call
from eventide.instants import instant_us, microseconds

Node: TypeAlias = exp.Expr
Parts: TypeAlias = tuple[str, Expr | None, dict[str, object]]

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_WRITTEN_OTHERWISE = {*OPERATORS, *CASTS, "is_in", "is_null", "is_not_null", "neg", "not", "when"}
_CALLED = sorted(set(SIGNATURES) - _WRITTEN_OTHERWISE)
_OPERATOR_NAMES: Mapping[type[Node], str] = {node: name for name, node in OPERATORS.items()}
_CASTS = {
    exp.DataType.Type.BOOLEAN: "to_boolean",
    exp.DataType.Type.DOUBLE: "to_float",
    exp.DataType.Type.FLOAT: "to_float",
    exp.DataType.Type.TIMESTAMP: "to_instant",
    exp.DataType.Type.BIGINT: "to_integer",
    exp.DataType.Type.INT: "to_integer",
    exp.DataType.Type.TEXT: "to_string",
}


def read_expression(node: Node) -> Expr:
    """The tree of a node. Raises `ExpressionError`."""
    read = _READERS.get(type(node))
    if read is None:
        raise ExpressionError(f"{_text(node)!r} is not part of the expression language; {LANGUAGE}")
    return read(node)


def read_aggregation(node: Node) -> Parts:
    """The function, the expression and the settings of an aggregation's node. Raises `ExpressionError`."""
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    if name not in SETTINGS:
        raise ExpressionError(f"{_text(node)!r} is not an aggregation; use one of {', '.join(SETTINGS)}")
    places = [one for one in node.expressions if not isinstance(one, exp.Kwarg)]
    named = {one.name: _setting(one.expression) for one in node.expressions if isinstance(one, exp.Kwarg)}
    if name in OF_EVENTS and places and isinstance(places[0], exp.Star):
        places = places[1:]
    of = read_expression(places[0]) if places else None
    if len(places) > 1 + len(SETTINGS[name]):
        raise ExpressionError(f"{name} takes an expression and the settings {', '.join(SETTINGS[name]) or 'none'}")
    by_place = dict(zip(SETTINGS[name], map(_setting, places[1:]), strict=False))
    twice = by_place.keys() & named.keys()
    if twice:
        raise ExpressionError(f"{name} is given {', '.join(sorted(twice))} twice")
    return name, of, {**by_place, **named}


def _setting(node: Node) -> object:
    if isinstance(node, exp.Array):
        return [_setting(one) for one in node.expressions]
    value = read_expression(node)
    if not isinstance(value, Literal):
        raise ExpressionError(f"{_text(node)!r} cannot be a setting: give a number, a text or a list of numbers")
    return value.value


def _text(node: Node) -> str:
    return node.sql(dialect=EventideDialect, normalize_functions=False, comments=False)


def _column(node: exp.Column) -> Expr:
    if len(node.parts) > 1 or not isinstance(node.this, exp.Identifier):
        raise ExpressionError(f"{_text(node)!r} is not a column; a name with a dot stands in double quotes")
    return Column(node.name)


def _literal(node: Node, sign: str = "") -> Expr:
    text = str(node.this)
    if node.is_string:
        return Literal(text)
    if text.isascii() and text.isdigit():
        return Literal(int(sign + text))
    try:
        number = float(sign + text)
    except ValueError:
        raise ExpressionError(f"{text!r} is not a number; write it as 1000 or 2.5e-3") from None
    if math.isinf(number):
        raise ExpressionError(f"{sign}{text} is too large for a float; write infinity()")
    return Literal(number)


def _negative(node: Node) -> Expr:
    inner = node.this
    if isinstance(inner, exp.Literal) and not inner.is_string:
        return _literal(inner, "-")  # -1 is a number; -(1) is the operator applied to one
    if isinstance(inner, exp.Anonymous) and inner.name.lower() == "infinity" and not inner.expressions:
        return Literal(-math.inf)
    return call("neg", read_expression(inner))


def _not(node: Node) -> Expr:
    if isinstance(node.this, exp.Is):
        return call("is_not_null", _tested(node.this))
    return call("not", read_expression(node.this))


def _tested(node: Node) -> Expr:
    if not isinstance(node.expression, exp.Null):
        raise ExpressionError(f"{_text(node)!r} cannot be asked; only IS NULL and IS NOT NULL can")
    return read_expression(node.this)


def _operator(node: Node) -> Expr:
    return call(_OPERATOR_NAMES[type(node)], read_expression(node.this), read_expression(node.expression))


def _between(node: Node) -> Expr:
    return read_expression(node.this).is_between(read_expression(node.args["low"]), read_expression(node.args["high"]))


def _in(node: Node) -> Expr:
    if not node.expressions:
        raise ExpressionError(f"{_text(node)!r} has no values to choose from")
    return call("is_in", read_expression(node.this), *map(read_expression, node.expressions))


def _case(node: Node) -> Expr:
    if node.this is not None:
        raise ExpressionError("CASE value WHEN is not in the language; write CASE WHEN value = ... THEN ... END")
    parts = [read_expression(part) for branch in node.args["ifs"] for part in (branch.this, branch.args["true"])]
    default = node.args.get("default")
    return call("when", *parts, None if default is None else read_expression(default))


def _cast(node: exp.Cast | exp.TryCast) -> Expr:
    kind = node.to.this
    if kind not in _CASTS or node.to.expressions:
        raise ExpressionError(f"{_text(node.to)!r} is not a type; use BOOLEAN, BIGINT, DOUBLE, TEXT or TIMESTAMP")
    return call(_CASTS[kind], read_expression(node.this))


def _function(node: Node) -> Expr:
    name = node.name.lower()
    if name in _VALUES:
        return _VALUES[name](node)
    if name not in _CALLED:
        known = ", ".join([*_CALLED, *_VALUES])
        hint = "; aggregations stand in agg" if name in SETTINGS else ""
        raise ExpressionError(f"{node.name!r} is not a function of rows; use one of {known}{hint}")
    arguments = [read_expression(one) for one in node.expressions]
    if name == "round" and len(arguments) == 1:
        arguments.append(Literal(0))
    _check(name, arguments)
    return Call(name, tuple(arguments))


def _check(name: str, arguments: Sequence[Expr]) -> None:
    signature = SIGNATURES[name]
    if not signature.least <= len(arguments) <= (signature.most or len(arguments)):
        wanted = signature.least if signature.least == signature.most else f"at least {signature.least}"
        raise ExpressionError(f"{name} takes {wanted} argument(s), not {len(arguments)}")
    fault = unfixed(name, arguments)
    if fault:
        raise ExpressionError(fault)


def _time(convert: Callable[[str, str], int], make: Callable[[timedelta], Any]) -> Callable[[Node], Expr]:
    def read(node: Node) -> Expr:
        arguments = node.expressions
        if len(arguments) != 1 or not arguments[0].is_string:
            raise ExpressionError(f"{_text(node)!r}: {node.name} takes one text in single quotes")
        try:
            return Literal(make(timedelta(microseconds=convert(arguments[0].name, node.name.lower()))))
        except (ValueError, OverflowError) as fault:
            raise ExpressionError(str(fault)) from None

    return read


def _constant(value: float) -> Callable[[Node], Expr]:
    def read(node: Node) -> Expr:
        if node.expressions:
            raise ExpressionError(f"{node.name}() takes no argument")
        return Literal(value)

    return read


_VALUES: Mapping[str, Callable[[Node], Expr]] = {
    "duration": _time(microseconds, lambda length: length),
    "infinity": _constant(math.inf),
    "instant": _time(instant_us, lambda since: _EPOCH + since),
    "nan": _constant(math.nan),
}

_READERS: Mapping[type[Node], Callable[[Any], Expr]] = {
    **dict.fromkeys(OPERATORS.values(), _operator),
    exp.Anonymous: _function,
    exp.Between: _between,
    exp.Boolean: lambda node: Literal(bool(node.this)),
    exp.Case: _case,
    exp.Cast: _cast,
    exp.Column: _column,
    exp.In: _in,
    exp.Is: lambda node: call("is_null", _tested(node)),
    exp.Literal: _literal,
    exp.Neg: _negative,
    exp.Not: _not,
    exp.Null: lambda node: Literal(None),
    exp.Paren: lambda node: read_expression(node.this),
    exp.TryCast: _cast,
}
