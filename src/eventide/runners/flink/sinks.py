"""Sinks as Flink tables.

Law: an output has the columns that it has embedded; rows appear once, with the checkpoint that made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from eventide.connectors.files.epochs import is_folder
from eventide.connectors.files.sinks import FileSink
from eventide.connectors.kafka.sink import KafkaSink
from eventide.connectors.postgres.sink import Postgres
from eventide.plan import Plan, Write
from eventide.plan.types import type_name
from eventide.runners.flink import sql
from eventide.runners.flink.jdbc import jdbc_gaps


def sink_gaps(plan: Plan, write: Write) -> Iterator[str]:
    """Why a sink cannot be written there."""
    match write.sink:
        case FileSink(path, form):
            if form != "ndjson":
                yield f"{form} files: the job writes ndjson" + (", Flink's CSV has no header line" * (form == "csv"))
            if not is_folder(path):
                yield "one file: Flink writes a folder of part files, end the path with a slash"
        case KafkaSink():
            if write.sink.writing.retractions == "tombstone":
                yield 'retractions="tombstone" has no form there yet'
            if write.sink.connection.settings:
                yield "settings of the client have other names and forms in Flink's"
        case Postgres():
            yield from jdbc_gaps(plan, write, write.sink)
        case _:
            yield f"{type(write.sink).__name__} has no table there yet: write files, Kafka or PostgreSQL"


def sink_table(called: str, write: Write, columns: Mapping[str, pl.DataType]) -> str:
    """The statement that names the sink's table."""
    listed = [f"{sql.name(column)} {column_type(kind)}" for column, kind in columns.items()]
    sink = write.sink
    if isinstance(sink, FileSink):
        settings = {"connector": "filesystem", "path": str(Path(sink.path).absolute()), "format": "json"}
        settings |= {"json.timestamp-format.standard": "ISO-8601", "json.encode.decimal-as-plain-number": "true"}
        return sql.table(called, listed, settings)
    assert isinstance(sink, KafkaSink), "a sink with gaps is not compiled"
    settings = {
        "connector": "kafka",
        "topic": sink.topic,
        "properties.bootstrap.servers": sink.connection.servers,
        "format": "json",
        "json.timestamp-format.standard": "ISO-8601",
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": f"eventide-{called}-{sink.topic}",
        "properties.transaction.timeout.ms": "600000",
    }
    if sink.writing.key:
        settings |= {"key.format": "json", "key.fields": ";".join(sink.writing.key)}
    return sql.table(called, listed, settings)


def column_type(kind: pl.DataType) -> str:
    """The type of a column of an output."""
    if isinstance(kind, pl.Struct):
        return f"ROW<{', '.join(f'{sql.name(one.name)} {column_type(_made(one.dtype))}' for one in kind.fields)}>"
    if isinstance(kind, pl.List):
        return f"ARRAY<{column_type(_made(kind.inner))}>"
    if isinstance(kind, pl.Duration):
        return "BIGINT"
    return sql.type_of(type_name(kind))


def _made(kind: object) -> pl.DataType:
    assert isinstance(kind, pl.DataType), "types of outputs are made, not named by their class"
    return kind
