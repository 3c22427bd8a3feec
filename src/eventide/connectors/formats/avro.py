"""Avro: messages decoded by the schema that they were written with, then read like every other record.

Law: a message that its schema does not fit costs itself, whatever its bytes are. (Schemas that could bring the decoder
down - a type inside itself, lists of nothing - never come here: `declarations.py` refuses them.)
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import polars as pl

from eventide.connectors.formats.json_record import Path, no_envelope, path_text, value_at
from eventide.connectors.formats.text import NUMBER, RAW_MAX, UNKNOWN, Bad, Block, too_long
from eventide.connectors.registry.client import Written
from eventide.flow import INSTANT
from eventide.semantics.schema import Declaration, Schema

_TO_MICROSECONDS = {"millis": (1_000, 1), "micros": (1, 1), "nanos": (1, 1_000)}
_SAFE = 2**62


class Decoder:
    """Decodes messages of one writer's schema."""

    def __init__(self, written: Written) -> None:
        import fastavro

        self._read = fastavro.schemaless_reader
        self._written = written
        named: dict[str, Any] = {}
        for one in written.named.values():
            fastavro.parse_schema(_plain_times(one), named_schemas=named)
        self._schema = fastavro.parse_schema(_plain_times(json.loads(written.text)), named_schemas=named)

    def record(self, payload: bytes) -> dict[str, Any]:
        """The record of a message. Raises `ValueError` with the reason."""
        stream = BytesIO(payload)
        try:
            found = self._read(stream, self._schema, None)
        except Exception as fault:  # each kind of damage has its own class in the library
            what = " ".join(str(fault).split())[:100] or type(fault).__name__
            raise ValueError(f"not Avro of schema {self._written.id}: {what}") from None
        if stream.tell() != len(payload):
            left = len(payload) - stream.tell()
            raise ValueError(f"not Avro of schema {self._written.id}: {left:,} bytes are left over")
        if not isinstance(found, dict):
            raise ValueError("not an Avro record but one value")
        return found


def _plain_times(schema: Any) -> Any:
    """The schema with instants as the numbers they are written as: the library's datetimes end with the year 9999."""
    if isinstance(schema, list):
        return [_plain_times(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: _plain_times(one) if key in ("type", "fields", "items", "values") else one for key, one in schema.items()
    }
    if "timestamp-" in str(made.get("logicalType")):
        del made["logicalType"]
    return made


class Records:
    """Decoded messages on their way to columns of a schema; `paths` say where each column's value stands."""

    def __init__(self, schema: Schema, paths: Mapping[str, Path], envelope: Path, record_max_bytes: int) -> None:
        self._schema = schema
        self._paths = paths
        self._envelope = envelope
        self._record_max_bytes = record_max_bytes

    def block(
        self, payloads: Sequence[bytes], schemas: Sequence[Written], decoder: Callable[[Written], Decoder]
    ) -> Block:
        """A block with a record for each payload, written with the schema beside it."""
        rows: dict[int, dict[str, Any]] = {}
        bad: list[Bad] = []
        by_schema: dict[int, list[int]] = {}
        for number, (payload, written) in enumerate(zip(payloads, schemas, strict=True)):
            try:
                if len(payload) > self._record_max_bytes:
                    raise ValueError(too_long(self._record_max_bytes))
                row = decoder(written).record(payload)
                if self._envelope and not isinstance(value_at(row, self._envelope), dict):
                    raise ValueError(no_envelope(self._envelope))
            except ValueError as fault:
                bad.append(Bad(number, str(fault), payload[: RAW_MAX * 4].decode("utf-8", "replace")[:RAW_MAX]))
            else:
                rows[number] = row
                by_schema.setdefault(written.id, []).append(number)
        parts = []
        for numbers in by_schema.values():
            part, unfit = self._part(numbers, [rows[n] for n in numbers], schemas[numbers[0]])
            parts.append(part)
            bad += unfit

        def texts(wanted: pl.Series) -> pl.Series:
            return pl.Series([json.dumps(plain(rows[n]), ensure_ascii=False) for n in wanted], dtype=pl.String)

        return Block(parts, bad, len(payloads), sum(map(len, payloads)), texts)

    def _part(self, numbers: list[int], rows: list[dict[str, Any]], written: Written) -> tuple[pl.DataFrame, list[Bad]]:
        """The columns of records of one schema, and the records whose instants no column can hold."""
        columns: list[pl.Series] = []
        unfit: dict[int, str] = {}
        for name, path in self._paths.items():
            values = [value_at(row, path) for row in rows]
            made, beyond = _column(name, values, written.declared.at(path_text(path)))
            columns.append(made)
            unfit |= {place: f"{name}: {values[place]} is beyond all instants" for place in beyond}
        if self._schema.unknown != "drop":
            known = {path[0] for path in self._paths.values()}
            others = ({key: one for key, one in row.items() if key not in known} for row in rows)
            texts = [json.dumps(plain(one), ensure_ascii=False) if one else None for one in others]
            columns.append(pl.Series(UNKNOWN, texts, dtype=pl.String))
        frame = pl.DataFrame([*columns, pl.Series(NUMBER, numbers, dtype=pl.Int64)])
        if not unfit:
            return frame, []
        whole = [place for place in range(len(rows)) if place not in unfit]
        bad = [Bad(numbers[at], why, json.dumps(plain(rows[at]))[:RAW_MAX]) for at, why in unfit.items()]
        return frame[whole], bad


def _column(name: str, values: list[Any], declared: Declaration | None) -> tuple[pl.Series, list[int]]:
    """Values of one field as a column, and the places of those that are no instant."""
    kind = "anything" if declared is None else declared.kind
    detail = "" if declared is None else declared.detail
    if kind == "instant" and detail != "date":
        return _instants(name, values, detail)
    match kind:
        case "instant":
            return pl.Series(name, values, dtype=pl.Date), []
        case "integer":
            return pl.Series(name, values, dtype=pl.Int64), []
        case "float":
            floats = [float(value) if isinstance(value, Decimal) else value for value in values]
            return pl.Series(name, floats, dtype=pl.Float64, strict=False), []
        case "boolean":
            return pl.Series(name, values, dtype=pl.Boolean), []
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String), []


def _instants(name: str, values: list[Any], detail: str) -> tuple[pl.Series, list[int]]:
    """Numbers since the epoch as instants; local ones without a time zone, which the plan's field gives them."""
    up, down = _TO_MICROSECONDS.get(detail.rpartition("-")[2], (1, 1))
    beyond = [place for place, value in enumerate(values) if value is not None and abs(value) >= _SAFE // up]
    for place in beyond:
        values = [*values[:place], None, *values[place + 1 :]]
    numbers = pl.Series(name, values, dtype=pl.Int64) * up // down
    return numbers.cast(pl.Datetime("us") if detail.startswith("local-") else INSTANT), beyond


def _text(value: Any) -> str | None:
    made = plain(value)
    return made if made is None or isinstance(made, str) else json.dumps(made, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A decoded value as JSON can hold it: bytes in base64, times, decimals and what is no number as text."""
    match value:
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case bytes():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case float() if not math.isfinite(value):
            return str(value)
    return value
