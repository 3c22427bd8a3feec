"""What a window step says of the rows of a batch: which are late, how many were on time, and the results that came due.

Law: every admitted row is counted exactly once: on time, corrected or late.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

PLACE = "_place"
"""Column: the row's place in its batch, from 0; the accepted rows in front of it."""

BEFORE = "_before"
"""Column: W_before of the row, `Int64` microseconds."""

LATE_SCHEMA = {PLACE: pl.Int64(), "window_start": pl.Int64(), "window_end": pl.Int64()}


_NONE_LATE = pl.DataFrame(schema=LATE_SCHEMA)


def no_late() -> pl.DataFrame:
    """A frame of late rows with no row in it."""
    return _NONE_LATE


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of one batch. `late` holds the places of late rows with the last window of each."""

    results: Iterable[pl.DataFrame] = field(default_factory=list)
    late: pl.DataFrame = field(default_factory=no_late)
    on_time: int = 0
    corrected: int = 0
