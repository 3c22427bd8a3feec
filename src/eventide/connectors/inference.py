"""What a file's first records look like, as the schema that a plan would read them with.

Law: a type is given only when every value that was looked at reads as it; a number with a leading zero is text.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from eventide.connectors.files.content import open_content
from eventide.connectors.files.parquet import schema_of
from eventide.connectors.formats.columns import reads_as
from eventide.connectors.formats.csv_records import values_of
from eventide.connectors.formats.declarations import declared_avro
from eventide.connectors.formats.json_record import as_text, decoded
from eventide.errors import SourceError
from eventide.semantics.schema import DataType, Declared, Field, Schema, declared_by_plan

RECORDS = 10_000
"""So many records are looked at."""

_BYTES = 8 * 2**20
_DEPTH_MAX = 8
_FIELDS_MAX = 1_000
_ORDER: tuple[DataType, ...] = ("integer", "float", "boolean", "instant")
_ZEROS = r"^[+-]?0[0-9]"


def inferred(path: Path, records: int = RECORDS) -> Schema:
    """The schema of a CSV, NDJSON or Parquet file (also compressed) by its first records.

    Raises `SourceError` when it cannot be read or has no record.
    """
    match _kind(path):
        case "parquet":
            return schema_of(str(path))
        case "csv":
            return _by_values(dict(_csv(path, records)))
        case "ndjson":
            return _by_values(_ndjson(path, records))
    raise SourceError(f"{path}: what it holds is not known by its name. Give a .csv, .ndjson, .jsonl or .parquet file")


def is_data(path: Path) -> bool:
    """True for the name of a file of records."""
    return _kind(path) in ("csv", "ndjson", "parquet", "avro")


def declared_file(path: Path) -> Declared:
    """What a file of records says about its fields: by itself (Avro, Parquet), or by its first records."""
    if _kind(path) == "avro":
        return declared_avro(_avro_header(path))
    found = declared_by_plan(inferred(path))
    return replace(found, rules=None)


def _kind(path: Path) -> str:
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    return {".jsonl": "ndjson"}.get(Path(name).suffix, Path(name).suffix.lstrip("."))


def _avro_header(path: Path) -> str:
    import json

    try:
        import fastavro
    except ImportError:
        raise SourceError('Avro files need the package fastavro: pip install "eventide[avro]"') from None
    try:
        with path.open("rb") as file:
            return json.dumps(fastavro.reader(file).writer_schema)
    except (OSError, ValueError, EOFError) as fault:
        raise SourceError(f"cannot read {path}: {fault}. Is it an Avro file?") from None


def _lines(path: Path, most: int) -> list[str]:
    content = open_content(str(path), "by_name", follow=False, arrived=threading.Event())
    held = b""
    try:
        while len(held) < _BYTES and held.count(b"\n") < most and (more := content.read(2**16)):
            held += more
        whole = content.ended
    finally:
        content.close()
    found = held.decode("utf-8-sig", "replace").split("\n")
    if not whole:
        found.pop()
    return [line.rstrip("\r") for line in found if line.strip()][:most]


def _csv(path: Path, records: int) -> Iterator[tuple[str, list[str | None]]]:
    lines = _lines(path, records + 1)
    if len(lines) < 2:
        raise SourceError(f"{path}: it has no record to look at")
    names = values_of(lines[0], ",", '"')
    rows = [row for row in (values_of(line, ",", '"') for line in lines[1:]) if len(row) == len(names)]
    for place, name in enumerate(names):
        yield name, [row[place] or None for row in rows]


def _ndjson(path: Path, records: int) -> dict[str, list[Any]]:
    rows = [row for row, _ in map(decoded, _lines(path, records)) if row is not None]
    if not rows:
        raise SourceError(f"{path}: it has no JSON object to look at")
    columns: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        for name, value in _flat("", row, 0):
            if name in columns or len(columns) < _FIELDS_MAX:
                column = columns.setdefault(name, [])
                column += [None] * (number - len(column)) + [value]
    return {name: values + [None] * (len(rows) - len(values)) for name, values in columns.items()}


def _flat(path: str, row: dict[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value and depth < _DEPTH_MAX:
            yield from _flat(name, value, depth + 1)
        else:
            yield name, value


def _by_values(columns: dict[str, list[Any]]) -> Schema:
    fields = []
    for place, (path, values) in enumerate(columns.items()):
        name = path.replace(".", "_").strip("_ ") or f"column_{place + 1}"
        rule = Field(_type(values), nullable=None in values)
        fields.append((name, rule if name == path else replace(rule, path=path)))
    return Schema(tuple(fields))


def _type(values: list[Any]) -> DataType:
    some = [value for value in values if value is not None]
    for kind, word in ((list, "list"), (dict, "record")):
        if some and all(isinstance(value, kind) for value in some):
            return "list" if word == "list" else "record"
    texts = pl.Series([as_text(value) for value in some], dtype=pl.String)
    if not some or texts.str.contains(_ZEROS).any():
        return "string"
    return next((kind for kind in _ORDER if reads_as(texts, kind)), "string")
