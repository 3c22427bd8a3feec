"""Rows as the bytes of a file: CSV, NDJSON and Parquet.

Law: the same rows give the same bytes, however they were cut into frames.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO, Literal

import polars as pl

Format = Literal["csv", "ndjson", "parquet"]


def write_rows(frame: pl.DataFrame, file: BinaryIO, form: Format, *, header: bool) -> None:
    """Append rows to a text file, or write them as a Parquet file. A CSV file begins with a header."""
    match form:
        case "csv":
            textual(frame).write_csv(file, include_header=header, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
        case "ndjson":
            frame.write_ndjson(file)
        case "parquet":
            frame.rechunk().write_parquet(file)


def rows_as_bytes(frame: pl.DataFrame, form: Format, *, header: bool) -> bytes:
    """The bytes that `write_rows` writes."""
    made = BytesIO()
    write_rows(frame, made, form, header=header)
    return made.getvalue()


def textual(frame: pl.DataFrame) -> pl.DataFrame:
    """Lists and records as JSON text, durations in microseconds, because CSV has neither."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    made = [
        pl.struct(v=pl.col(name)).struct.json_encode().str.slice(5).str.strip_suffix("}").alias(name) for name in nested
    ]
    lengths = [
        pl.col(name).dt.total_microseconds() for name, dtype in frame.schema.items() if isinstance(dtype, pl.Duration)
    ]
    return frame.with_columns(*made, *lengths)
