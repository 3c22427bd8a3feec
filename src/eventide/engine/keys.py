"""Keys as integers: each combination of key values gets a code once, at the door, and keeps it.

Law: equal values have equal codes for the whole life of a run, restores included; null is a value like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import polars as pl

from eventide.engine.texts import Texts

CODE = "_code"
"""Column of key codes, `Int64`, from 0 in order of first appearance."""


class KeyCount(Protocol):
    """How many codes there are: all that windows know of keys."""

    @property
    def size(self) -> int:
        """No code is this large or larger."""


class KeyTable(KeyCount, Protocol):
    """The codes of the key columns `names`."""

    @property
    def names(self) -> Sequence[str]: ...

    def encode(self, rows: pl.DataFrame) -> pl.Series:
        """The code of each row."""

    def decode(self, codes: pl.Series) -> pl.DataFrame:
        """The key columns of each code."""

    def ordinals(self, codes: pl.Series) -> pl.Series | None:
        """Integers in the order of the keys of these codes; None where there are none that are quickly found."""

    def restore(self, values: pl.DataFrame) -> None:
        """Give the keys of a checkpoint the codes from 0 on. The table must be fresh."""


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

    def ordinals(self, codes: pl.Series) -> pl.Series | None:
        return None

    def restore(self, values: pl.DataFrame) -> None:
        """There is nothing to know."""


class TextKey:
    """One text column. Null has code 0."""

    def __init__(self, name: str) -> None:
        self.names: Sequence[str] = (name,)
        self._texts = Texts()

    @property
    def size(self) -> int:
        return self._texts.size

    def encode(self, rows: pl.DataFrame) -> pl.Series:
        return self._texts.numbers(rows.get_column(self.names[0])).alias(CODE)

    def decode(self, codes: pl.Series) -> pl.DataFrame:
        return self._texts.texts(codes).alias(self.names[0]).to_frame()

    def ordinals(self, codes: pl.Series) -> pl.Series | None:
        return self._texts.ordinals(codes)

    def restore(self, values: pl.DataFrame) -> None:
        self._texts.numbers(values.get_column(self.names[0]).slice(1))


class AnyKey:
    """Any columns: a table of the combinations seen, joined to the rows. Its size is one before the first is seen."""

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
        values = self._known.select(self.names)
        return values[codes.cast(pl.UInt32)] if codes.len() and values.height else values.clear()

    def ordinals(self, codes: pl.Series) -> pl.Series | None:
        return None

    def restore(self, values: pl.DataFrame) -> None:
        self.encode(values)


def all_keys(table: KeyTable) -> pl.DataFrame:
    """The key columns of all codes from 0 on; a table of combinations may have none yet."""
    size = table.known if isinstance(table, AnyKey) else table.size
    return table.decode(pl.int_range(0, size, dtype=pl.Int64, eager=True))


def dump_keys(table: KeyTable) -> pl.DataFrame:
    """The key columns of all codes from 0 on, for a checkpoint."""
    return all_keys(table).with_row_index("_n")


def load_keys(table: KeyTable, saved: pl.DataFrame) -> None:
    """Give a fresh table the codes of a checkpoint."""
    if table.names:
        table.restore(saved.sort("_n").drop("_n"))
