"""Keys as integers: each combination of key values gets a code once, at the door, and keeps it.

Law: equal values have equal codes for the whole life of a run, restores included; null is a value like any other.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Protocol

import polars as pl

CODE = "_code"
"""Column of key codes, `Int64`, from 0 in order of first appearance."""


class KeyTable(Protocol):
    """The codes of the key columns `names`."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def size(self) -> int:
        """No code is this large or larger."""

    def encode(self, rows: pl.DataFrame) -> pl.Series:
        """The code of each row."""

    def decode(self, codes: pl.Series) -> pl.DataFrame:
        """The key columns of each code."""


def key_table(names: Sequence[str], schema: Mapping[str, pl.DataType]) -> KeyTable:
    """The fastest table for these columns."""
    if not names:
        return NoKey()
    if len(names) == 1 and schema[names[0]] == pl.String:
        return TextKey(names[0])
    return AnyKey({name: schema[name] for name in names})


class NoKey:
    """A stream without keys: one group for all."""

    names: Sequence[str] = ()
    size = 1

    def encode(self, rows: pl.DataFrame) -> pl.Series:
        return pl.Series(CODE, [0], dtype=pl.Int64).new_from_index(0, rows.height)

    def decode(self, codes: pl.Series) -> pl.DataFrame:
        return pl.DataFrame(height=codes.len())


class TextKey:
    """One text column: Polars' own dictionary of categories, kept alive with the table. Null has code 0."""

    def __init__(self, name: str) -> None:
        self.names: Sequence[str] = (name,)
        self._type = pl.Categorical(pl.Categories(name, namespace=f"eventide-{uuid.uuid4()}"))
        # Polars forgets categories, and gives their codes away again, once no column holds them: this one always does
        self._alive = pl.Series([], dtype=self._type)
        self.size = 1

    def encode(self, rows: pl.DataFrame) -> pl.Series:
        physical = rows.get_column(self.names[0]).cast(self._type).to_physical()
        codes = (physical.cast(pl.Int64) + 1).alias(CODE)
        codes = codes.fill_null(0) if codes.null_count() else codes
        if codes.len():
            self.size = max(self.size, int(codes.max()) + 1)  # type: ignore[arg-type] # integers
        return codes

    def decode(self, codes: pl.Series) -> pl.DataFrame:
        categories, known = codes - 1, codes > 0
        if not known.all():
            categories = categories.zip_with(known, pl.Series([None], dtype=pl.Int64).new_from_index(0, codes.len()))
        named = categories.cast(pl.UInt32).cat.to(self._type).cast(pl.String)
        return named.alias(self.names[0]).to_frame()


class AnyKey:
    """Any columns: a table of the combinations seen, joined to the rows."""

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self.names: Sequence[str] = tuple(schema)
        self._known = pl.DataFrame(schema={**schema, CODE: pl.Int64()})

    @property
    def size(self) -> int:
        return max(self._known.height, 1)

    @property
    def known(self) -> int:
        """How many combinations have a code."""
        return self._known.height

    def encode(self, rows: pl.DataFrame) -> pl.Series:
        values = rows.select(self.names)
        codes = self._join(values)
        if codes.null_count():
            new = values.filter(codes.is_null()).unique(maintain_order=True)
            first = self._known.height
            numbered = new.with_columns(pl.int_range(first, first + new.height, dtype=pl.Int64).alias(CODE))
            self._known = pl.concat([self._known, numbered])
            codes = self._join(values)
        return codes

    def _join(self, values: pl.DataFrame) -> pl.Series:
        joined = values.join(self._known, on=list(self.names), how="left", nulls_equal=True, maintain_order="left")
        return joined.get_column(CODE)

    def decode(self, codes: pl.Series) -> pl.DataFrame:
        return (
            self._known.select(self.names)[codes.cast(pl.UInt32)]
            if codes.len()
            else self._known.select(self.names).clear()
        )


def ordinals(keys: pl.DataFrame) -> pl.Series | None:
    """Integers in the order of a single column of short texts, which sort several times faster; None for other keys.

    They are the bytes of each text behind the beginning that all of them share, eight at most.
    """
    if keys.width != 1 or keys.dtypes[0] != pl.String:
        return None
    texts = keys.to_series()
    low, high = texts.min(), texts.max()
    if not isinstance(low, str) or not isinstance(high, str) or texts.str.contains("\0", literal=True).any():
        return None
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
    rest = texts.str.slice(shared).str.pad_end(8, "\0")
    if rest.str.len_bytes().max() != 8:
        return None
    return rest.cast(pl.Binary).bin.reinterpret(dtype=pl.UInt64, endianness="big")


def dump_keys(table: KeyTable) -> pl.DataFrame:
    """The key columns of all codes from 0 on, for a checkpoint."""
    size = table.known if isinstance(table, AnyKey) else table.size
    return table.decode(pl.int_range(0, size, dtype=pl.Int64, eager=True)).with_row_index("_n")


def load_keys(table: KeyTable, saved: pl.DataFrame) -> None:
    """Give a fresh table the codes of a checkpoint."""
    if table.names:
        values = saved.sort("_n").drop("_n")
        table.encode(values if isinstance(table, AnyKey) else values.slice(1))
