"""Text formats: what a block of lines becomes, and the lines themselves.

Law: lines that are plain are read all at once, the others one by one, and nobody can tell from the rows, the offsets
or the refused rows which way was taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Protocol

import polars as pl

RECORD_MAX_BYTES = 16 * 2**20
"""The default of `record_max_bytes`: longer records are refused."""

RAW_MAX = 10_000
"""So many characters of a refused record are kept."""

NUMBER = "_number"
"""Column of a part: the record's number in its block."""

UNKNOWN = "_unknown"
"""Column of a part: the record's fields that the schema does not name, as a JSON object; null where there are none."""

_MARKS = bytes(range(1, 9)) + bytes(range(14, 32))
_WORTH_A_CORE = 4_096
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be read: its number in the block, the reason, its text."""

    number: int
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Block:
    """What the records of a block gave.

    `parts` are raw columns with `_number`. `consumed` counts the bytes that belong to the records read; what is behind
    them is the beginning of a record that is not whole yet. `texts` gives the text of records by their numbers.
    `slowly` reads records again one by one, for parts whose values were typed at once; None where no part was.
    `line_of` gives the line at which a record begins.
    """

    parts: Sequence[pl.DataFrame]
    bad: Sequence[Bad]
    records: int
    consumed: int
    texts: Callable[[pl.Series], pl.Series]
    slowly: Callable[[pl.Series], pl.DataFrame] | None = None
    line_of: Callable[[int], int] = int

    def first(self, records: int, data: bytes) -> Block:
        """The first records alone, at least one, of a block of this data that has more."""
        parts = [part.filter(pl.col(NUMBER) < records) for part in self.parts]
        bad = [one for one in self.bad if one.number < records]
        return replace(self, parts=parts, bad=bad, records=records, consumed=nth_line_end(data, self.line_of(records)))


class TextFormat(Protocol):
    """How lines become rows."""

    @property
    def has_header(self) -> bool: ...

    def with_header(self, line: bytes) -> TextFormat:
        """The format once the header of the file is known. Raises `SourceError` when it does not fit the schema."""

    def parse(self, data: bytes, record_max_bytes: int, *, last: bool) -> Block:
        """The records of whole lines. `last` says that a record which is not whole at their end never will be."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a block without their ends (`\\n` or `\\r\\n`), and the numbers of those that are not UTF-8."""

    texts: pl.Series
    broken: frozenset[int] = frozenset()

    @property
    def bytes_max(self) -> int:
        """The length of the longest line."""
        longest = self.texts.str.len_bytes().max()
        return longest if isinstance(longest, int) else 0


def lines_of(data: bytes) -> Lines:
    """The lines of a block. In a line that is not UTF-8, U+FFFD stands for what cannot be read."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return _broken_lines(data)
    mark = next((mark for mark in _MARKS if mark not in data), None)
    if mark is None or data.startswith(_BOM):
        return Lines(pl.Series("line", _split(data.decode()), dtype=pl.String))
    # as CSV of one column, cut nowhere: the fastest way to lines that Polars has
    found = pl.read_csv(
        BytesIO(data), separator=chr(mark), has_header=False, quote_char=None, schema={"line": pl.String()}
    )
    return Lines(found.get_column("line").fill_null(""))


def _split(text: str) -> list[str]:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _broken_lines(data: bytes) -> Lines:
    broken = set()
    for number, line in enumerate(data.split(b"\n")):
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError:
                broken.add(number)
    return Lines(pl.Series("line", _split(data.decode("utf-8", "replace")), dtype=pl.String), frozenset(broken))


def on_all_cores(texts: pl.Series, of: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """An expression over texts, piece by piece on all cores. Raises `PolarsError` when Polars will not have it."""
    cores = pl.thread_pool_size()
    size = texts.len() // cores
    if size < _WORTH_A_CORE:
        return pl.select(of(pl.lit(texts))).to_series()
    pieces = [texts.slice(n * size, size) for n in range(cores)]
    found = pl.select(of(pl.lit(piece)).alias(str(n)) for n, piece in enumerate(pieces)).get_columns()
    rest = pl.select(of(pl.lit(texts.slice(cores * size)))).to_series()
    return pl.concat([one.alias(rest.name) for one in (*found, rest) if one.len()])


def matching(texts: pl.Series, pattern: str) -> pl.Series:
    """Which texts match."""
    return on_all_cores(texts, lambda text: text.str.contains(pattern))


def nth_line_end(data: bytes, count: int, start: int = 0, end: int | None = None) -> int:
    """Where the line number `count` (from 1) behind `start` ends, its `\\n` included. There must be so many."""
    low, high = start, len(data) if end is None else end
    while high - low > 4096:
        middle = (low + high) // 2
        within = data.count(b"\n", low, middle)
        if within >= count:
            high = middle
        else:
            low, count = middle, count - within
    for _ in range(count):
        low = data.find(b"\n", low) + 1
    return low


def too_long(record_max_bytes: int) -> str:
    """The reason of a record that is longer than the limit."""
    return f"longer than {record_max_bytes:,} bytes"
