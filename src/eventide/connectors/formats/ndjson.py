"""NDJSON: one JSON object a line; nested values by path, such as `rxInfo[0].time`.

Law: a line is refused or read by itself; lines of a few shapes are read at once, each shape by itself. A key that
stands twice in one object refuses the line, wherever the object stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from eventide.connectors.formats.json_record import Path, as_text, decoded, no_envelope, path_of, value_at, written
from eventide.connectors.formats.shape import Shape, Wanted, shape_of, wanted_of
from eventide.connectors.formats.text import NUMBER, RAW_MAX, UNKNOWN, Bad, Block, Lines, lines_of, matching, too_long
from eventide.semantics.schema import Schema

_SHAPES_MOST = 16
_WORTH_A_SHAPE = 64


@dataclass(frozen=True, slots=True)
class NdJson:
    """Lines of JSON for a schema. Where there is an `envelope`, a line without a record there is refused."""

    schema: Schema
    envelope: Path = ()
    paths: dict[str, Path] = field(init=False, compare=False, repr=False)
    wanted: Wanted = field(init=False, compare=False, repr=False)

    has_header = False

    def __post_init__(self) -> None:
        paths = {name: path_of(rule.path) if rule.path else (name,) for name, rule in self.schema.fields}
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "wanted", wanted_of(paths))

    def with_header(self, line: bytes) -> NdJson:
        return self

    def parse(self, data: bytes, record_max_bytes: int, *, last: bool) -> Block:
        lines = lines_of(data)
        return self._at_once(data, lines, record_max_bytes) or self._sorted_out(data, lines, record_max_bytes)

    def _at_once(self, data: bytes, lines: Lines, record_max_bytes: int) -> Block | None:
        """The whole block by the shape of its first line."""
        if lines.broken or not lines.texts.len() or lines.bytes_max > record_max_bytes:
            return None
        shape = self._shape(lines.texts[0])
        matches = None if shape is None else _matches(lines.texts, shape)
        if shape is None or matches is None or not matches.all():
            return None
        frame = shape.read(data, lines.texts, self.paths)
        if frame is None or frame.height != lines.texts.len():
            return None
        return self._block([_numbered(frame)], [], lines.texts, len(data))

    def _sorted_out(self, data: bytes, lines: Lines, record_max_bytes: int) -> Block:
        """The block line by line where need be, and shape by shape where many lines have one."""
        index = pl.int_range(lines.texts.len(), eager=True)
        filled = lines.texts.str.strip_chars(" \t\r") != ""
        texts, index = lines.texts.filter(filled), index.filter(filled)
        bad: list[Bad] = []
        left = pl.int_range(texts.len(), dtype=pl.Int64, eager=True)
        fits = texts.str.len_bytes() <= record_max_bytes
        if not fits.all():
            long = left.filter(~fits)
            bad += [Bad(n, too_long(record_max_bytes), texts[n][:RAW_MAX]) for n in long]
        whole = ~index.is_in(list(lines.broken)) if lines.broken else fits
        if lines.broken:
            bad += [Bad(n, "not UTF-8 text", texts[n][:RAW_MAX]) for n in left.filter(fits & ~whole)]
        left = left.filter(fits & whole)
        parts, left = self._by_shape(texts, left)
        slow, found = self._one_by_one(texts, left)
        made = self._block([*parts, *slow], bad + found, texts, len(data))
        return replace(made, line_of=lambda n: int(index[n]))

    def _by_shape(self, texts: pl.Series, left: pl.Series) -> tuple[list[pl.DataFrame], pl.Series]:
        """Parts of lines that share a shape, and the numbers of the lines that none took."""
        parts: list[pl.DataFrame] = []
        apart: list[int] = []
        for _ in range(_SHAPES_MOST):
            if left.len() < _WORTH_A_SHAPE:
                break
            shape = self._shape(texts[left[0]])
            some = texts.gather(left)
            matches = None if shape is None else _matches(some, shape)
            if shape is None or matches is None:
                apart.append(left[0])
                left = left.slice(1)
                continue
            taken = some.filter(matches)
            frame = shape.read(None, taken, self.paths)
            numbers = left.filter(matches)
            if frame is None or frame.height != numbers.len():
                apart += numbers.to_list()
            else:
                parts.append(frame.with_columns(numbers.alias(NUMBER)))
            left = left.filter(~matches)
        return parts, pl.concat([pl.Series(apart, dtype=pl.Int64), left]).sort()

    def _one_by_one(self, texts: pl.Series, numbers: pl.Series) -> tuple[list[pl.DataFrame], list[Bad]]:
        bad: list[Bad] = []
        kept: list[int] = []
        rows: list[dict[str, Any]] = []
        for number, text in zip(numbers, texts.gather(numbers), strict=True):
            row, fault = decoded(text)
            if row is not None and not self._is_enveloped(row):
                row, fault = None, no_envelope(self.envelope)
            if row is None:
                bad.append(Bad(number, fault, text[:RAW_MAX]))
            else:
                kept.append(number)
                rows.append(row)
        if not rows:
            return [], bad
        columns = {name: [as_text(value_at(row, path)) for row in rows] for name, path in self.paths.items()}
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String()))
        if self.schema.unknown != "drop":
            others = ({key: one for key, one in row.items() if key not in self.wanted.below} for row in rows)
            frame = frame.with_columns(pl.Series(UNKNOWN, [written(one) if one else None for one in others], pl.String))
        return [frame.with_columns(pl.Series(NUMBER, kept, dtype=pl.Int64))], bad

    def _shape(self, text: str) -> Shape | None:
        row, _ = decoded(text)
        if row is None or not self._is_enveloped(row):
            return None
        return shape_of(row, self.wanted, self.schema)

    def _is_enveloped(self, row: dict[str, Any]) -> bool:
        return not self.envelope or isinstance(value_at(row, self.envelope), dict)

    def _block(self, parts: list[pl.DataFrame], bad: list[Bad], texts: pl.Series, consumed: int) -> Block:
        def slowly(numbers: pl.Series) -> pl.DataFrame:
            return self._one_by_one(texts, numbers)[0][0]

        return Block(parts, bad, texts.len(), consumed, texts.gather, slowly)


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(NUMBER))


def _matches(texts: pl.Series, shape: Shape) -> pl.Series | None:
    try:
        # a record may not even have the shape that was taken from it: minus zero, for one
        return matching(texts, shape.pattern) if texts.head(1).str.contains(shape.pattern).item() else None
    except pl.exceptions.PolarsError:  # a pattern larger than Polars takes
        return None
