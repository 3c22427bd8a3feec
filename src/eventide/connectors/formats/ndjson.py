"""NDJSON: one JSON object a line.

Law: a line that is not one whole JSON object is one refused record, and its neighbours are read all the same. Blocks
without a fault are read by Polars at full speed, the others line by line, with the same result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from eventide.connectors.formats.blocks import (
    BOM,
    RECORD_BYTES_MAX,
    Bad,
    Block,
    end_of_lines,
    has_long_line,
    numbers_to,
    shown,
)
from eventide.connectors.formats.paths import found, is_nested, steps_of
from eventide.semantics.schema import Schema

_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape that stands for a character only in a pair; Polars would take a single one for a zero byte."""


@dataclass(frozen=True, slots=True)
class NdJson:
    """One JSON object a line; nested values by path, such as `rxInfo[0].time`. Blank lines are no records."""

    schema: Schema
    record_bytes_max: int = RECORD_BYTES_MAX

    has_header = False

    def with_header(self, line: bytes) -> NdJson:
        return self

    def parse(self, data: bytes, rows_max: int, *, eof: bool) -> Block:
        end = end_of_lines(data, rows_max, eof=eof)
        block = data[:end]
        frame = self._at_once(block) if end and self._is_flat else None
        if frame is not None:
            return Block(frame, numbers_to(frame.height), [], frame.height, end)
        return self._line_by_line(block)

    @property
    def _is_flat(self) -> bool:
        plain = all(
            not is_nested(rule.path or name) and rule.type not in ("list", "record")
            for name, rule in self.schema.fields
        )
        return plain and self.schema.unknown == "drop"

    def _at_once(self, data: bytes) -> pl.DataFrame | None:
        """The block read by Polars, which takes no value of another type; None when a line does not fit."""
        if has_long_line(data, self.record_bytes_max) or (b"\\u" in data and _HALF_CHARACTER.search(data)):
            return None
        frame = self._read(data, self._types(data)) if not data.startswith(BOM) else None
        # Polars passes over blank lines, which would shift the numbers of the records behind them
        return frame if frame is not None and frame.height == data.count(b"\n") + (not data.endswith(b"\n")) else None

    def _read(self, data: bytes, types: dict[str, pl.DataType]) -> pl.DataFrame | None:
        try:
            frame = pl.read_ndjson(data, schema=types)
        except pl.exceptions.PolarsError:
            return None
        return frame.select(pl.col(rule.path or name).alias(name) for name, rule in self.schema.fields)

    def _types(self, data: bytes) -> dict[str, pl.DataType]:
        """The type of each key; instants are whole numbers or texts, as in the first line."""
        try:
            first = msgspec.json.decode(data.partition(b"\n")[0])
        except (msgspec.DecodeError, RecursionError):
            first = None
        sample = first if isinstance(first, dict) else {}
        types: dict[str, pl.DataType] = {}
        for name, rule in self.schema.fields:
            key = rule.path or name
            whole = rule.type == "instant" and type(sample.get(key)) is int
            kind = "integer" if whole else rule.type
            made = {"integer": pl.Int64(), "float": pl.Float64(), "boolean": pl.Boolean()}.get(kind, pl.String())
            types[key] = made if types.get(key, made) == made else pl.String()
        return types

    def _line_by_line(self, data: bytes) -> Block:
        rows: list[dict[str, Any]] = []
        lines: list[bytes] = []
        numbers: list[int] = []
        bad: list[Bad] = []
        count = 0
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            row, fault = self._decoded(line)
            if row is None:
                bad.append((count, fault, shown(line)))
            else:
                rows.append(row)
                lines.append(line)
                numbers.append(count)
            count += 1
        if not self._is_flat:
            return Block(self._columns(rows), pl.Series(numbers, dtype=pl.Int64), bad, count, len(data))
        frame, numbers = self._as_texts(lines, numbers, bad)
        return Block(frame, pl.Series(numbers, dtype=pl.Int64), sorted(bad), count, len(data))

    def _decoded(self, line: bytes) -> tuple[dict[str, Any] | None, str]:
        if len(line) > self.record_bytes_max:
            return None, f"longer than {self.record_bytes_max:,} bytes"
        try:
            row = msgspec.json.decode(line)
        except RecursionError:
            return None, "not JSON: nested too deep"
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            return None, f"not JSON: {fault}"
        if not isinstance(row, dict):
            return None, f"not a JSON object but {_KINDS.get(type(row), 'a number')}"
        return row, ""

    def _as_texts(self, lines: list[bytes], numbers: list[int], bad: list[Bad]) -> tuple[pl.DataFrame, list[int]]:
        """Good lines read by Polars with every value as its text, so that values read as in a block without fault."""
        types: dict[str, pl.DataType] = {rule.path or name: pl.String() for name, rule in self.schema.fields}
        frame = self._read(b"\n".join(lines), types) if lines else None
        if frame is not None:
            return frame, numbers
        if len(lines) <= 1:
            bad.extend((number, "not JSON", shown(line)) for line, number in zip(lines, numbers, strict=True))
            return pl.DataFrame(schema={name: pl.String() for name in self.schema.names}), []
        half = len(lines) // 2
        low, kept_low = self._as_texts(lines[:half], numbers[:half], bad)
        high, kept_high = self._as_texts(lines[half:], numbers[half:], bad)
        return pl.concat([low, high]), kept_low + kept_high

    def _columns(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Raw columns of decoded rows: the values at the schema's paths, and where wanted the other keys, as texts."""
        columns = {}
        for name, rule in self.schema.fields:
            steps = steps_of(rule.path or name)
            columns[name] = pl.Series(name, [as_text(found(row, steps)) for row in rows], dtype=pl.String)
        if self.schema.unknown != "drop":
            known = {steps_of(rule.path or name)[0] for name, rule in self.schema.fields} | set(columns)
            others = sorted({key for row in rows for key in row} - known)
            for key in others:
                columns[key] = pl.Series(key, [as_text(row.get(key)) for row in rows], dtype=pl.String)
        return pl.DataFrame(columns)


_KINDS = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}


def as_text(value: object) -> str | None:
    """A JSON value as text: texts as they are, the rest as JSON."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
