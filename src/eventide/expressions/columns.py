"""Which columns a tree reads.

Law: a tree can only read the columns that it names.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from eventide.expressions.aggregation import Aggregation
from eventide.expressions.tree import Call, Column, Expr


@runtime_checkable
class OfParts(Protocol):
    """What is made of several aggregations: an `OwnAggregate`."""

    @property
    def parts(self) -> tuple[tuple[str, Aggregation], ...]:
        """The aggregations by name."""


def columns_of(node: Expr | Aggregation | OfParts) -> frozenset[str]:
    """The names of the columns that an expression or aggregation reads.

    >>> from eventide.expressions.tree import col
    >>> sorted(columns_of((col("a") + col("b")).sum()))
    ['a', 'b']
    """
    match node:
        case Column():
            return frozenset({node.name})
        case Call():
            return frozenset().union(*(columns_of(argument) for argument in node.arguments))
        case Aggregation():
            return frozenset() if node.of is None else columns_of(node.of)
        case OfParts():
            return frozenset().union(*(columns_of(part) for _, part in node.parts))
        case _:
            return frozenset()
