"""Rows as documents of MongoDB.

Law: every value survives the way there and back, save that a date of MongoDB has milliseconds: instants are cut off
there, unless they are asked for in microseconds. In `_id` they always stand in microseconds, so no two rows become one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import polars as pl
from bson import Decimal128, Int64
from bson.datetime_ms import DatetimeMS

from eventide.connectors.stores import MARKED
from eventide.errors import SinkError

Instants = Literal["date", "microseconds"]

STAMP = "_stamp"
_DIGITS_MOST = 34
_DAY_MS = 86_400_000
_SMALL = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16)


def check_names(columns: Iterable[str]) -> None:
    """Raises `SinkError` for names that MongoDB takes for something else."""
    for name in columns:
        if not name or name.startswith("$") or "." in name or "\0" in name or name in ("_id", STAMP):
            raise SinkError(
                f"the column {name!r} cannot be a field of MongoDB: fields have no dots, do not begin with $ and are "
                f"not called _id or {STAMP}. Give it another name with select"
            )


def documents(rows: pl.DataFrame, identity: Sequence[str], stamp: int, instants: Instants) -> Iterator[dict[str, Any]]:
    """Each row as a document, with its identity as `_id`."""
    values = [_values(rows.get_column(name), instants) for name in rows.columns]
    own = {STAMP: Int64(stamp)}
    for key, row in zip(ids(rows, identity), zip(*values, strict=True), strict=True):
        yield {"_id": key} | dict(zip(rows.columns, row, strict=True)) | own


def ids(rows: pl.DataFrame, identity: Sequence[str]) -> Iterator[Any]:
    """What identifies each row: its keys and window; without an identity run, output, epoch and row as one text that
    sorts in that order.
    """
    if identity:
        keys = [_values(rows.get_column(name), "microseconds") for name in identity]
        return (dict(zip(identity, row, strict=True)) for row in zip(*keys, strict=True))
    marks = rows.select(*MARKED).iter_rows()
    return (f"{prefix(run, output, epoch)}{row:012}" for run, output, epoch, row in marks)


def prefix(run: str, output: str, epoch: int) -> str:
    """How ids of appended rows of an epoch begin."""
    return f"{run}:{output}:{epoch:012}:"


def _values(column: pl.Series, instants: Instants) -> list[Any]:
    dtype = column.dtype
    match dtype:
        case pl.Datetime() if instants == "date":
            return _each(DatetimeMS, column.dt.epoch("us") // 1_000)
        case pl.Datetime():
            return _each(Int64, column.dt.epoch("us"))
        case pl.Date():
            return _each(DatetimeMS, column.to_physical().cast(pl.Int64) * _DAY_MS)
        case pl.Duration():
            return _each(Int64, column.dt.total_microseconds())
        case pl.Int64() | pl.UInt32():
            return _each(Int64, column)
        case pl.UInt64():
            return _each(Decimal128, column.cast(pl.String))
        case pl.Decimal() if dtype.precision <= _DIGITS_MOST:
            return _each(Decimal128, column.cast(pl.String))
        case pl.List() | pl.Array() | pl.Struct():
            whole = pl.DataFrame({"v": column}).select(pl.struct("v").struct.json_encode()).to_series()
            return [json.loads(one)["v"] for one in whole]
        case pl.Boolean() | pl.Float32() | pl.Float64():
            return column.to_list()
        case _ if dtype in _SMALL:
            return column.to_list()
        case _:
            return column.cast(pl.String).to_list()


def _each(kind: Callable[[Any], object], column: pl.Series) -> list[Any]:
    return [None if value is None else kind(value) for value in column.to_list()]
