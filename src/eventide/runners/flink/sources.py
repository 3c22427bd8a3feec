"""Sources as Flink tables: records as bytes, each with its log, its offset and its arrival.

Law: a table gives every record of a source; what a record means is read by the job, by the same rules as embedded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventide.connectors.files.logs import files_of, stands_for_many
from eventide.connectors.files.source import TextFiles
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.json_record import path_of
from eventide.connectors.kafka.source import KafkaTopics
from eventide.flow import Source
from eventide.runners.flink import sql
from eventide.semantics.schema import Field, Schema

_GZIP = ".gz"
_OTHERS = (".gzip", ".zst", ".zstd", ".bz2", ".xz", ".zip", ".deflate")
"""Endings by which Flink unpacks files that we read as they are, or does not where we do."""

_KAFKA_SETTINGS = frozenset({"security.protocol", "ssl.endpoint.identification.algorithm", "client.id", "client.rack"})
_STARTS = {"earliest": "earliest-offset", "latest": "latest-offset", "committed": "group-offsets"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table in front of the job: its statement, the query that reads it, and how the job reads its records."""

    ddl: str
    query: str
    reading: dict[str, Any]


def source_gaps(source: Source) -> Iterator[str]:
    """Why a source cannot be read there."""
    match source:
        case TextFiles():
            yield from _schema_gaps(source.schema)
            yield from _file_gaps(source)
        case KafkaTopics():
            yield from _schema_gaps(source.schema)
            yield from _kafka_gaps(source)
        case _:
            yield f"{type(source).__name__} lives in this process or has no table there: read files or Kafka"


def _schema_gaps(schema: Schema) -> Iterator[str]:
    for column, rule in schema.fields:
        if not sql.is_flat(rule.type):
            yield f"column {column} is a {rule.type}: only flat values are read there"
        for setting in ("pattern", "choices", "thousands", "formats"):
            if getattr(rule, setting):
                yield f"column {column} has {setting}=, a rule that the job does not know"
        if rule.timezone != "UTC":
            yield f"column {column} has timezone={rule.timezone!r}: the job reads times without an offset as UTC"
    if schema.unknown != "drop":
        yield f'the schema has unknown="{schema.unknown}": the job drops what the schema does not name'
    if schema.bad_share_max is not None:
        yield "the schema has bad_share_max=: the job does not stop for bad rows"


def _file_gaps(source: TextFiles) -> Iterator[str]:
    if source.path == "-":
        yield "it reads standard input, which a cluster has not"
    elif source.follow:
        yield "follow=True: Flink reads files to their end only, or takes whole new files"
    if source.one_log and stands_for_many(source.path):
        yield "one_log=True: Flink reads several files in no fixed order"
    endings = {path.suffix for path in files_of(source.path)}
    if source.compression == "zstd" or not endings.isdisjoint(_OTHERS):
        yield "its files are compressed, or named like such, otherwise than by gzip: Flink unpacks files named .gz"
    elif source.compression != "by_name" and endings and (source.compression == "gzip") != (endings == {_GZIP}):
        yield f'compression="{source.compression}": Flink unpacks files named .gz and no others'
    if isinstance(source.format, Csv) and source.format.quote != '"':
        yield f"quote={source.format.quote!r}: the job knows the double quote"


def _kafka_gaps(source: KafkaTopics) -> Iterator[str]:
    if source.parser.format not in ("json", "csv"):
        yield f'format="{source.parser.format}": the job reads "json" and "csv"'
    if source.reading.extra:
        yield f"{', '.join(source.reading.extra)}: columns beside the message's value are not read by the job"
    if source.reading.isolation != "read_committed":
        yield 'isolation="read_uncommitted": the job reads what is committed'
    if strange := sorted({one for one, _ in source.connection.settings} - _KAFKA_SETTINGS):
        yield f"settings {', '.join(strange)} of the client have other names and forms in Flink's"


def source_table(source: Source, logs: tuple[str, ...] | None, called: str = "source") -> Table:
    """The table of a source without gaps. `logs` are the names of logs that are known from elsewhere, perhaps those of
    other sources among them.
    """
    if isinstance(source, TextFiles):
        return _files(source, called)
    assert isinstance(source, KafkaTopics), "a source with gaps is not compiled"
    return _kafka(source, tuple(log for log in logs or () if log.rpartition("/")[0] in source.topics), called)


