"""Blocks: what a text format makes of the next bytes of a log, and the contract of such a format.

Law: where the bytes were cut means nothing; the records, their numbers and their faults depend on the text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from eventide.semantics.schema import Schema

RECORD_BYTES_MAX: Final = 16 * 2**20
"""Records with more bytes are refused."""

SHOWN_BYTES: Final = 10_000
"""So much of a record that cannot be read is kept as its raw text."""

BOM: Final = b"\xef\xbb\xbf"
"""What some programs put in front of UTF-8 text; it means nothing."""

_NEAR = 4_096

Bad = tuple[int, str, str]
"""A record that cannot be read: its number in the block, the reason, its text."""


@dataclass(frozen=True, slots=True)
class Block:
    """Records of a log: raw columns with the number of each record in the block, and the bad ones.

    `records` counts both; `used` is how many bytes they (and blank lines) took.
    """

    rows: pl.DataFrame
    numbers: pl.Series
    bad: list[Bad]
    records: int
    used: int


class TextFormat(Protocol):
    """How bytes become records."""

    @property
    def has_header(self) -> bool:
        """True when the first line of a file names the columns."""

    @property
    def schema(self) -> Schema:
        """The columns wanted."""

    @property
    def record_bytes_max(self) -> int:
        """Longer records are refused."""

    def with_header(self, line: bytes) -> TextFormat:
        """The format once the header of the file is known. Raises `SourceError` when it does not fit the schema."""

    def parse(self, data: bytes, rows_max: int, *, eof: bool) -> Block:
        """The next complete records at the front of `data`, at most `rows_max`; `used` is 0 when there is none yet.

        `eof` says that nothing follows `data`, so what stands behind the last newline is a record too.
        """


def numbers_to(count: int) -> pl.Series:
    """0, 1, ... for a block in which every record is good."""
    return pl.int_range(0, count, dtype=pl.Int64, eager=True)


def shown(record: bytes) -> str:
    """A bad record as text, cut short."""
    return record[:SHOWN_BYTES].rstrip(b"\r\n").decode("utf-8", "replace")


def end_of_lines(data: bytes, lines_max: int, *, eof: bool) -> int:
    """Where the first `lines_max` lines of `data` end; an unfinished last line counts only at `eof`.

    >>> end_of_lines(b"a\\nb\\nc", 2, eof=True), end_of_lines(b"a\\nb\\nc", 9, eof=False)
    (4, 4)
    """
    lines = data.count(b"\n")
    if lines < lines_max:
        return len(data) if eof else data.rfind(b"\n") + 1
    low, high, left = 0, len(data), lines_max
    while high - low > _NEAR:
        middle = (low + high) // 2
        found = data.count(b"\n", low, middle)
        if found < left:
            low, left = middle, left - found
        else:
            high = middle
    for _ in range(left):
        low = data.find(b"\n", low) + 1
    return low


def has_long_line(data: bytes, bytes_max: int) -> bool:
    """Could a line of `data` be longer than `bytes_max`? Looks for newlines at steps, so it may say yes too early."""
    step = max(bytes_max // 2, 1)
    return any(
        data.find(b"\n", start, start + step) < 0 for start in range(0, len(data), step) if start + step <= len(data)
    )
