"""Sinks as Flink tables.

Law: an output has the columns that it has embedded; rows appear once, with the checkpoint that made them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from eventide.connectors.files.epochs import is_folder
from eventide.connectors.files.sinks import FileSink
from eventide.connectors.kafka.sink import KafkaSink
from eventide.connectors.postgres.sink import Postgres
from eventide.engine.pipeline import Pipeline
from eventide.plan import DEAD_LETTERS, LATE, Plan, Write
from eventide.plan.types import type_name
from eventide.runners.flink import sql
from eventide.runners.flink.jdbc import jdbc_gaps
from eventide.runners.outlets import identity_of

_ROLLING = {"rollover-interval": "5 s", "inactivity-interval": "2 s", "check-interval": "1 s"}
"""A part file shows with the next checkpoint once it is as old as that; Flink's own half an hour would hide rows."""


def sink_gaps(plan: Plan, write: Write) -> Iterator[str]:
    """Why a sink cannot be written there."""
    match write.sink:
        case FileSink(path, form):
            if form != "ndjson":
                yield f"{form} files: the job writes ndjson" + (", Flink's CSV has no header line" * (form == "csv"))
            if not is_folder(path):
                yield "one file: Flink writes a folder of part files, end the path with a slash"
        case KafkaSink():
            yield from _tombstone_gaps(plan, write, write.sink)
            if write.sink.writing.format is not None:
                yield "format=: the job writes JSON without a registry"
            if write.sink.connection.settings:
                yield "settings of the client have other names and forms in Flink's"
        case Postgres():
            yield from jdbc_gaps(plan, write, write.sink)
        case _:
            yield f"{type(write.sink).__name__} has no table there yet: write files, Kafka or PostgreSQL"


def is_upserted(write: Write, columns: Mapping[str, pl.DataType]) -> bool:
    """True when a topic gets the last row of each result and a tombstone for each that is taken back."""
    return isinstance(write.sink, KafkaSink) and write.sink.writing.retractions == "tombstone" and "op" in columns


def is_lines(write: Write, columns: Mapping[str, pl.DataType]) -> bool:
    """True when the job itself writes the records of results as JSON, and the sink's table takes them as bytes."""
    return isinstance(write.sink, FileSink | KafkaSink) and not is_upserted(write, columns)


def lines_table(
    called: str, plan: Plan, write: Write, columns: Mapping[str, pl.DataType]
) -> tuple[str, dict[str, Any]]:
    """The statement that names the table of such a sink, and how the job writes its records."""
    sink = write.sink
    listed = ["`record` BYTES"]
    key: tuple[str, ...] = ()
    if isinstance(sink, FileSink):
        settings = {"connector": "filesystem", "path": str(Path(sink.path).absolute()), "format": "raw"} | _rolling()
    else:
        assert isinstance(sink, KafkaSink), "a sink with gaps is not compiled"
        settings = {"connector": "kafka", **_topic(called, sink), "value.format": "raw"}
        key = sink.writing.key or identity_of(plan, columns)
    if key:
        listed.append("`key` BYTES")
        settings |= {"key.format": "raw", "key.fields": "key", "value.fields-include": "EXCEPT_KEY"}
    view = called.replace("sink", "records")
    return sql.table(called, listed, settings), {"view": view, "columns": list(columns), "key": list(key)}


def _tombstone_gaps(plan: Plan, write: Write, sink: KafkaSink) -> Iterator[str]:
    columns = Pipeline.of(plan, 1).output_schema(write.output)
    if not is_upserted(write, columns):
        return
    if plan.finish or write.output in {branch.name for branch in plan.branches}:
        yield 'retractions="tombstone" behind steps of results: the job takes whole results back only'
    identity = identity_of(plan, columns)
    if sink.writing.key not in ((), identity):
        said = ", ".join(identity)
        yield f'key={sink.writing.key} with retractions="tombstone": the key there is {said}, leave it out'


def sink_table(called: str, plan: Plan, write: Write, columns: Mapping[str, pl.DataType]) -> str:
    """The statement that names the sink's table."""
    listed = [f"{sql.name(column)} {column_type(kind)}" for column, kind in columns.items()]
    sink = write.sink
    if isinstance(sink, FileSink):
        settings = {"connector": "filesystem", "path": str(Path(sink.path).absolute()), "format": "json"}
        settings |= {"json.timestamp-format.standard": "ISO-8601", "json.encode.decimal-as-plain-number": "true"}
        return sql.table(called, listed, settings | _rolling())
    assert isinstance(sink, KafkaSink), "a sink with gaps is not compiled"
    upserts = is_upserted(write, columns)
    settings = {
        "connector": "upsert-kafka" if upserts else "kafka",
        **_topic(called, sink),
        "value.format": "json",
        "value.json.timestamp-format.standard": "ISO-8601",
    }
    key = sink.writing.key or (() if write.output in (LATE, DEAD_LETTERS) else identity_of(plan, columns))
    if upserts:
        listed.append(f"PRIMARY KEY ({', '.join(map(sql.name, key))}) NOT ENFORCED")
    elif key:
        settings["key.fields"] = ";".join(key)
    if key:
        settings |= {"key.format": "json", "key.json.timestamp-format.standard": "ISO-8601"}
    return sql.table(called, listed, settings)


def _rolling() -> dict[str, str]:
    return {f"sink.rolling-policy.{name}": value for name, value in _ROLLING.items()}


def _topic(called: str, sink: KafkaSink) -> dict[str, str]:
    return {
        "topic": sink.topic,
        "properties.bootstrap.servers": sink.connection.servers,
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": f"eventide-{called}-{sink.topic}",
        "properties.transaction.timeout.ms": "600000",
    }


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
