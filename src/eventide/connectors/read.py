"""The ways in: functions that make streams of files, frames and rows.

Law: nothing is opened before the run, except a Parquet file whose schema is not given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as replaced
from os import PathLike
from typing import TypeAlias

import polars as pl

from eventide.connectors.files.content import Compression
from eventide.connectors.files.parquet import ParquetFiles, schema_of
from eventide.connectors.files.source import TextFiles
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.encoded import Policy
from eventide.connectors.formats.ndjson import NdJson
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.memory.frame import FrameSource
from eventide.connectors.memory.rows import Feed, Row, Rows
from eventide.connectors.order import Order, Ordered
from eventide.connectors.replay import Replay
from eventide.connectors.schemas import schema_of_columns
from eventide.errors import PlanError
from eventide.flow import Source
from eventide.plan import Input, Stream
from eventide.plan.given import path_of
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
    compression: Compression = "by_name",
    record_max_bytes: int = RECORD_MAX_BYTES,
    on_schema_change: Policy = "stop",
    name: str = "",
) -> Stream:
    """A stream of CSV files with a header line.

    `path` is a file, a folder, a pattern such as `"data/*.csv"`, or `"-"` for standard input. `compression` is
    `"by_name"` (`.gz`, `.zst`), `"gzip"`, `"zstd"` or `"none"`. Each file is a log of its own, unless `one_log` reads
    all in order of their names as one. `arrival` names the column of arrival times; without it a row arrives when it
    is read. `order` is `"as_is"`, `"reversed"` or `by_arrival(tie=)`. `follow` goes on reading as files grow and
    appear; a followed file that was cut shorter or replaced raises `SourceError`.

    Rows that break the schema go to `dead_letters`, and so do records longer than `record_max_bytes` (16 MiB), what is
    left of a truncated or corrupt compressed file, and records that are not CSV: a quoted value that is not closed
    within the limit of a record, or that has text behind its closing quote, costs its line and not those behind it.
    A file whose header lacks a column of the schema stops the run, or all its lines become dead letters
    (`on_schema_change="dead_letters"`); a header that differs from the first one and can be read is announced.

    >>> read_csv("readings.csv", schema={"sensor": str, "dose": float}).plan.inputs[0].source.name
    'readings.csv'
    """
    rules = as_schema(schema)
    form = Csv(rules, separator, quote, on_schema_change=on_schema_change)
    source = TextFiles(
        path_of(path), form, rules, arrival, follow, one_log, name, compression, record_max_bytes
    )  # fmt: skip
    return Stream.from_source(_ordered(source, order))


def read_ndjson(  # noqa: PLR0913
    path: Path,
    *,
    schema: SchemaLike,
    arrival: str | None = None,
    order: Order = "as_is",
    follow: bool = False,
    one_log: bool = False,
    compression: Compression = "by_name",
    record_max_bytes: int = RECORD_MAX_BYTES,
    name: str = "",
) -> Stream:
    """A stream of files with a JSON object on each line. Nested values are named by `path=` in the schema's fields.

    The other settings are those of `read_csv`. A line goes to `dead_letters` when it is not a JSON object, has a key
    twice in one object, nests deeper than 200 levels or is longer than `record_max_bytes`.

    >>> read_ndjson("uplinks.ndjson", schema={"sensor": str, "celsius": float}).plan.inputs[0].source.name
    'uplinks.ndjson'
    """
    rules = as_schema(schema)
    source = TextFiles(
        path_of(path), NdJson(rules), rules, arrival, follow, one_log, name, compression, record_max_bytes
    )  # fmt: skip
    return Stream.from_source(_ordered(source, order))


def read_parquet(  # noqa: PLR0913
    path: Path,
    *,
    schema: SchemaLike | None = None,
    arrival: str | None = None,
    order: Order = "as_is",
    follow: bool = False,
    one_log: bool = False,
    name: str = "",
) -> Stream:
    """A stream of Parquet files. Without `schema` the first file's own is taken.

    `one_log` reads all files in order of their names as one log. `follow` goes on reading as files appear in a folder;
    each must be whole when it does (write it under a name with a dot in front, then rename it).
    """
    rules = schema_of(path_of(path)) if schema is None else as_schema(schema)
    source = ParquetFiles(path_of(path), rules, arrival, name, follow, one_log)
    return Stream.from_source(_ordered(source, order))


def from_frame(
    frame: pl.DataFrame,
    *,
    schema: SchemaLike | None = None,
    arrival: str | None = None,
    order: Order = "as_is",
    name: str = "frame",
) -> Stream:
    """A stream of a Polars frame's rows, in order. Without `schema` the frame's own types are taken."""
    if not isinstance(frame, pl.DataFrame):
        raise ValueError(f"frame={_short(frame)} is no Polars frame: use pl.DataFrame(...), or from_rows for rows")
    if schema is None and all(_is_plain(dtype) for dtype in frame.dtypes):
        return Stream.from_source(_ordered(FrameSource(frame, name, arrival), order))
    rules = schema_of_columns(frame.schema) if schema is None else as_schema(schema)
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
    if not isinstance(rows, Iterable):
        raise ValueError(f"rows={_short(rows)} cannot be gone through: give a list of mappings or any other iterable")
    if schema is None:
        raise ValueError('from_rows needs schema=: for example schema={"sensor": str, "at": et.Instant, "dose": float}')
    return Stream.from_source(Rows(rows, as_schema(schema), arrival, name))


def replay(stream: Stream, *, speed: float) -> Stream:
    """The same stream paced by arrival time: `speed=60` plays an hour in a minute, `math.inf` all at once."""
    if stream.plan.derived is not None:
        raise PlanError.of("replay", "the stream is made of others already", "Replay the streams, then join them")
    inputs = tuple(Input(Replay(one.source, speed), one.steps) for one in stream.plan.inputs)
    return Stream(replaced(stream.plan, inputs=inputs))


def _ordered(source: Source, order: Order) -> Source:
    return source if isinstance(order, str) and order == "as_is" else Ordered(source, order)


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _is_plain(dtype: pl.DataType) -> bool:
    exact = dtype in (pl.String, pl.Int64, pl.Float64, pl.Boolean)
    return exact or (isinstance(dtype, pl.Datetime) and dtype.time_unit == "us" and dtype.time_zone == "UTC")
