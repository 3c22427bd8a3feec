"""From trees to the nodes of sqlglot, and to text.

Law: a node is put in parentheses wherever the parser would group it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from eventide.errors import ExpressionError
from eventide.expressions.dialect import CASTS, OPERATORS, WORDS, EventideDialect, EventideFlink
from eventide.expressions.engines import FLINK, GAPS, SPARK, Printer, engine_literal
from eventide.expressions.nodes import function, is_null, number, operator, wrapped
from eventide.expressions.settings import DEFAULTS, DURATIONS, settled
from eventide.expressions.tree import Aggregation, Call, Column, Expr, Literal
from eventide.instants import duration_text

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DIALECTS: Mapping[str, str | type[Dialect]] = {"eventide": EventideDialect, "flink": EventideFlink, "spark": "spark"}
_PRINTERS: Mapping[str, Mapping[str, Printer]] = {"flink": FLINK, "spark": SPARK}


def written_expression(expression: Expr, dialect: str) -> str:
    """The text of an expression in a dialect."""
    if dialect not in _DIALECTS:
        raise ExpressionError(f"dialect={dialect!r} is unknown: use eventide, flink or spark")
    return _text(_node(expression, dialect), dialect)


def written_aggregation(aggregation: Aggregation) -> str:
    """The text of an aggregation in Eventide's own words; settings that have their default are left out."""
    given = [
        exp.Kwarg(this=exp.Var(this=name), expression=_setting(name, value))
        for name, value in aggregation.arguments
        if not _is_default(aggregation.function, name, value)
    ]
    of = [] if aggregation.of is None else [_node(aggregation.of, "eventide")]
    return _text(function(aggregation.function, *of, *given), "eventide")


def _text(node: exp.Expr, dialect: str) -> str:
    names = False if dialect == "eventide" else "upper"
    return node.sql(dialect=_DIALECTS[dialect], normalize_functions=names, comments=False)


def _is_default(name: str, setting: str, value: object) -> bool:
    return (name, setting) in DEFAULTS and dict(settled(name, {})).get(setting) == value


def _setting(name: str, value: object) -> exp.Expr:
    if name in DURATIONS and isinstance(value, int):
        return exp.Literal.string(duration_text(value))
    if isinstance(value, tuple):
        return exp.Array(expressions=[_literal(edge) for edge in value])
    return _literal(value)


def _node(expression: Expr, dialect: str) -> exp.Expr:
    match expression:
        case Column():
            plain = _PLAIN.fullmatch(expression.name) and expression.name.upper() not in _RESERVED
            quoted = dialect != "eventide" or not plain
            return exp.Column(this=exp.Identifier(this=expression.name, quoted=quoted))
        case Literal():
            return _literal(expression.value) if dialect == "eventide" else engine_literal(expression.value, dialect)
        case Call():
            arguments = [_node(argument, dialect) for argument in expression.arguments]
            return _call(expression.function, arguments, dialect)
    raise ExpressionError(f"{expression!r} cannot be printed as SQL")


def _call(name: str, arguments: list[exp.Expr], dialect: str) -> exp.Expr:
    if (dialect, name) in GAPS:
        raise ExpressionError(f"{name} cannot be said in {dialect}: {GAPS[dialect, name]}")
    own = _PRINTERS.get(dialect, {}).get(name)
    if own is not None:
        return own(*arguments)
    if name in OPERATORS:
        return operator(OPERATORS[name], *arguments)
    if name in CASTS:
        to = exp.DataType(this=CASTS[name])
        return exp.Cast(this=arguments[0], to=to) if dialect == "eventide" else _try_cast(arguments[0], to)
    return _FORMS[name](*arguments) if name in _FORMS else function(name, *arguments)


def _try_cast(inner: exp.Expr, to: exp.Expr) -> exp.Expr:
    return exp.TryCast(this=inner, to=to, safe=True)  # without safe, Spark would be given a CAST that stops the run


def _case(*parts: exp.Expr) -> exp.Expr:
    branches = [exp.If(this=parts[place], true=parts[place + 1]) for place in range(0, len(parts) - 1, 2)]
    return exp.Case(ifs=branches, default=parts[-1])


def _negative(inner: exp.Expr) -> exp.Expr:
    # -(1) is the operator applied to one: without parentheses it would be read as the number -1
    return exp.Neg(this=inner if isinstance(inner, exp.Column) else exp.Paren(this=inner))


def _not(inner: exp.Expr) -> exp.Expr:
    return exp.Not(this=inner if isinstance(inner, exp.Column | exp.Anonymous) else exp.Paren(this=inner))


def _in(value: exp.Expr, *choices: exp.Expr) -> exp.Expr:
    return exp.In(this=wrapped(value), expressions=list(choices))


_FORMS: Mapping[str, Printer] = {
    "is_in": _in,
    "is_not_null": lambda inner: exp.Not(this=is_null(inner)),
    "is_null": is_null,
    "neg": _negative,
    "not": _not,
    "when": _case,
}

_RESERVED = {*WORDS, "SELECT", "FROM", "WHERE", "WITH", "INTERVAL", "ARRAY", "STRUCT", "MAP", "LAMBDA", "VALUES"}
"""Names that are quoted though they are plain words, so that no reader stumbles over them."""


def _literal(value: object) -> exp.Expr:
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int() | float():
            return number(value)
        case str():
            return exp.Literal.string(value)
        case datetime():
            return function("instant", exp.Literal.string(value.isoformat().replace("+00:00", "Z")))
        case timedelta():
            return function("duration", exp.Literal.string(duration_text(value // timedelta(microseconds=1))))
    raise ExpressionError(f"{value!r} cannot be printed as SQL")
