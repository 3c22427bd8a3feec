"""Choices: `when(condition).then(value).otherwise(value)`.

Law: conditions are looked at in order; a condition that is null is not true.
A choice without `otherwise` is no expression.
"""

from __future__ import annotations

from eventide.expressions.tree import Expr, Operand, call


class When:
    """A choice being written: `when(condition).then(value)...otherwise(value)`."""

    __slots__ = ("_parts",)
    unfinished = "when(...) is not finished"

    def __init__(self, parts: tuple[object, ...]) -> None:
        self._parts = parts

    def then(self, value: Operand) -> Then:
        """The value where the condition is true."""
        return Then((*self._parts, value))


class Then:
    """A choice that can go on with another condition or end."""

    __slots__ = ("_parts",)
    unfinished = "when(...).then(...) is not finished"

    def __init__(self, parts: tuple[object, ...]) -> None:
        self._parts = parts

    def when(self, condition: Expr) -> When:
        """Another condition, looked at where the earlier ones are not true."""
        return When((*self._parts, condition))

    def otherwise(self, value: Operand) -> Expr:
        """The value where no condition is true."""
        return call("when", *self._parts, value)


def when(condition: Expr) -> When:
    """A choice by condition.

    >>> from eventide.expressions import col
    >>> when(col("dose") > 5).then("high").otherwise("low")
    when(col("dose") > 5).then("high").otherwise("low")
    """
    return When((condition,))
