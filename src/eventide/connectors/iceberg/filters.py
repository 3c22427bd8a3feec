"""Filters of Iceberg: what finds the rows of a table that are replaced or taken back.

Law: a null is a value of a key like others; instants keep their microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression


def _terms() -> Any:
    """The module of expressions: its constructors take other arguments than their types say."""
    return import_module("pyiceberg.expressions")


def within(rows: pl.DataFrame, names: Sequence[str]) -> BooleanExpression:
    """Bounds of the instants among the names, by which files are left out."""
    x = _terms()
    found: BooleanExpression = x.AlwaysTrue()
    for name in names:
        column = rows.get_column(name)
        if isinstance(column.dtype, pl.Datetime) and not column.null_count():
            low, high = _value(column.min()), _value(column.max())
            found = x.And(found, x.And(x.GreaterThanOrEqual(name, low), x.LessThanOrEqual(name, high)))
    return found


def any_of(found: pl.DataFrame, names: Sequence[str]) -> BooleanExpression:
    """What is true for the rows with one of these identities: a tree as flat as it goes, since its depth is limited."""
    x = _terms()
    *others, last = names
    groups = (
        found.group_by(others, maintain_order=True).agg(pl.col(last)) if others else found.select(pl.all().implode())
    )
    made: list[BooleanExpression] = []
    for row in groups.iter_rows():
        *key, values = row
        known = [_value(value) for value in values if value is not None]
        tests = [x.In(last, known)] if known else []
        if len(known) < len(values):
            tests.append(_equal(last, None))
        one = tests[0] if len(tests) == 1 else x.Or(*tests)
        for name, value in zip(others, key, strict=True):
            one = x.And(_equal(name, value), one)
        made.append(one)
    while len(made) > 1:
        made = [x.Or(*made[at : at + 2]) if at + 1 < len(made) else made[at] for at in range(0, len(made), 2)]
    return made[0]


def _equal(name: str, value: object) -> BooleanExpression:
    x = _terms()
    made: BooleanExpression
    if value is None:
        made = x.IsNull(name)
    elif value != value:  # noqa: PLR0124 - only NaN differs from itself
        made = x.IsNaN(name)
    else:
        made = x.EqualTo(name, _value(value))
    return made


def _value(value: object) -> object:
    """A value as PyIceberg takes it: instants as text, which keeps their microseconds."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def later_rows(run: str, epoch: int) -> BooleanExpression:
    """What finds the rows of a run that belong to epochs behind one."""
    x = _terms()
    found: BooleanExpression = x.And(x.EqualTo("_run", run), x.GreaterThan("_epoch", epoch))
    return found