def named_logs(source: Source) -> tuple[str, ...]:
    """What is known of the names of a source's logs: files by name, partitions by their topic."""
    if isinstance(source, TextFiles):
        named: list[str] = source_table(source, None).reading["logs"]
        return tuple(named)
    return source.topics if isinstance(source, KafkaTopics) else ()


def _files(source: TextFiles, called: str) -> Table:
    many = stands_for_many(source.path)
    paths = [path.absolute() for path in files_of(source.path)]
    folder = _folder(source.path)
    columns = ["`record` BYTES", "`file` STRING NOT NULL METADATA FROM 'file.path'"]
    settings = {"connector": "filesystem", "path": str(folder if many else paths[0]), "format": "eventide-lines"}
    if many and not Path(source.path).is_dir():
        settings["source.path.regex-pattern"] = _pattern(paths)
    query = "SELECT `record`, `file`,\n  CAST(NULL AS INT), CAST(NULL AS BIGINT), CAST(NULL AS TIMESTAMP_LTZ(3))\nFROM "
    query += sql.name(called)
    reading = {
        "name": source.name,
        "format": "csv" if isinstance(source.format, Csv) else "json",
        "separator": source.format.separator if isinstance(source.format, Csv) else ",",
        "header": source.format.has_header,
        "columns": schema_tree(source.schema, nested=not isinstance(source.format, Csv)),
        "arrival": source.arrival,
        "logs": [str(path.relative_to(folder)) for path in paths] if many else [source.name],
        "root": f"{folder}/" if many else None,
        "single": None if many else source.name,
    }
    return Table(sql.table(called, columns, settings), query, reading)


def _folder(path: str) -> Path:
    """The folder in front of the first part with a wildcard."""
    from glob import has_magic

    parts: list[str] = []
    for part in Path(path).parts:
        if has_magic(part) and not Path(*parts, part).exists():
            break
        parts.append(part)
    return Path(*parts).absolute() if parts else Path().absolute()


def _pattern(paths: list[Path]) -> str:
    import re

    return "|".join(f".*{re.escape(str(path))}" for path in paths)


def _kafka(source: KafkaTopics, logs: tuple[str, ...], called: str) -> Table:
    columns = [
        "`record` BYTES",
        "`topic` STRING NOT NULL METADATA VIRTUAL",
        "`partition` INT NOT NULL METADATA VIRTUAL",
        "`offset` BIGINT NOT NULL METADATA VIRTUAL",
        "`timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL",
    ]
    start = source.reading.start
    settings = {
        "connector": "kafka",
        "topic": ";".join(source.topics),
        "properties.bootstrap.servers": source.connection.servers,
        "properties.group.id": source.reading.group or "eventide",
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": "timestamp" if start.at_us is not None else _STARTS[start.word],
        "format": "raw",
    }
    settings |= {f"properties.{one}": str(value) for one, value in source.connection.settings}
    if start.at_us is not None:
        settings["scan.startup.timestamp-millis"] = str(-(-start.at_us // 1_000))
    if source.reading.bounded:
        settings["scan.bounded.mode"] = "latest-offset"
    query = "SELECT `record`, `topic`, `partition`, `offset`, `timestamp` FROM "
    query += sql.name(called)
    parser = source.parser
    names = parser.header or tuple(rule.path or column for column, rule in source.schema.fields)
    reading = {
        "name": source.name,
        "format": parser.format,
        "separator": ",",
        "header": False,
        "fields": list(names),
        "columns": schema_tree(source.schema, nested=parser.format == "json"),
        "arrival": source.arrival,
        "logs": list(logs),
        "root": None,
        "single": None,
    }
    return Table(sql.table(called, columns, settings), query, reading)


def schema_tree(schema: Schema, *, nested: bool = False) -> list[dict[str, Any]]:
    """The columns of a schema with their rules; `nested` are those of JSON, whose paths become JSON pointers."""
    return [_field_tree(column, rule, nested=nested) for column, rule in schema.fields]


def _field_tree(column: str, rule: Field, *, nested: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {"name": column, "type": rule.type, "unit": rule.unit, "nullable": rule.nullable}
    for bound in ("minimum", "maximum"):
        if getattr(rule, bound) is not None:
            tree[bound] = str(getattr(rule, bound))
    if rule.path is None:
        return tree
    return tree | {"path": json_pointer(rule.path) if nested else rule.path}


def json_pointer(path: str) -> str:
    """A path as a JSON pointer (RFC 6901).

    >>> json_pointer("rxInfo[0].time")
    '/rxInfo/0/time'
    """
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path_of(path))
    return "".join(f"/{step}" for step in steps)
