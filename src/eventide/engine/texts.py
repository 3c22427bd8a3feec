"""Texts as numbers: a dictionary that only grows, with the way back and the order of the texts.

Law: texts are numbered from 1 on in the order in which they first come, and keep their numbers; null has number 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile

import polars as pl

_SLOTS_LEAST = 1_024
_SLOTS_PER_TEXT = 4
_PIECES_MOST = 64
_WORTH_ALL = 8
_FEW = 64
_HANDFUL = 8
_RECENT_MOST = 10_000
_LETTERS_MOST = 8


class Texts:
    """A hash table in columns. The hash of a text says at which slot to look for its number; where the slot has the
    number of another text, each next look is one slot further away than the last.

    All texts of a column take each look together, so that the processor waits for many slots at once: with a million
    texts that is three times as fast as Polars' dictionary of categories.
    """

    def __init__(self) -> None:
        self._known = pl.Series([None], dtype=pl.String)
        self._hashes = pl.Series([0], dtype=pl.UInt64)
        self._slots = _no_numbers(_SLOTS_LEAST)
        self._order = _Order()
        self._recent: dict[str, int] = {}

    @property
    def size(self) -> int:
        """No number is this large or larger."""
        return self._known.len()

    def numbers(self, texts: pl.Series) -> pl.Series:
        """The number of each text; new ones get the next numbers."""
        if texts.null_count():
            return self._numbers_beside_nulls(texts)
        if texts.len() > _HANDFUL:
            return self._looked_up(texts)
        asked = texts.to_list()
        if not all(text in self._recent for text in asked):
            if len(self._recent) >= _RECENT_MOST:
                self._recent.clear()
            self._recent.update(zip(asked, self._looked_up(texts), strict=True))
        return pl.Series([self._recent[text] for text in asked], dtype=pl.Int64)

    def _looked_up(self, texts: pl.Series) -> pl.Series:
        hashes = texts.hash()
        found = self._found(texts, hashes)
        if found.len() and found.min() == 0:
            places = (found == 0).arg_true()
            unknown, hashes = texts[places], hashes[places]
            new = _distinct(unknown)
            self._add(new, new.hash())
            found = found.scatter(places, self._found(unknown, hashes))
        return found.cast(pl.Int64)

    def _numbers_beside_nulls(self, texts: pl.Series) -> pl.Series:
        there = texts.is_not_null()
        places = pl.int_range(texts.len(), dtype=pl.UInt32, eager=True).filter(there)
        return _no_numbers(texts.len()).cast(pl.Int64).scatter(places, self.numbers(texts.filter(there)))

    def texts(self, numbers: pl.Series) -> pl.Series:
        """The text of each number."""
        self._be_whole(numbers.len())
        return self._known[numbers]

    def ordinals(self, numbers: pl.Series) -> pl.Series | None:
        """Integers in the order of the texts of these numbers; None where texts differ too far behind their start."""
        if self._order.missing(self._known) > numbers.len() * _WORTH_ALL:
            return ordinals(self.texts(numbers))
        every = self._order.of(self._known)
        return None if every is None else every[numbers]

    def _found(self, texts: pl.Series, hashes: pl.Series) -> pl.Series:
        """The number of each text, 0 where it has none."""
        self._be_whole(texts.len())
        at = self._first(hashes)
        found = self._slots[at]
        left, places, step = self._mistaken(found, texts, hashes), None, 0
        while left is not None:
            step += 1
            places = left if places is None else places[left]
            at, texts, hashes = self._next(at[left], step), texts[left], hashes[left]
            numbers = self._slots[at]
            found = found.scatter(places, numbers)
            left = self._mistaken(numbers, texts, hashes)
        return found

    def _mistaken(self, numbers: pl.Series, texts: pl.Series, hashes: pl.Series) -> pl.Series | None:
        """The places where the number is that of another text; None when there is none."""
        same = (self._hashes[numbers] == hashes) & (self._known[numbers] == texts)
        mistaken = ~same & (numbers != 0)
        return mistaken.arg_true() if mistaken.any() else None

    def _add(self, new: pl.Series, hashes: pl.Series) -> None:
        """Give new texts the next numbers."""
        first = self.size
        self._known, self._hashes = self._known.append(new), self._hashes.append(hashes)
        if self.size * _SLOTS_PER_TEXT > self._slots.len():
            slots = self._slots.len()
            while self.size * _SLOTS_PER_TEXT > slots:
                slots *= 2
            self._slots, first = _no_numbers(slots), 1
        self._put(pl.int_range(first, self.size, dtype=pl.UInt32, eager=True), self._hashes.slice(first))

    def _be_whole(self, asked: int) -> None:
        """Columns in one piece are looked up ten times as fast; one is made when so many are asked for."""
        pieces = self._known.n_chunks()
        if pieces > _PIECES_MOST or (pieces > 1 and asked > _FEW and asked * _WORTH_ALL > self.size):
            self._known, self._hashes = self._known.rechunk(), self._hashes.rechunk()

    def _put(self, numbers: pl.Series, hashes: pl.Series) -> None:
        """Put numbers into slots, each into the first free one on its way."""
        at, step = self._first(hashes), 0
        while numbers.len():
            is_free = self._slots[at] == 0
            self._slots = self._slots.scatter(at.filter(is_free), numbers.filter(is_free))
            is_left, step = self._slots[at] != numbers, step + 1
            numbers, at = numbers.filter(is_left), self._next(at.filter(is_left), step)

    def _first(self, hashes: pl.Series) -> pl.Series:
        return (hashes & (self._slots.len() - 1)).cast(pl.UInt32)

    def _next(self, at: pl.Series, step: int) -> pl.Series:
        return (at + step) & (self._slots.len() - 1)


def _distinct(texts: pl.Series) -> pl.Series:
    """The texts in their order, each once, written anew: so they do not hold the columns that they came with."""
    if texts.len() <= _FEW:
        return pl.Series(list(dict.fromkeys(texts.to_list())), dtype=pl.String)
    return texts.unique(maintain_order=True) + ""


def _no_numbers(size: int) -> pl.Series:
    return pl.Series([0], dtype=pl.UInt32).new_from_index(0, size)


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

    def missing(self, texts: pl.Series) -> int:
        """How many ordinals would have to be found."""
        return 0 if self.found is None else texts.len() - self.found.len()

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
