"""Chains: spans of time joined into sessions, all keys at once, by one sort and one running maximum.

Law: spans of one key that overlap or touch are one session; how spans came together does not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from eventide.engine.keys import CODE

SESSION: Final = "_session"
"""Column: the number of a session in a chain."""

_PACKED_MOST = 2**62


@dataclass(frozen=True, slots=True)
class Chain:
    """Spans of time joined into sessions: in order of (key, start), the `places` of the spans and the `numbers` of
    their sessions; and the `bounds` of each session, by number. `starts` are key and start of each session as one
    integer: code * `reach` + start - `base`.
    """

    places: pl.Series
    numbers: pl.Series
    bounds: pl.DataFrame
    starts: pl.Series
    base: int
    reach: int

    def end_at(self, codes: pl.Series, instants: pl.Series) -> pl.Series:
        """The end of the last session of each code that begins at or before an instant; null where there is none."""
        within = (instants - self.base).clip(-1, self.reach - 1)
        asked = codes.cast(self.starts.dtype) * self.reach + within
        last = self.starts.search_sorted(asked, side="right").cast(pl.Int64) - 1
        found = self.bounds[last.clip(lower_bound=0)]
        return found.get_column("end").set((last < 0) | (found.get_column(CODE) != codes), None)


def chained(codes: pl.Series, starts: pl.Series, ends: pl.Series) -> Chain:
    """Join the spans of each key that overlap or touch. Key and instant are one integer, so that one running maximum
    serves all keys.
    """
    base = int(starts.min())  # type: ignore[arg-type] # integers
    reach = int(ends.max()) - base + 1  # type: ignore[arg-type] # integers
    wide = (int(codes.max()) + 1) * reach >= _PACKED_MOST  # type: ignore[arg-type] # integers
    key = (codes.cast(pl.Int128) if wide else codes) * reach
    frame = pl.DataFrame(
        [
            (key + (starts - base)).alias("from"),
            (key + (ends - base)).alias("to"),
            pl.int_range(codes.len(), dtype=pl.Int64, eager=True).alias("place"),
        ]
    ).sort("from", multithreaded=False)
    begins, running = frame.get_column("from"), frame.get_column("to").cum_max()
    apart = (begins > running.shift(1)).fill_null(True)
    last = apart.shift(-1, fill_value=True)
    firsts = begins.filter(apart)
    session_codes = firsts // reach
    offset = session_codes * reach - base
    bounds = pl.DataFrame(
        [
            session_codes.cast(pl.Int64).alias(CODE),
            (firsts - offset).cast(pl.Int64).alias("start"),
            (running.filter(last) - offset).cast(pl.Int64).alias("end"),
        ]
    )
    numbers = apart.cast(pl.UInt32).cum_sum() - 1
    return Chain(frame.get_column("place"), numbers.alias(SESSION), bounds, firsts, base, reach)
