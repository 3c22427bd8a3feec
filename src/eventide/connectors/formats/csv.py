"""CSV: records of separated fields under a header line.

Law: a field that begins with a quote must end with one, and every record has as many fields as the header; what breaks
that is one refused record, and reading goes on with the next line. Blocks without a fault are read by Polars at full
speed, the others record by record, with the same result.
"""

from __future__ import annotations

import csv
import difflib
import re
from dataclasses import dataclass, replace
from functools import lru_cache

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
from eventide.errors import SourceError
from eventide.semantics.schema import Schema

_INCOMPLETE = "incomplete"
_BROKEN = "broken quoting"


@dataclass(frozen=True, slots=True)
class Csv:
    """Comma-separated values with a header. Empty fields are missing values, blank lines are no records."""

    schema: Schema
    separator: str = ","
    quote: str = '"'
    header: tuple[str, ...] = ()
    record_bytes_max: int = RECORD_BYTES_MAX

    has_header = True

    def __post_init__(self) -> None:
        for name, sign in (("separator", self.separator), ("quote", self.quote)):
            if len(sign) != 1 or not sign.isascii() or sign in "\r\n":
                raise ValueError(f'{name}={sign!r} must be one ASCII character, such as {name}=";"')
        if self.separator == self.quote:
            raise ValueError(f"separator= and quote= are both {self.quote!r}: they must differ")

    def with_header(self, line: bytes) -> Csv:
        text = line.removeprefix(BOM).decode("utf-8", "replace").rstrip("\r\n")
        names = tuple(next(csv.reader([text], delimiter=self.separator, quotechar=self.quote), []))
        wanted = [rule.path or name for name, rule in self.schema.fields]
        twice = [name for name in dict.fromkeys(wanted) if names.count(name) > 1]
        if twice:
            raise SourceError(f"the header names {twice[0]!r} more than once: give each column a name of its own")
        missing = [name for name in wanted if name not in names]
        if missing:
            raise SourceError(
                f"the header lacks {', '.join(_with_hint(name, names) for name in missing)}. It has: "
                f"{', '.join(names)}. Name columns as the header does, or use path="
            )
        return replace(self, header=names)

    def parse(self, data: bytes, rows_max: int, *, eof: bool) -> Block:
        end = end_of_lines(data, rows_max, eof=eof)
        frame = self._at_once(data[:end]) if end else None
        if frame is not None:
            return Block(frame, numbers_to(frame.height), [], frame.height, end)
        return self._one_by_one(data, rows_max, eof=eof)

    def _at_once(self, data: bytes) -> pl.DataFrame | None:
        """The records read by Polars; None unless every line is one good record for sure."""
        blank = data.startswith((b"\n", b"\r\n", BOM)) or b"\n\n" in data or b"\n\r\n" in data
        returns = data.count(b"\r")
        if blank or (returns and returns != data.count(b"\r\n")) or has_long_line(data, self.record_bytes_max):
            return None
        quoted = self.quote.encode() in data
        try:
            lines = pl.read_lines(data).to_series()
            if not self._are_regular(lines, quoted=quoted):
                return None
            frame = pl.read_csv(
                data,
                has_header=False,
                schema={str(place): pl.String() for place in range(len(self.header))},
                separator=self.separator,
                quote_char=self.quote if quoted else None,
            )
        except pl.exceptions.PolarsError:
            return None
        if frame.height != lines.len():
            return None
        frame = self._named(frame)
        return frame.select(pl.when(pl.all() != "").then(pl.all()).name.keep()) if quoted else frame

    def _are_regular(self, lines: pl.Series, *, quoted: bool) -> bool:
        """Is every line a record of its own with as many fields as the header?"""
        if not quoted:
            fields = lines.str.count_matches(self.separator, literal=True)
            return bool((fields == len(self.header) - 1).all())
        return bool(lines.str.contains(_regular_line(self.separator, self.quote, len(self.header))).all())

    def _one_by_one(self, data: bytes, rows_max: int, *, eof: bool) -> Block:
        kept: list[list[str | None]] = []
        numbers: list[int] = []
        bad: list[Bad] = []
        start = count = 0
        while start < len(data) and count < rows_max:
            if blank := _BLANK.match(data, start):
                start = blank.end()
                continue
            fields, end, fault = self._record(data, start, eof=eof)
            if fault == _INCOMPLETE:
                break
            cells = _cells(fields)
            if not fault and len(cells or fields) != len(self.header):
                fault = f"{len(fields)} fields, the header has {len(self.header)}"
            if fault or cells is None:
                bad.append((count, fault or "not UTF-8 text", shown(data[start:end])))
            else:
                kept.append(cells)
                numbers.append(count)
            start, count = end, count + 1
        schema = {str(place): pl.String() for place in range(len(self.header))}
        frame = self._named(pl.DataFrame(kept, schema=schema, orient="row"))
        return Block(frame, pl.Series(numbers, dtype=pl.Int64), bad, count, start)

    def _record(self, data: bytes, start: int, *, eof: bool) -> tuple[list[bytes], int, str]:
        """The fields of the record at `start`, where it ends, and its fault. A broken one ends with its first line."""
        fields, end, fault = _split(data, start, _patterns(self.separator, self.quote), eof=eof)
        if not fault and end - start <= self.record_bytes_max:
            return fields, end, ""
        if fault == _INCOMPLETE and not eof and len(data) - start <= self.record_bytes_max:
            return [], start, _INCOMPLETE
        line_end = data.find(b"\n", start) + 1
        if not line_end and not eof:
            return [], start, _INCOMPLETE
        line_end = line_end or len(data)
        too_long = line_end - start > self.record_bytes_max
        return [], line_end, f"longer than {self.record_bytes_max:,} bytes" if too_long else _BROKEN

    def _named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The schema's columns under their own names; of the others those that the schema wants to see."""
        places = {name: str(place) for place, name in reversed(list(enumerate(self.header)))}
        wanted = {name: rule.path or name for name, rule in self.schema.fields}
        columns = [pl.col(places[path]).alias(name) for name, path in wanted.items()]
        if self.schema.unknown != "drop":
            taken = {*wanted, *wanted.values()}
            columns += [pl.col(place).alias(name) for name, place in places.items() if name not in taken]
        return frame.select(columns)


