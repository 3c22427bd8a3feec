"""The shape of a JSON record: a pattern of lines that Polars may read at once, and the types to read them with.

Law: a line that a shape's pattern matches gives, read at once, the values that it gives read one by one; keys stand
once in it, in the order of the record that the shape was taken from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import polars as pl

from eventide.connectors.formats.json_record import Number, Path
from eventide.connectors.formats.text import on_all_cores
from eventide.semantics.schema import Schema

_PATTERN_MAX = 20_000
_SPACE = "[ \t]*"
_TEXT = r'"[^"\\\x00-\x1f]*"'
_WHOLE = r"(?:0|-?[1-9][0-9]{0,17})"
_DECIMAL = r"(?:0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,20})"
_TRUTH = "(?:true|false)"
_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?"
_ANY = rf"(?:{_TEXT}|{_NUMBER}|{_TRUTH}|null)"


@dataclass(slots=True)
class Wanted:
    """What a schema wants of a record, as a tree along its paths."""

    columns: list[str] = field(default_factory=list)
    below: dict[str | int, Wanted] = field(default_factory=dict)


def wanted_of(paths: Mapping[str, Path]) -> Wanted:
    """The tree of the paths of columns."""
    root = Wanted()
    for name, path in paths.items():
        node = root
        for step in path:
            node = node.below.setdefault(step, Wanted())
        node.columns.append(name)
    return root


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern of whole lines, the types to decode them with, and the columns that its groups capture in turn."""

    pattern: str
    types: Mapping[str, pl.DataType]
    columns: Sequence[str]
    through_lists: bool

    def read(self, data: bytes | None, texts: pl.Series, paths: Mapping[str, Path]) -> pl.DataFrame | None:
        """The columns of lines that match, `data` their bytes if at hand; None when Polars will not have them."""
        try:
            if self.through_lists:
                return self._captured(texts)
            lines = "\n".join(texts.to_list()).encode() if data is None else data
            frame = pl.read_ndjson(BytesIO(lines), schema=dict(self.types))
            return frame.select(_found(paths[name]).alias(name) for name in self.columns)
        except pl.exceptions.PolarsError:
            return None

    def _captured(self, texts: pl.Series) -> pl.DataFrame:
        """The values as the pattern's groups find them: Polars decodes lists of records ten times as slowly."""
        found = on_all_cores(texts, lambda text: text.str.extract_groups(self.pattern)).struct.unnest()
        return found.rename(dict(zip(found.columns, self.columns, strict=True)))


class _Unshapely(Exception):
    """The record has something that only reading one by one can judge."""


def shape_of(row: Mapping[str, Any], wanted: Wanted, schema: Schema) -> Shape | None:
    """The shape of a record; None when records like it must be read one by one."""
    if schema.unknown != "drop" and any(key not in wanted.below for key in row):
        return None
    made = _Maker(schema)
    try:
        pattern, dtype = made.record(row, wanted)
    except _Unshapely:
        return None
    pattern = f"^{_SPACE}{pattern}{_SPACE}\r?$"
    if not isinstance(dtype, pl.Struct) or len(pattern) > _PATTERN_MAX:
        return None
    types = {one.name: one.dtype for one in dtype.fields}
    through_lists = any(isinstance(dtype, pl.List) for dtype in _all_types(dtype))
    return Shape(pattern, types, made.columns, through_lists)  # type: ignore[arg-type]


def _all_types(dtype: pl.DataType) -> Iterator[pl.DataType]:
    yield dtype
    if isinstance(dtype, pl.Struct):
        for one in dtype.fields:
            yield from _all_types(one.dtype)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Maker:
    """Makes patterns and types of values, and notes the columns that were met. A type of None is not wanted."""

    schema: Schema
    columns: list[str] = field(default_factory=list)

    def record(self, row: Mapping[str, Any], wanted: Wanted) -> tuple[str, pl.DataType | None]:
        patterns, fields = [], []
        for key, value in row.items():
            if not re.fullmatch(r'[^"\\\x00-\x1f]*', key):
                raise _Unshapely
            pattern, dtype = self.value(value, wanted.below.get(key, Wanted()))
            patterns.append(f'"{re.escape(key)}"{_SPACE}:{_SPACE}{pattern}')
            if dtype is not None:
                fields.append(pl.Field(key, dtype))
        inside = f"{_SPACE},{_SPACE}".join(patterns)
        return rf"\{{{_SPACE}{inside}{_SPACE}\}}", pl.Struct(fields) if fields else None

    def value(self, value: Any, wanted: Wanted) -> tuple[str, pl.DataType | None]:
        if wanted.columns and (wanted.below or isinstance(value, dict | list)):
            raise _Unshapely
        if isinstance(value, dict):
            return self.record(value, wanted)
        if isinstance(value, list):
            return self._list(value, wanted)
        found = {_scalar(self.schema[name].type, value) for name in wanted.columns}
        if not found:
            return _ANY, None
        if len(found) > 1:
            raise _Unshapely
        pattern, dtype = found.pop()
        if len(wanted.columns) > 1:
            raise _Unshapely
        self.columns += wanted.columns
        captured = f'"({pattern[1:-1]})"' if dtype == pl.String() else f"({pattern})"
        return f"(?:{captured}|null)", dtype

    def _list(self, values: list[Any], wanted: Wanted) -> tuple[str, pl.DataType | None]:
        if not wanted.below and not any(isinstance(value, dict | list) for value in values):
            return rf"\[{_SPACE}(?:{_ANY}(?:{_SPACE},{_SPACE}{_ANY})*)?{_SPACE}\]", None
        patterns, types = [], []
        for place, value in enumerate(values):
            both = [wanted.below[step] for step in (place, place - len(values)) if step in wanted.below]
            if len(both) > 1:
                raise _Unshapely
            pattern, dtype = self.value(value, both[0] if both else Wanted())
            patterns.append(pattern)
            if dtype is not None:
                types.append(dtype)
        if any(dtype != types[0] for dtype in types):
            raise _Unshapely
        inside = f"{_SPACE},{_SPACE}".join(patterns)
        return rf"\[{_SPACE}{inside}{_SPACE}\]", pl.List(types[0]) if types else None


def _scalar(kind: str, value: object) -> tuple[str, pl.DataType]:
    """The pattern and the type of a value in a column of this kind. A text may stand for anything but a list."""
    match kind, value:
        case (("list" | "record"), _):
            raise _Unshapely
        case "integer", None:
            return _WHOLE, pl.Int64()
        case "float", None:
            return _DECIMAL, pl.Float64()
        case "boolean", bool() | None:
            return _TRUTH, pl.Boolean()
        case (("integer" | "instant"), Number()) if re.fullmatch(_WHOLE, value):
            return _WHOLE, pl.Int64()
        case (("float" | "instant"), Number()) if re.fullmatch(_DECIMAL, value):
            return _DECIMAL, pl.Float64()
        case _, Number() | bool():
            raise _Unshapely
        case _:
            return _TEXT, pl.String()


def _found(path: Path) -> pl.Expr:
    first, *rest = path
    value = pl.col(str(first))
    for step in rest:
        value = value.struct.field(step) if isinstance(step, str) else value.list.get(step, null_on_oob=True)
    return value
