"""The types of columns as expressions name them, and their Polars types.

Law: every Polars type has exactly one name here.
"""

from __future__ import annotations

import polars as pl


def type_name(dtype: pl.DataType) -> str:
    """The name of a column's type: string, integer, float, boolean, instant, duration, list, record or null."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    match dtype:
        case pl.Boolean():
            return "boolean"
        case pl.Datetime() | pl.Date():
            return "instant"
        case pl.Duration():
            return "duration"
        case pl.List() | pl.Array():
            return "list"
        case pl.Struct():
            return "record"
        case pl.Null():
            return "null"
        case _:
            return "string"
