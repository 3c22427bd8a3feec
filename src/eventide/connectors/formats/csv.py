"""CSV: separated values with a header line.

A record is one line, or more where a quoted value holds line breaks (read as `\\n` each). A value that begins with a
quote ends with one, quotes inside are doubled; quotes elsewhere are text. Empty values are missing.

Law: a record that breaks these rules, or whose quote is not closed within the limit of a record, costs its first
line only: that line is refused and reading goes on with the next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import get_args

import polars as pl

from eventide.connectors.formats.columns import as_json
from eventide.connectors.formats.csv_records import Walk, values_of
from eventide.connectors.formats.encoded import Policy
from eventide.connectors.formats.text import (
    NUMBER,
    RAW_MAX,
    UNKNOWN,
    Bad,
    Block,
    Lines,
    lines_of,
    matching,
    nth_line_end,
)
from eventide.errors import SourceError
from eventide.semantics.schema import Schema

_HEADER_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Csv:
    """Separated values with a header for a schema.

    A file whose header cannot be read stops the run, or its lines become refused rows, as `on_schema_change` says.
    `fault` is set when they do, `note` when the header is another than the first that was `seen`.
    """

    schema: Schema
    separator: str = ","
    quote: str = '"'
    header: tuple[str, ...] = ()
    on_schema_change: Policy = "stop"
    fault: str | None = None
    note: str | None = None
    seen: list[tuple[str, ...]] = field(default_factory=list, compare=False, repr=False)

    has_header = True

    def __post_init__(self) -> None:
        for name in ("separator", "quote"):
            mark = getattr(self, name)
            if not isinstance(mark, str) or len(mark) != 1 or not mark.isascii() or mark in "\r\n\0":
                raise ValueError(f"{name}={mark!r} must be one ASCII character, and no line end")
        if self.on_schema_change not in get_args(Policy):
            given = self.on_schema_change
            raise ValueError(f'on_schema_change={given!r} is not a choice: use "dead_letters" or "stop"')
        if self.separator == self.quote:
            raise ValueError(f"separator= and quote= are both {self.quote!r}: they must differ")

    def with_header(self, line: bytes) -> Csv:
        text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
        names = values_of(text, self.separator, self.quote)
        wanted = [rule.path or name for name, rule in self.schema.fields]
        missing = [name for name in wanted if name not in names]
        if missing:
            import difflib

            near = {name: difflib.get_close_matches(name, names, 1) for name in missing}
            hints = ", ".join(
                f"{name!r}" + (f" (did you mean {found[0]!r}?)" if found else "") for name, found in near.items()
            )
            what = f"the header lacks {hints}. It has: {', '.join(map(repr, names))[:_HEADER_SHOWN]}"
            return self._unfit(what, "Name columns as the header does, or use path=")
        twice = [name for name in wanted if names.count(name) > 1]
        if twice:
            return self._unfit(f"the header has {twice[0]!r} more than once", "Give each column its own name")
        if not self.seen:
            self.seen.append(tuple(names))
        return replace(self, header=tuple(names), note=_differences(self.seen[0], names))

    def _unfit(self, what: str, remedy: str) -> Csv:
        """What to do with a file whose header cannot be read."""
        if self.on_schema_change == "stop":
            raise SourceError(f"{what}. {remedy}")
        return replace(self, fault=what, note=f"{what}: its lines become dead letters")

    def parse(self, data: bytes, record_max_bytes: int, *, last: bool) -> Block:
        lines = lines_of(data)
        if self.fault is not None:
            bad = [Bad(number, self.fault, text[:RAW_MAX]) for number, text in enumerate(lines.texts)]
            return Block([], bad, len(bad), len(data), lines.texts.gather)
        good = self._good(lines.texts, quoted=self.quote.encode() in data)
        if b"\r" in data:  # one that does not end its line belongs to a value, where Polars drops it
            good = good & ~lines.texts.str.contains("\r", literal=True)
        if good.all() and not lines.broken and lines.bytes_max <= record_max_bytes:
            numbers = pl.int_range(0, lines.texts.len(), dtype=pl.Int64, eager=True)
            plain = data if b"\r" not in data else "\n".join(lines.texts.to_list()).encode()
            frame = self._read(plain).with_columns(numbers.alias(NUMBER))
            return Block([frame], [], lines.texts.len(), len(data), lines.texts.gather)
        return self._sorted_out(data, lines, good, record_max_bytes, last=last)

    def _good(self, texts: pl.Series, *, quoted: bool) -> pl.Series:
        """The lines that are certainly one record with as many values as the header has."""
        more, q, s = len(self.header) - 1, re.escape(self.quote), re.escape(self.separator)
        if quoted:
            value = f"(?:{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}|[^{q}{s}]*)"
            good = matching(texts, f"^{value}(?:{s}{value}){{{more}}}$")
        else:
            good = texts.str.count_matches(self.separator, literal=True) == more
        return good if more else good & (texts != "")

    def _sorted_out(self, data: bytes, lines: Lines, good: pl.Series, record_max_bytes: int, *, last: bool) -> Block:
        """Good lines at once, the others record by record."""
        texts = lines.texts
        walk = Walk(lines, len(self.header), self.separator, self.quote, record_max_bytes, last)
        fits = good & (texts.str.len_bytes() <= record_max_bytes)
        if lines.broken:
            fits = fits & ~pl.int_range(texts.len(), eager=True).is_in(list(lines.broken))
        walk.through(fits)
        consumed = len(data) if walk.open_line is None else nth_line_end(data, walk.open_line) if walk.open_line else 0
        kept = texts.len() if walk.open_line is None else walk.open_line
        begins = pl.Series([True], dtype=pl.Boolean).new_from_index(0, kept)
        if walk.inner:
            begins = begins.scatter(walk.inner, False)
        numbers = begins.cast(pl.Int64).cum_sum() - 1
        plain = fits.head(kept) & begins & ~_among(kept, [*walk.rows, *walk.bad])
        parts = []
        if plain.any():
            block = "\n".join(texts.head(kept).filter(plain).to_list()).encode()
            parts.append(self._read(block).with_columns(numbers.filter(plain).alias(NUMBER)))
        places = numbers.to_list() if walk.rows or walk.bad else []
        if walk.rows:
            part = self._columns(pl.DataFrame(list(walk.rows.values()), schema=self._names(), orient="row"))
            parts.append(part.with_columns(pl.Series(NUMBER, [places[at] for at in walk.rows], dtype=pl.Int64)))
        bad = [Bad(places[at], reason, raw) for at, (reason, raw) in walk.bad.items()]
        spans = {places[at]: text for at, text in walk.spans.items()}
        heads = texts.head(kept).filter(begins)

        def texts_of(wanted: pl.Series) -> pl.Series:
            found = heads.gather(wanted)
            return pl.Series([spans.get(n, text) for n, text in zip(wanted, found, strict=True)], dtype=pl.String)

        return Block(parts, bad, heads.len(), consumed, texts_of, line_of=lambda n: int(begins.arg_true()[n]))

    def _names(self) -> dict[str, pl.DataType]:
        return {f"c{place}": pl.String() for place in range(len(self.header))}

    def _read(self, data: bytes) -> pl.DataFrame:
        """Lines of which each is a record."""
        quote = self.quote if self.quote.encode() in data else None
        only = None
        if self.schema.unknown == "drop":
            only = sorted({self.header.index(rule.path or name) for name, rule in self.schema.fields})
        frame = pl.read_csv(
            BytesIO(data), separator=self.separator, quote_char=quote, has_header=False, schema=self._names(),
            columns=only,
        )  # fmt: skip
        return self._columns(frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep()))

    def _columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The schema's columns under their own names, and the others as JSON where the schema wants to see them."""
        wanted = {name: f"c{self.header.index(rule.path or name)}" for name, rule in self.schema.fields}
        made = [pl.col(place).alias(name) for name, place in wanted.items()]
        if self.schema.unknown != "drop":
            others = {f"c{place}": name for place, name in enumerate(self.header)}
            others = {place: name for place, name in others.items() if place not in wanted.values()}
            made.append(as_json(others, frame.schema).alias(UNKNOWN))
        return frame.select(made)


def _among(length: int, places: list[int]) -> pl.Series:
    none = pl.Series([False], dtype=pl.Boolean).new_from_index(0, length)
    return none.scatter(places, True) if places else none


def _differences(first: Sequence[str], names: Sequence[str]) -> str | None:
    """In what a header differs from the first one."""
    added = [f"{name!r} was added" for name in names if name not in first]
    gone = [f"{name!r} was removed" for name in first if name not in names]
    told = "; ".join([*added, *gone])[:_HEADER_SHOWN]
    return f"the header is read: {told}" if told else None
