"""Rows as values that Cassandra's driver binds, and the types of Cassandra for the types of columns.

Law: every value survives the way there and back. A key cannot be null in Cassandra, nor empty text: what stands there
instead is told apart by the column `_nulls`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

NULLS = "_nulls"
"""The last column of a primary key: which of the key's columns are null, `name=` for one that is empty text."""

_TYPES: Mapping[type[pl.DataType], str] = {
    pl.Boolean: "boolean",
    pl.Int8: "tinyint",
    pl.Int16: "smallint",
    pl.UInt8: "smallint",
    pl.Int32: "int",
    pl.UInt16: "int",
    pl.Int64: "bigint",
    pl.UInt32: "bigint",
    pl.UInt64: "varint",
    pl.Int128: "varint",
    pl.Decimal: "decimal",
    pl.Float32: "float",
    pl.Float64: "double",
    pl.Datetime: "bigint",
    pl.Date: "date",
    pl.Duration: "bigint",
}
_INSTEAD: Mapping[str, object] = {"text": "\u2400", "boolean": False}


def type_of_column(dtype: pl.DataType) -> str:
    """The type in CQL. Instants and durations are whole microseconds, since `timestamp` would cut them off at
    milliseconds; lists and records are JSON, all that is not known is text.
    """
    return _TYPES.get(type(dtype), "text")


def fits(cql_type: str, dtype: pl.DataType) -> bool:
    """True when a table's column can hold values of this type. A `timestamp` takes instants, cut at milliseconds."""
    wanted = type_of_column(dtype)
    return cql_type in (wanted, "varchar" if wanted == "text" else wanted) or _is_cut(cql_type, dtype)


def _is_cut(cql_type: str, dtype: pl.DataType) -> bool:
    return cql_type == "timestamp" and isinstance(dtype, pl.Datetime)


def has_parts_of_milliseconds(rows: pl.DataFrame, cql_types: Mapping[str, str]) -> str | None:
    """The first column that would lose microseconds which tell rows apart."""
    for name, dtype in rows.schema.items():
        if _is_cut(cql_types[name], dtype) and rows.select((_microseconds(name) % 1_000 != 0).any()).item():
            return name
    return None


def _microseconds(name: str) -> pl.Expr:
    return pl.col(name).dt.epoch("us")


def storable(rows: pl.DataFrame, cql_types: Mapping[str, str], keys: Sequence[str]) -> pl.DataFrame:
    """Rows with values as the driver takes them, dates as days; with `_nulls` where rows have a key of columns."""
    made = rows.with_columns(_storable(name, dtype, cql_types) for name, dtype in rows.schema.items())
    if not keys:
        return made
    unset = [_unset(name, made.schema[name]) for name in keys]
    named = made.with_columns(pl.concat_str(unset, separator=",", ignore_nulls=True).alias(NULLS))
    return named.with_columns(_instead(name, cql_types[name], made.schema[name]) for name in keys)


def _storable(name: str, dtype: pl.DataType, cql_types: Mapping[str, str]) -> pl.Expr:
    column = pl.col(name)
    match dtype:
        case pl.Datetime():
            cut = _is_cut(cql_types[name], dtype)
            return _microseconds(name).floordiv(1_000) if cut else _microseconds(name)
        case pl.Duration():
            return column.dt.total_microseconds()
        case pl.Date():
            return column.to_physical()
        case pl.List() | pl.Array() | pl.Struct():
            json = pl.struct(v=column).struct.json_encode().str.slice(5).str.head(-1)
            return pl.when(column.is_not_null()).then(json).alias(name)
        case pl.Float32() | pl.Float64() | pl.Boolean() | pl.Decimal():
            return column
        case _ if dtype.is_integer():
            return column
        case _:
            return column.cast(pl.String)


def _unset(name: str, dtype: pl.DataType) -> pl.Expr:
    null = pl.when(pl.col(name).is_null()).then(pl.lit(name))
    return null.when(pl.col(name) == "").then(pl.lit(f"{name}=")) if dtype == pl.String() else null


def _instead(name: str, cql_type: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.String():
        return pl.when(column.is_null() | (column == "")).then(pl.lit(_INSTEAD["text"])).otherwise(column).alias(name)
    return column.fill_null(_INSTEAD.get(cql_type, 0))


def bound(rows: pl.DataFrame, cql_types: Mapping[str, str], date: Callable[[int], object]) -> Iterator[tuple[Any, ...]]:
    """Storable rows as what a prepared statement binds, in the order of the columns."""
    columns: list[list[Any]] = []
    for name in rows.columns:
        values = rows.get_column(name).to_list()
        if cql_types[name] == "date":
            values = [None if day is None else date(day) for day in values]
        columns.append(values)
    return zip(*columns, strict=True)
