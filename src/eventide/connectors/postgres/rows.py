"""Rows as the text of COPY, and the types of PostgreSQL for the types of columns.

Law: every value survives the way there and back, save those that PostgreSQL cannot hold: U+0000 in text is written as
the visible U+2400, instants before 4713 BC as `-infinity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString

import polars as pl
from psycopg import sql

_BEFORE_4713_BC_US = -210_866_803_200_000_000
_DAY_US = 86_400_000_000

_TYPES: Mapping[type[pl.DataType], LiteralString] = {
    pl.Boolean: "boolean",
    pl.Int8: "smallint",
    pl.Int16: "smallint",
    pl.UInt8: "smallint",
    pl.Int32: "integer",
    pl.UInt16: "integer",
    pl.Int64: "bigint",
    pl.UInt32: "bigint",
    pl.UInt64: "numeric",
    pl.Int128: "numeric",
    pl.Decimal: "numeric",
    pl.Float32: "real",
    pl.Float64: "double precision",
    pl.Datetime: "timestamptz",
    pl.Date: "date",
    pl.Duration: "bigint",
    pl.List: "json",
    pl.Array: "json",
    pl.Struct: "json",
}


def type_of_column(dtype: pl.DataType) -> LiteralString:
    """The type of PostgreSQL; durations are whole microseconds, lists and records JSON, all that is not known text."""
    return _TYPES.get(type(dtype), "text")


def staged_type(dtype: pl.DataType) -> LiteralString:
    """The type of a column on its way: instants go as whole microseconds, which no format can spoil."""
    return "bigint" if isinstance(dtype, pl.Datetime) else type_of_column(dtype)


def arrived(name: str, dtype: pl.DataType) -> sql.Composable:
    """The expression that makes a staged column what the table holds."""
    column = sql.Identifier("_rows", name)
    if not isinstance(dtype, pl.Datetime):
        return column
    return sql.SQL(
        "CASE WHEN {c} < {least} THEN '-infinity'::timestamptz ELSE 'epoch'::timestamptz + "
        "make_interval(days => ({c} / {day})::int, secs => ({c} % {day}) / 1000000.0) END"
    ).format(c=column, least=sql.Literal(_BEFORE_4713_BC_US), day=sql.Literal(_DAY_US))


def storable(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with values that PostgreSQL can hold: the same for rows that it would take for the same."""
    return rows.with_columns(_storable(name, dtype) for name, dtype in rows.schema.items())


def _storable(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    match dtype:
        case pl.Datetime():
            instant = column.cast(pl.Datetime("us", dtype.time_zone)).cast(pl.Int64)
            return pl.when(instant < _BEFORE_4713_BC_US).then(_BEFORE_4713_BC_US - 1).otherwise(instant).alias(name)
        case pl.Duration():
            return column.dt.total_microseconds()
        case pl.List() | pl.Array() | pl.Struct():
            json = pl.struct(v=column).struct.json_encode().str.slice(5).str.head(-1)
            return pl.when(column.is_not_null()).then(json).alias(name)
        case pl.Float32() | pl.Float64() | pl.Boolean() | pl.Date() | pl.Decimal():
            return column
        case _ if dtype.is_integer():
            return column
        case _:
            return column.cast(pl.String).str.replace_all("\0", "\u2400", literal=True)


def as_copy_text(rows: pl.DataFrame) -> bytes:
    """Storable rows in COPY's text format."""
    escaped = [
        pl.col(name)
        .str.replace_all("\\", "\\\\", literal=True)
        .str.replace_all("\n", "\\n", literal=True)
        .str.replace_all("\r", "\\r", literal=True)
        .str.replace_all("\t", "\\t", literal=True)
        for name, dtype in rows.schema.items()
        if dtype == pl.String
    ]
    written = rows.with_columns(escaped).write_csv(
        include_header=False, separator="\t", quote_style="never", null_value="\\N", date_format="%Y-%m-%d"
    )
    return written.encode()


def names(columns: Sequence[str]) -> sql.Composed:
    """Names of columns, with commas between."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))
