"""The ways in: functions that make streams of files, frames and rows.

Law: nothing is opened before the run, except a Parquet file whose schema is not given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as replaced
from os import PathLike, fspath
from typing import TypeAlias

import polars as pl

from eventide.connectors.files.parquet import ParquetFiles, schema_from, schema_of
from eventide.connectors.files.source import TextFiles
from eventide.connectors.formats.text import Csv, NdJson
from eventide.connectors.memory.frame import FrameSource
from eventide.connectors.memory.rows import Feed, Row, Rows
from eventide.connectors.order import Order, Ordered
from eventide.connectors.replay import Replay
from eventide.flow import Source
from eventide.plan import Input, Stream
from eventide.semantics.schema import SchemaLike, as_schema

Path: TypeAlias = str | PathLike[str]


def read_csv(  # noqa: PLR0913 - settings of a file, each with a default
    path: Path,
    *,
    schema: SchemaLike,
    arrival: str | None = None,
    order: Order = "as_is",
    follow: bool = False,
    one_log: bool = False,
    separator: str = ",",
    quote: str = '"',
    name: str = "",
) -> Stream:
    """A stream of CSV files with a header line.

    `path` is a file, a folder, a pattern such as `"data/*.csv"`, a `.gz` or `.zst` file, or `"-"` for standard input.
    Each file is a log of its own, unless `one_log` reads all in order of their names as one. `arrival` names the
    column of arrival times; without it a row arrives when it is read. `order` is `"as_is"`, `"reversed"` or
    `by_arrival(tie=)`. `follow` goes on reading as files grow and appear. Rows that break the schema go to
    `dead_letters`.
    """
    rules = as_schema(schema)
    source = TextFiles(fspath(path), Csv(rules, separator, quote), rules, arrival, follow, one_log, name)
    return Stream.from_source(_ordered(source, order))


def read_ndjson(  # noqa: PLR0913
    path: Path,
    *,
    schema: SchemaLike,
    arrival: str | None = None,
    order: Order = "as_is",
    follow: bool = False,
    one_log: bool = False,
    name: str = "",
) -> Stream:
    """A stream of files with a JSON object on each line. Nested values are named by `path=` in the schema's fields.

    The other settings are those of `read_csv`.
    """
    rules = as_schema(schema)
    source = TextFiles(fspath(path), NdJson(rules), rules, arrival, follow, one_log, name)
    return Stream.from_source(_ordered(source, order))


def read_parquet(
    path: Path, *, schema: SchemaLike | None = None, arrival: str | None = None, order: Order = "as_is", name: str = ""
) -> Stream:
    """A stream of Parquet files. Without `schema` the first file's own is taken."""
    rules = schema_of(fspath(path)) if schema is None else as_schema(schema)
    return Stream.from_source(_ordered(ParquetFiles(fspath(path), rules, arrival, name), order))


def from_frame(
    frame: pl.DataFrame,
    *,
    schema: SchemaLike | None = None,
    arrival: str | None = None,
    order: Order = "as_is",
    name: str = "frame",
) -> Stream:
    """A stream of a Polars frame's rows, in order. Without `schema` the frame's own types are taken."""
    if schema is None and all(_is_plain(dtype) for dtype in frame.dtypes):
        return Stream.from_source(_ordered(FrameSource(frame, name, arrival), order))
    rules = schema_from(frame.schema) if schema is None else as_schema(schema)
    return Stream.from_source(_ordered(Rows([frame], rules, arrival, name), order))


def from_rows(
    rows: Iterable[Row | pl.DataFrame] | Feed,
    *,
    schema: SchemaLike | None = None,
    arrival: str | None = None,
    name: str = "rows",
) -> Stream:
    """A stream of Python rows (mappings) or frames: a list, any iterable - also one that never ends - or a `Feed`.

    >>> from_rows([{"sensor": "a", "at": 0}], schema={"sensor": str, "at": int}).plan.inputs[0].source.name
    'rows'
    """
    if isinstance(rows, Feed):
        return Stream.from_source(rows)
    if schema is None:
        raise ValueError('from_rows needs schema=: for example schema={"sensor": str, "at": et.Instant, "dose": float}')
    return Stream.from_source(Rows(rows, as_schema(schema), arrival, name))


def replay(stream: Stream, *, speed: float) -> Stream:
    """The same stream paced by arrival time: `speed=60` plays an hour in a minute."""
    inputs = tuple(Input(Replay(one.source, speed), one.steps) for one in stream.plan.inputs)
    return Stream(replaced(stream.plan, inputs=inputs))


def _ordered(source: Source, order: Order) -> Source:
    return source if order == "as_is" else Ordered(source, order)


def _is_plain(dtype: pl.DataType) -> bool:
    exact = dtype in (pl.String, pl.Int64, pl.Float64, pl.Boolean)
    return exact or (isinstance(dtype, pl.Datetime) and dtype.time_unit == "us" and dtype.time_zone == "UTC")
