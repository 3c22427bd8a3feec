"""Pieces of SQL as sqlglot nodes, shared by the printers.

Law: operands are put in parentheses unless they bind more tightly than what is around them.
"""

from __future__ import annotations

import math

from sqlglot import exp

_TIGHT = 9
_BINDS: dict[type[exp.Expr], int] = {
    exp.Or: 1,
    exp.And: 2,
    exp.Not: 3,
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Between, exp.RegexpLike), 4
    ),
    exp.Add: 5,
    exp.Sub: 5,
    **dict.fromkeys((exp.Mul, exp.Div, exp.IntDiv, exp.Mod), 6),
    exp.Pow: 7,
    exp.Neg: 8,
    exp.Case: 8,
}
_CHAINS = (exp.And, exp.Or, exp.Add, exp.Sub, exp.Mul)
"""Operators whose left operand needs no parentheses when it is the same operator."""


def binds(node: exp.Expr) -> int:
    """How tightly a node binds: larger is tighter."""
    return _BINDS.get(type(node), _TIGHT)


def wrapped(node: exp.Expr) -> exp.Expr:
    """The node, in parentheses unless it is a name, a value or a call."""
    return node if binds(node) == _TIGHT else exp.Paren(this=node)


def operator(kind: type[exp.Binary], left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """An operator between two operands."""
    bound = _BINDS[kind]
    chained = kind in _CHAINS and type(left) is kind
    return kind(
        this=left if chained or binds(left) > bound else exp.Paren(this=left),
        expression=right if binds(right) > bound else exp.Paren(this=right),
    )


def is_null(inner: exp.Expr) -> exp.Expr:
    """`inner IS NULL`."""
    return exp.Is(this=wrapped(inner), expression=exp.Null())


def function(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call by name."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def number(value: float) -> exp.Expr:
    """A number; what has no digits becomes the call `nan()` or `infinity()`."""
    if math.isnan(value):
        return function("nan")
    size = function("infinity") if math.isinf(value) else exp.Literal.number(repr(abs(value)))
    return exp.Neg(this=size) if math.copysign(1.0, value) < 0 else size
