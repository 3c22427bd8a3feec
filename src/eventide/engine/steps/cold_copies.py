"""Copies whose older memory lies on the disk, found by hash.

Law: a row is judged against everything remembered that can matter to it; a hash only says where to look, the values
decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from eventide.engine.aggregates import LOG_NAME
from eventide.engine.memory import ColdFile, Memory
from eventide.engine.memory.memory import size_of
from eventide.engine.memory.spill import PIECE_ROWS
from eventide.engine.steps.copies import _HIGH, _LOW, _STRETCH, Copies
from eventide.plan import Deduplicate

_HASH, _AT, _END = "_hash", "_at", "_end"
_FILES_MOST = 8
_PART_ROWS = 4 * PIECE_ROWS
_SEED = 3


@dataclass
class _Cold:
    """Remembered rows in a file in order of hash; the hashes stay in memory, 8 bytes a row. `until` is the latest event
    time of each log in it.
    """

    file: ColdFile
    hashes: pl.Series
    until: Mapping[str, int]

    def between(self, low: pl.Series, high: pl.Series | None) -> pl.DataFrame:
        """The rows whose hashes are at least the one of `low`, and below that of `high` if there is one."""
        first = int(self.hashes.search_sorted(low, side="left")[0])
        end = self.file.rows if high is None else int(self.hashes.search_sorted(high, side="left")[0])
        return self.file.read(first, end - first)

    def found(self, hashes: pl.Series) -> pl.DataFrame | None:
        """The rows that have one of these hashes."""
        first = self.hashes.search_sorted(hashes, side="left").cast(pl.Int64)
        end = self.hashes.search_sorted(hashes, side="right").cast(pl.Int64)
        spans = pl.DataFrame([first.alias(_AT), end.alias(_END)]).filter(pl.col(_END) > pl.col(_AT))
        if not spans.height:
            return None
        places = spans.select(pl.int_ranges(_AT, _END)).explode(_AT, empty_as_null=False).to_series().unique().sort()
        pieces = places // PIECE_ROWS
        parts = [
            self.file.read(piece * PIECE_ROWS, PIECE_ROWS).select(
                pl.all().gather(places.filter(pieces == piece) - piece * PIECE_ROWS)
            )
            for piece in pieces.unique(maintain_order=True)
        ]
        return pl.concat(parts)


class ColdCopies(Copies):
    """The memory of one `deduplicate`, part of which can go to disk."""

    def __init__(self, step: Deduplicate, types: Mapping[str, pl.DataType], pinned: bool, memory: Memory) -> None:
        super().__init__(step, types, pinned)
        self._memory = memory
        self._cold: list[_Cold] = []
        self._forgotten: dict[str, int] = {}
        memory.join(self)

    @property
    def held_bytes(self) -> int:
        """The bytes in memory that could go."""
        return size_of([self.seen])

    def spill(self) -> None:
        """Put what is remembered on the disk."""
        if self.seen.height:
            self._put(self.seen)
            self.seen = self.seen.clear()
        if len(self._cold) > _FILES_MOST:
            smallest = sorted(self._cold, key=lambda one: one.file.rows)[: _FILES_MOST // 2]
            self._cold = [one for one in self._cold if one not in smallest]
            self._put(self._together([one.file.all() for one in smallest]))
            for one in smallest:
                one.file.remove()

    def _put(self, rows: pl.DataFrame) -> None:
        ordered = rows.with_columns(self._hashes(rows, 0).alias(_HASH)).sort(_HASH)
        until = dict(ordered.group_by(LOG_NAME).agg(pl.col(_HIGH).max()).iter_rows())
        hashes, kept = ordered.get_column(_HASH), ordered.drop(_HASH)
        self._cold.append(_Cold(ColdFile(self._memory, kept), hashes, until))

    def _hashes(self, rows: pl.DataFrame, aside: int) -> pl.Series:
        """A hash of the values and of the stretch so far beside each row's."""
        return rows.select(*self._by, pl.col(_STRETCH) + aside).hash_rows(seed=_SEED)

    def _together(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        group = [LOG_NAME, *self._by, _STRETCH]
        merged = pl.concat(frames).group_by(group).agg(pl.col(_LOW).min(), pl.col(_HIGH).max())
        bounds = {LOG_NAME: list(self._forgotten), "_least": list(self._forgotten.values())}
        least = pl.DataFrame(bounds, schema={LOG_NAME: pl.String(), "_least": pl.Int64()})
        still = pl.col("_least").is_null() | (pl.col(_HIGH) >= pl.col("_least"))
        return merged.join(least, on=LOG_NAME, how="left").filter(still).drop("_least")

    def _of(self, log: str, rows: pl.DataFrame) -> pl.DataFrame:
        held = super()._of(log, rows)
        if not self._cold or not rows.height:
            return held
        beside = (0,) if self._pinned else (-1, 0, 1)
        asked = pl.concat([self._hashes(rows, aside) for aside in beside]).unique()
        found = [part for part in (one.found(asked) for one in self._cold if log in one.until) if part is not None]
        if not found:
            return held
        mine = pl.concat(found).filter(pl.col(LOG_NAME) == log).select(held.columns)
        group = [*self._by, _STRETCH]
        return pl.concat([held, mine]).group_by(group).agg(pl.col(_LOW).min(), pl.col(_HIGH).max())

    def _remember(self, log: str, known: pl.DataFrame, new: pl.DataFrame, reached: int) -> None:
        super()._remember(log, known, new, reached)
        self._forgotten[log] = reached - 2 * self._within_us
        for one in list(self._cold):
            if all(until < self._forgotten.get(name, until) for name, until in one.until.items()):
                one.file.remove()
                self._cold.remove(one)

    def saved(self) -> pl.DataFrame:
        if not self._cold:
            return self.seen
        return self._together([self.seen, *(one.file.all().select(self.seen.columns) for one in self._cold)])

    def parts(self) -> Iterator[pl.DataFrame]:
        """A range of hashes after the other."""
        shares = 1 + (self.seen.height + sum(one.file.rows for one in self._cold)) // _PART_ROWS
        here = self._hashes(self.seen, 0)
        bounds = [pl.Series([min(n * 2**64 // shares, 2**64 - 1)], dtype=pl.UInt64) for n in range(shares + 1)]
        for number, (low, high) in enumerate(pairwise(bounds)):
            last = number == shares - 1
            mine = self.seen.filter((here >= low[0]) & ((here < high[0]) | last))
            cold = [one.between(low, None if last else high) for one in self._cold]
            yield self._together([mine, *(part.select(self.seen.columns) for part in cold)])

    def restore(self, saved: pl.DataFrame) -> None:
        super().restore(saved)
        self._memory.settle()
