"""Rows as messages: a key, and a JSON object, Avro or nothing as the value.

Law: the same rows give the same messages; rows of one identity have one key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from eventide.connectors.formats.rows import Registered
from eventide.flow.batch import writable

Retractions = Literal["mark", "tombstone"]


@dataclass(frozen=True, slots=True)
class RowEncoder:
    """Makes keys and values of rows; where they are `registered`, with the id of their schema in front."""

    key: tuple[str, ...]
    retractions: Retractions = "mark"
    registered: Registered | None = None

    def messages(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """What the client's `produce_batch` takes, in the order of the rows."""
        shown = [_value(name, dtype) for name, dtype in rows.schema.items()]
        value = pl.struct(shown).struct.json_encode()
        if self.registered is not None:
            value = pl.lit(self.registered.values(rows))
        if self.retractions == "tombstone" and "op" in rows.columns:
            value = pl.when(pl.col("op") != "retract").then(value)
        made = rows.select(value.cast(pl.Binary).alias("value"), self._key(rows).alias("key"))
        return made.to_dicts()

    def _key(self, rows: pl.DataFrame) -> pl.Expr:
        match self.key:
            case ():
                return pl.lit(None, dtype=pl.String)
            case (name,) if not rows.schema[name].is_nested():
                return _value(name, rows.schema[name]).cast(pl.String)
            case names:
                return pl.struct(_value(name, rows.schema[name]) for name in names).struct.json_encode()


def _value(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as JSON can hold it: instants as text, durations in microseconds."""
    if isinstance(dtype, pl.Duration):
        return pl.col(name).dt.total_microseconds()
    return writable(name, dtype)


def missing(key: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The columns of a key that an output does not have."""
    return [name for name in key if name not in columns]