_BLANK = re.compile(rb"\r?\n|\r?\Z")
_Patterns = tuple[bytes, bytes, re.Pattern[bytes], re.Pattern[bytes]]


@lru_cache
def _patterns(separator: str, quote: str) -> _Patterns:
    """The separator, the quote, a quoted field and a plain one, as they stand in bytes."""
    apart, mark = re.escape(separator).encode(), re.escape(quote).encode()
    quoted = re.compile(mark + b"((?:[^" + mark + b"]++|" + mark * 2 + b")*+)" + mark)
    return separator.encode(), quote.encode(), quoted, re.compile(b"[^" + apart + b"\n]*+")


@lru_cache
def _regular_line(separator: str, quote: str, fields: int) -> str:
    """A line whose quotes are as they should be, for Polars (no backtracking, so no cost beyond one pass)."""
    apart, mark = _in_class(separator), _in_class(quote)
    one = f"(?:[^{mark}{apart}]*|[{mark}](?:[^{mark}]|[{mark}][{mark}])*[{mark}])"
    return f"^{one}(?:[{apart}]{one}){{{fields - 1}}}$"


def _in_class(sign: str) -> str:
    return f"\\x{ord(sign):02x}"


def _split(data: bytes, start: int, patterns: _Patterns, *, eof: bool) -> tuple[list[bytes], int, str]:
    """The fields of the record at `start`, where the next one begins, and what is wrong with it."""
    separator, quote, quoted, plain = patterns
    fields: list[bytes] = []
    place = start
    while True:
        is_quoted = data.startswith(quote, place)
        found = (quoted if is_quoted else plain).match(data, place)
        if found is None:
            return fields, start, _INCOMPLETE
        place = found.end()
        fields.append(found[1].replace(quote * 2, quote) if is_quoted else found[0])
        if data.startswith(separator, place):
            place += 1
        elif data.startswith(b"\n", place) or (is_quoted and data.startswith(b"\r\n", place)):
            break
        elif place >= len(data) or data[place:] == b"\r":
            if not eof:
                return fields, start, _INCOMPLETE
            break
        else:
            return fields, start, _BROKEN
    if not is_quoted:
        fields[-1] = fields[-1].removesuffix(b"\r")
    end = data.find(b"\n", place)
    return fields, end + 1 if end >= 0 else len(data), ""


def _cells(fields: list[bytes]) -> list[str | None] | None:
    try:
        return [field.decode() or None for field in fields]
    except UnicodeDecodeError:
        return None


def _with_hint(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
