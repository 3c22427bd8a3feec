"""Text formats: blocks of whole lines become raw columns, and rows that cannot be read become refused rows.

Law: a format reads a block whose lines are all good at full speed; only a block with a fault is looked at line by
line, and one bad line never costs its neighbours.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any, Protocol

import msgspec
import polars as pl

from eventide.errors import SourceError
from eventide.semantics.schema import Schema

LINE_MAX_BYTES = 16 * 2**20
"""Longer lines are refused."""

Bad = tuple[int, str, str]
"""A line that cannot be read: its number in the block, the reason, its text."""


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of a block as raw columns with the line number of each, and the bad lines."""

    rows: pl.DataFrame
    numbers: pl.Series
    bad: list[Bad]
    lines: int


class TextFormat(Protocol):
    """How lines become rows."""

    @property
    def has_header(self) -> bool: ...

    def with_header(self, line: bytes) -> TextFormat:
        """The format once the header of the file is known. Raises `SourceError` when it does not fit the schema."""

    def cut(self, data: bytes) -> int:
        """Where the last complete record of `data` ends, or 0."""

    def parse(self, data: bytes) -> Block:
        """The rows of complete records."""


@dataclass(frozen=True, slots=True)
class Csv:
    """Comma-separated values with a header. Empty cells are missing values."""

    schema: Schema
    separator: str = ","
    quote: str = '"'
    header: tuple[str, ...] = ()

    has_header = True

    def with_header(self, line: bytes) -> Csv:
        text = line.decode("utf-8-sig", "replace")
        names = tuple(next(csv.reader([text.rstrip("\r\n")], delimiter=self.separator, quotechar=self.quote)))
        wanted = [rule.path or name for name, rule in self.schema.fields]
        missing = [name for name in wanted if name not in names]
        if missing:
            import difflib

            near = {name: difflib.get_close_matches(name, names, 1) for name in missing}
            hints = ", ".join(
                f"{name!r}" + (f" (did you mean {found[0]!r}?)" if found else "") for name, found in near.items()
            )
            raise SourceError(
                f"the header lacks {hints}. It has: {', '.join(names)}. Name columns as the header does, or use path="
            )
        return Csv(self.schema, self.separator, self.quote, names)

    def cut(self, data: bytes) -> int:
        end = data.rfind(b"\n") + 1
        quote = self.quote.encode()
        while end and data.count(quote, 0, end) % 2:
            end = data.rfind(b"\n", 0, end - 1) + 1
        return end

    def parse(self, data: bytes) -> Block:
        text = data.decode("utf-8", "replace")
        if self.quote in text or "\r" in text:
            return self._by_record(text)
        lines = pl.Series("line", text.split("\n"))
        lines = lines.filter(lines != "")
        fields = lines.str.count_matches(self.separator, literal=True)
        good = (
            (fields == len(self.header) - 1)
            & (lines.str.len_bytes() <= LINE_MAX_BYTES)
            & ~lines.str.contains("\ufffd", literal=True)
        )
        if not good.all():
            return self._by_record(text)
        split = lines.str.split_exact(self.separator, len(self.header) - 1).struct.unnest()
        named = split.rename(dict(zip(split.columns, self.header, strict=True)))
        empty_is_null = pl.when(pl.all() != "").then(pl.all())
        numbers = pl.int_range(0, lines.len(), dtype=pl.Int64, eager=True)
        return Block(self._schema_names(named.select(empty_is_null.name.keep())), numbers, [], lines.len())

    def _by_record(self, text: str) -> Block:
        bad: list[Bad] = []
        kept: list[list[str | None]] = []
        numbers: list[int] = []
        count = 0
        reader = csv.reader(StringIO(text, newline=""), delimiter=self.separator, quotechar=self.quote)
        csv.field_size_limit(LINE_MAX_BYTES)
        while True:
            try:
                record = next(reader)
            except StopIteration:
                break
            except csv.Error as fault:
                bad.append((count, f"not a CSV record: {fault}", ""))
                count += 1
                continue
            if not record:
                continue
            if len(record) != len(self.header):
                bad.append(
                    (
                        count,
                        f"{len(record)} fields, the header has {len(self.header)}",
                        self.separator.join(record)[:10_000],
                    )
                )
            elif any("\ufffd" in cell for cell in record):
                bad.append((count, "not UTF-8 text", self.separator.join(record)[:10_000]))
            else:
                kept.append([cell or None for cell in record])
                numbers.append(count)
            count += 1
        frame = pl.DataFrame(kept, schema=dict.fromkeys(self.header, pl.String()), orient="row")
        return Block(self._schema_names(frame), pl.Series(numbers, dtype=pl.Int64), bad, count)

    def _schema_names(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The schema's columns under their own names; of the others those that the schema wants to see."""
        wanted = {name: rule.path or name for name, rule in self.schema.fields}
        named = [pl.col(path).alias(name) for name, path in wanted.items()]
        others = [name for name in frame.columns if name not in wanted.values() and name not in wanted]
        return frame.select(*named, *(others if self.schema.unknown != "drop" else ()))


@dataclass(frozen=True, slots=True)
class NdJson:
    """One JSON object a line; nested values by path, such as `rxInfo[0].time`."""

    schema: Schema

    has_header = False

    def with_header(self, line: bytes) -> NdJson:
        return self

    def cut(self, data: bytes) -> int:
        return data.rfind(b"\n") + 1

    def parse(self, data: bytes) -> Block:
        if self._is_flat and (frame := self._at_once(data)) is not None:
            return Block(frame, pl.int_range(0, frame.height, dtype=pl.Int64, eager=True), [], frame.height)
        return self._line_by_line(data)

    @property
    def _is_flat(self) -> bool:
        plain = all(rule.path is None and rule.type not in ("list", "record") for _, rule in self.schema.fields)
        return plain and self.schema.unknown == "drop"

    def _at_once(self, data: bytes) -> pl.DataFrame | None:
        """The block read by Polars, strictly; None when a line does not fit."""
        first = data[: data.find(b"\n")] if b"\n" in data else data
        try:
            sample = msgspec.json.decode(first)
            types = {name: self._type(rule.type, sample.get(name)) for name, rule in self.schema.fields}
            frame = pl.read_ndjson(BytesIO(data), schema=types)
        except (msgspec.DecodeError, AttributeError, pl.exceptions.PolarsError):
            return None
        # Polars passes over blank lines; a count of objects that is off means a line held more or less than one
        return frame if frame.height == data.count(b"\n") + (not data.endswith(b"\n")) else None

    def _type(self, kind: str, sample: object) -> pl.DataType:
        if kind == "instant":
            number = isinstance(sample, int | float) and not isinstance(sample, bool)
            return (pl.Float64() if isinstance(sample, float) else pl.Int64()) if number else pl.String()
        return {"integer": pl.Int64(), "float": pl.Float64(), "boolean": pl.Boolean()}.get(kind, pl.String())

    def _line_by_line(self, data: bytes) -> Block:
        bad: list[Bad] = []
        columns: dict[str, list[str | None]] = {name: [] for name, _ in self.schema.fields}
        paths = {name: _path(rule.path or name) for name, rule in self.schema.fields}
        others: list[dict[str, str]] = []
        numbers: list[int] = []
        count = 0
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            row, fault = _decoded(line)
            if row is None:
                bad.append((count, fault, line[:10_000].decode("utf-8", "replace")))
            else:
                for name, path in paths.items():
                    columns[name].append(_as_text(_found(row, path)))
                numbers.append(count)
                others.append({key: _as_text(value) or "" for key, value in row.items() if key not in columns})
            count += 1
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String()))
        if self.schema.unknown != "drop":
            extra = sorted({key for row in others for key in row if not key.startswith("_")})
            frame = frame.with_columns(
                pl.Series(key, [row.get(key) for row in others], dtype=pl.String) for key in extra
            )
        return Block(frame, pl.Series(numbers, dtype=pl.Int64), bad, count)


def _decoded(line: bytes) -> tuple[dict[str, Any] | None, str]:
    if len(line) > LINE_MAX_BYTES:
        return None, f"longer than {LINE_MAX_BYTES:,} bytes"
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        return None, f"not JSON: {str(fault) or 'nested too deep'}"
    if not isinstance(row, dict):
        return None, f"not a JSON object but {type(row).__name__}"
    return row, ""


def _path(text: str) -> Sequence[str | int]:
    """`rxInfo[0].time` as its steps."""
    steps: list[str | int] = []
    for part in text.split("."):
        name, *places = part.replace("]", "").split("[")
        steps.append(name)
        steps.extend(int(place) for place in places)
    return steps


def _found(row: object, path: Sequence[str | int]) -> object:
    value: Any = row
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list):
            value = value[step] if -len(value) <= step < len(value) else None
        else:
            return None
    return value


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
