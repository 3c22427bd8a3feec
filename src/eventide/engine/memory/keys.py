"""The limit on keys: how many different ones a run gets to know, so that a column that explodes fills no memory.

Law: the first keys are known and stay known; a row of any other key is refused with its reason, whatever the cuts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.keys import KeyTable
from eventide.engine.means import Means
from eventide.flow import ARRIVAL, OFFSET, rows_as_text

KEYS_MOST = 50_000_000
"""How many keys a run knows unless it is told otherwise."""

KEY_BYTES = 200
"""What a key of ordinary length takes, its codes and its place in the order included: measured 100 to 180."""

_RECENT_SHARE = 8


@dataclass
class KeyLimit:
    """Watches one table of keys. `tell` is called once, when the first row is refused.

    Near the limit the hashes of all known keys are kept in order, 8 bytes a key. Two keys of one hash (one in 10^12 at
    50 million) are counted as one.
    """

    table: KeyTable
    most: int
    tell: Callable[[str], None] = lambda text: None
    _known: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt64))
    _recent: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt64))
    _at: int = 0
    _told: bool = False

    def refused(self, rows: pl.DataFrame) -> pl.Series | None:
        """Which rows have a key beyond the limit; None when all may pass. Those that pass must be encoded next."""
        if not self.table.names or self.table.size + rows.height <= self.most:
            return None
        hashes = rows.select(self.table.names).hash_rows(seed=1)
        self._look()
        new = ~(_among(hashes, self._known) | _among(hashes, self._recent))
        if not new.any():
            return None
        fresh = hashes.filter(new).unique(maintain_order=True)
        room = max(self.most - self.table.size, 0)
        self._recent = pl.concat([self._recent, fresh.head(room)]).sort()
        self._at += min(room, fresh.len())
        if fresh.len() <= room:
            return None
        if not self._told:
            self._told = True
            self.tell(
                f"WARNING: {self.most:,} different keys of {', '.join(self.table.names)} are known; rows of any other "
                "key go to the dead letters from now on. Group by a column with fewer values, or raise keys_most="
            )
        return hashes.is_in(fresh.slice(room).implode())

    def _look(self) -> None:
        """Know the keys that the table has."""
        if self._at != self.table.size:
            every = pl.int_range(0, self.table.size, dtype=pl.Int64, eager=True)
            self._known = self.table.decode(every).hash_rows(seed=1).sort()
            self._recent, self._at = self._known.clear(), self.table.size
        elif self._recent.len() * _RECENT_SHARE > self._known.len():
            self._known, self._recent = pl.concat([self._known, self._recent]).sort(), self._recent.clear()

    def as_refused(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows beyond the limit as dead letters."""
        shown = rows.select(name for name in rows.columns if name in (OFFSET, ARRIVAL) or not name.startswith("_"))
        return shown.select(
            OFFSET,
            ARRIVAL,
            pl.lit(f"its key is not among the first {self.most:,}").alias("reason"),
            pl.lit(", ".join(self.table.names)).alias("field"),
            rows_as_text(shown),
        )


def _among(values: pl.Series, ordered: pl.Series) -> pl.Series:
    """Which values are in an ordered series."""
    if not ordered.len():
        return pl.Series([False]).new_from_index(0, values.len())
    places = ordered.search_sorted(values).clip(upper_bound=ordered.len() - 1)
    return ordered.gather(places) == values


def limit_of(means: Means, table: KeyTable | None) -> KeyLimit | None:
    """The limit on a table; None where there is no table or no limit."""
    if table is None or means.keys_most is None:
        return None
    return KeyLimit(table, means.keys_most, means.tell)
