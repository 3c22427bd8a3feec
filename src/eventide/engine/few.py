"""A few rows: expressions one after the other, since waking other threads would take longer than the work.

Law: which way is taken does not show in the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

_MANY: Final = 10_000


def select(frame: pl.DataFrame, columns: Iterable[pl.Expr | pl.Series]) -> pl.DataFrame:
    """These columns of a frame."""
    return frame.select(columns) if frame.height >= _MANY else frame.select_seq(columns)
