"""Paths: where in a nested row a value stands, such as `rxInfo[0].time`.

Law: a path that leads nowhere gives a missing value, never an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import polars as pl

Step = str | int


@lru_cache(maxsize=1_024)
def steps_of(path: str) -> tuple[Step, ...]:
    """The steps of a path: names of keys and places in lists.

    >>> steps_of("rxInfo[0].time")
    ('rxInfo', 0, 'time')
    """
    steps: list[Step] = []
    for part in path.split("."):
        name, *places = part.replace("]", "").split("[")
        if name:
            steps.append(name)
        steps.extend(int(place) if place.lstrip("-").isdecimal() else place for place in places)
    return tuple(steps)


def is_nested(path: str) -> bool:
    """Does the path lead further than to a column?"""
    return len(steps_of(path)) > 1


def found(row: object, steps: Sequence[Step]) -> object:
    """What stands in a row of mappings and lists at the end of the steps, or None."""
    value = row
    for step in steps:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list | tuple):
            value = value[step] if -len(value) <= step < len(value) else None
        else:
            return None
    return value


def column_at(frame: pl.DataFrame, path: str, name: str) -> pl.Series | None:
    """The column of a frame at the end of a path, under its new name; None where the frame has none."""
    if path in frame.columns:
        return frame.get_column(path).alias(name)
    first, *rest = steps_of(path)
    column = frame.get_column(str(first)) if first in frame.columns else None
    for step in rest:
        if column is None:
            break
        column = _inside(column, step)
    return None if column is None else column.alias(name)


def _inside(column: pl.Series, step: Step) -> pl.Series | None:
    dtype = column.dtype
    if isinstance(step, str) and isinstance(dtype, pl.Struct):
        return column.struct.field(step) if step in dtype.to_schema() else None
    if isinstance(step, int) and isinstance(dtype, pl.List):
        return column.list.get(step, null_on_oob=True)
    return None
