"""Functions over several values of one row: `least(col("a"), col("b"))`.

Law: null means unknown; `concat` is null when a part is, the others pass nulls over.
"""

from __future__ import annotations

from eventide.expressions.tree import Expr, Operand, call


def concat(*parts: Operand) -> Expr:
    """Texts one behind the other; null when one of them is."""
    return _several("concat", parts)


def coalesce(*values: Operand) -> Expr:
    """The first of several values of a row that is not null."""
    return _several("coalesce", values)


def least(*values: Operand) -> Expr:
    """The smallest of several values of a row; nulls are passed over."""
    return _several("least", values)


def greatest(*values: Operand) -> Expr:
    """The largest of several values of a row; nulls are passed over."""
    return _several("greatest", values)


def _several(function: str, values: tuple[Operand, ...]) -> Expr:
    if not values:
        raise ValueError(
            f'{function}() has nothing to choose from: give at least one value, such as {function}(col("a"))'
        )
    return call(function, *values)
