"""CSV records one by one: where a record that is not one plain line ends, and what its values are.

Law: a record costs a look at its own lines and no more than a look at those behind it up to the limit of a record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from eventide.connectors.formats.text import RAW_MAX, Lines, too_long

_State = Literal["closed", "open", "broken"]


@dataclass
class Walk:
    """The walk through lines that are not plain records.

    By the number of their first line: `rows` has the values of records, `bad` the reason and the text of what is
    refused, `spans` the texts of records of several lines. `inner` are blank lines and those within a record,
    `open_line` is where a record begins that is not whole.
    """

    lines: Lines
    width: int
    separator: str
    quote: str
    limit: int
    last: bool
    rows: dict[int, list[str | None]] = field(default_factory=dict)
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)
    spans: dict[int, str] = field(default_factory=dict)
    inner: list[int] = field(default_factory=list)
    open_line: int | None = None

    def __post_init__(self) -> None:
        self._texts = self.lines.texts
        self._inside = _inside(self.quote)
        self._ends = (self._texts.str.len_bytes().cast(pl.Int64) + 1).cum_sum()

    def through(self, good: pl.Series) -> None:
        """Walk through all lines that are not good."""
        quoted = self._texts.str.contains(self.quote, literal=True).arg_true().to_list()
        blank = (self._texts == "") & ~good
        self.inner = blank.arg_true().to_list()
        behind = place = 0
        for line in (~good & ~blank).arg_true():
            if line < behind:
                continue
            while place < len(quoted) and quoted[place] <= line:
                place += 1
            end = self._record(line, quoted, place)
            if self.open_line is not None:
                self.inner = [one for one in self.inner if one < line]
                break
            behind = end + 1
            self.inner += range(line + 1, behind)
        self.inner = sorted(set(self.inner))

    def _record(self, line: int, quoted: list[int], place: int) -> int:
        """Read the record that begins at a line; gives its last line."""
        end = line
        state = self._state(self._texts[line], inside=False)
        while state == "open":
            if place >= len(quoted) or self._length(line, quoted[place]) > self.limit:
                return self._unclosed(line)
            end = quoted[place]
            place += 1
            state = self._state(self._texts[end], inside=True)
        if state == "broken":
            return self._refuse(line, line, f"text behind the closing {self.quote} of a value")
        if self._length(line, end) > self.limit:
            return self._refuse(line, line, too_long(self.limit))
        if self.lines.broken and not self.lines.broken.isdisjoint(range(line, end + 1)):
            return self._refuse(line, end, "not UTF-8 text")
        text = self._text(line, end)
        values = values_of(text, self.separator, self.quote)
        if len(values) != self.width:
            return self._refuse(line, end, f"{len(values)} fields, the header has {self.width}")
        self.rows[line] = [value or None for value in values]
        if end > line:
            self.spans[line] = text
        return end

    def _unclosed(self, line: int) -> int:
        if not self.last and self._length(line, self._texts.len() - 1) <= self.limit:
            self.open_line = line
            return line
        where = f"within {self.limit:,} bytes or before the end"
        return self._refuse(line, line, f"the {self.quote} of a value is not closed {where}")

    def _refuse(self, line: int, end: int, reason: str) -> int:
        self.bad[line] = (reason, self._text(line, end)[:RAW_MAX])
        return end

    def _text(self, line: int, end: int) -> str:
        return "\n".join(self._texts.slice(line, end - line + 1).to_list())

    def _length(self, line: int, end: int) -> int:
        """The bytes of the lines from one to another, line ends between them included."""
        before = int(self._ends[line - 1]) if line else 0
        return int(self._ends[end]) - before - 1

    def _state(self, text: str, *, inside: bool) -> _State:
        """Where a record stands at the end of a line that begins inside a quoted value, or at a value's beginning."""
        at = 0
        while True:
            if not inside and not text.startswith(self.quote, at):
                at = text.find(self.separator, at) + 1
                if not at:
                    return "closed"
                continue
            found = self._inside.match(text, at if inside else at + 1)
            inside = False
            assert found is not None
            at = found.end() + 1
            if found.end() == len(text):
                return "open"
            if at == len(text):
                return "closed"
            if text[at] != self.separator:
                return "broken"
            at += 1


def values_of(text: str, separator: str, quote: str) -> list[str]:
    """The values of a whole record.

    >>> values_of('a,"b ""c"", d",', ",", '"')
    ['a', 'b "c", d', '']
    """
    values, at, inside = [], 0, _inside(quote)
    while True:
        found = inside.match(text, at + 1) if text.startswith(quote, at) else None
        if found is not None and found.end() < len(text):
            values.append(found[0].replace(quote * 2, quote))
            end = text.find(separator, found.end() + 1)
        else:
            end = text.find(separator, at)
            values.append(text[at : len(text) if end < 0 else end])
        if end < 0:
            return values
        at = end + 1


def _inside(quote: str) -> re.Pattern[str]:
    """What stands within a quoted value, up to its closing quote or the end of the text."""
    q = re.escape(quote)
    return re.compile(f"[^{q}]*+(?:{q}{q}[^{q}]*+)*+")
