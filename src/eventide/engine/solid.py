"""Solid columns: frames without columns that are one repeated value inside.

Law: a row gives the same bits alone as among others. Polars keeps a constant column as a single value and divides by
it by multiplying with its reciprocal, whose last bit may differ; which columns happen to be constant depends on the
cuts.
"""

from __future__ import annotations

import polars as pl


def solid(frame: pl.DataFrame) -> pl.DataFrame:
    """The same frame with every column written out; nothing is copied that was written out before."""
    return pl.DataFrame(frame.get_columns()) if frame.width else frame
