"""Texts as numbers: a dictionary that only grows, with the way back and the order of the texts.

Law: a text keeps its number for the whole life of the dictionary; null has number 0.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import takewhile

import polars as pl

_WORTH_THREADS = 65_536
_WORTH_ALL = 8
_LETTERS_MOST = 8


class Texts:
    """Polars' own dictionary of categories, kept alive.

    `in_order`: texts are numbered in the order in which they come. Without it several threads number the texts of large
    columns, and new ones get the next numbers in any order.
    """

    def __init__(self, name: str, in_order: bool = True) -> None:
        self._type = pl.Categorical(pl.Categories(name, namespace=f"eventide-{uuid.uuid4()}"))
        # Polars forgets categories, and gives their codes away again, once no column holds them: this one always does
        self._alive = pl.Series([], dtype=self._type)
        self._in_order = in_order
        self._known = pl.Series([None], dtype=pl.String)
        self._order = _Order()
        self._asked = 0
        self.size = 1

    def numbers(self, texts: pl.Series) -> pl.Series:
        """The number of each text; new ones get the next numbers."""
        if self._in_order or texts.len() < _WORTH_THREADS:
            return self._numbered(self._categories(texts))
        threads = pl.thread_pool_size()
        size = -(-texts.len() // threads)
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(self._categories, [texts.slice(n * size, size) for n in range(threads)]))
        return self._numbered(pl.concat(parts, rechunk=True))

    def restore(self, texts: pl.Series) -> None:
        """Give texts the numbers from 1 on. The dictionary must be fresh."""
        self._numbered(self._categories(texts))

    def _categories(self, texts: pl.Series) -> pl.Series:
        return texts.cast(self._type).to_physical()

    def _numbered(self, categories: pl.Series) -> pl.Series:
        numbers = categories.cast(pl.Int64) + 1
        numbers = numbers.fill_null(0) if numbers.null_count() else numbers
        if numbers.len():
            self.size = max(self.size, int(numbers.max()) + 1)  # type: ignore[arg-type] # integers
        return numbers

    def texts(self, numbers: pl.Series) -> pl.Series:
        """The text of each number."""
        if self._learnt(numbers.len()):
            return self._known[numbers]
        known = numbers > 0
        categories = numbers - 1
        if not known.all():
            categories = categories.zip_with(known, pl.Series([None], dtype=pl.Int64).new_from_index(0, numbers.len()))
        return self._named(categories)

    def ordinals(self, numbers: pl.Series) -> pl.Series | None:
        """Integers in the order of the texts of these numbers; None where texts differ too far behind their start."""
        if not self._learnt(numbers.len()):
            return ordinals(self.texts(numbers))
        every = self._order.of(self._known)
        return None if every is None else every.gather(numbers)

    def _learnt(self, asked: int) -> bool:
        """True when all texts stand by number, which is worth it once so many were asked for."""
        missing = self.size - self._known.len()
        self._asked = self._asked + asked if missing else 0
        if missing and self._asked * _WORTH_ALL >= self.size:
            new = pl.int_range(self._known.len() - 1, self.size - 1, dtype=pl.Int64, eager=True)
            self._known = pl.concat([self._known, self._named(new)], rechunk=True)
            return True
        return not missing

    def _named(self, categories: pl.Series) -> pl.Series:
        return categories.cast(pl.UInt32).cat.to(self._type).cast(pl.String).alias("")


def ordinals(texts: pl.Series) -> pl.Series | None:
    """Integers in the order of short texts, which sort several times faster; None for other texts.

    They are the bytes of each text behind the beginning that all of them share, eight at most.
    """
    return _Order().of(texts)


@dataclass
class _Order:
    """The ordinals of texts to which others are added."""

    low: str | None = None
    high: str | None = None
    shared: int = 0
    found: pl.Series | None = field(default_factory=lambda: pl.Series([], dtype=pl.UInt64))

    def of(self, texts: pl.Series) -> pl.Series | None:
        """The ordinals of all texts; those that were there the last time stand first."""
        if self.found is not None and self.found.len() < texts.len():
            self.found = self._grown(self.found, texts)
        return self.found

    def _grown(self, found: pl.Series, texts: pl.Series) -> pl.Series | None:
        new = texts.slice(found.len())
        bounds = [one for one in (self.low, self.high, new.min(), new.max()) if isinstance(one, str)]
        if not bounds:
            return None
        self.low, self.high, shared = min(bounds), max(bounds), self.shared
        self.shared = _shared(self.low, self.high)
        if self.shared != shared and found.len():
            return _spelled(texts, self.shared)
        more = _spelled(new, self.shared)
        return None if more is None else pl.concat([found, more], rechunk=True)


def _shared(one: str, other: str) -> int:
    """How many letters two texts have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _spelled(texts: pl.Series, start: int) -> pl.Series | None:
    """The bytes of each text from a letter on as one integer; None where there are too many."""
    if texts.str.contains("\0", literal=True).any():
        return None
    rest = texts.str.slice(start).str.pad_end(_LETTERS_MOST, "\0")
    if rest.str.len_bytes().max() not in (None, _LETTERS_MOST):
        return None
    return rest.cast(pl.Binary).bin.reinterpret(dtype=pl.UInt64, endianness="big")
