"""Rows of an output as Avro or JSON with the id of their schema in front, and that schema.

Law: the same columns give the same schema; every column may be null, since any column of an output may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import polars as pl

from eventide.connectors.formats.encoded import RegistryFormat
from eventide.connectors.registry.client import Answers, Unknown
from eventide.errors import SinkError
from eventide.flow import INSTANT
from eventide.flow.batch import writable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JSON = {"long": "integer", "double": "number", "boolean": "boolean", "string": "string"}


@dataclass(frozen=True)
class Registered:
    """How rows of some columns are written: by a schema that the registry knows."""

    language: str
    id: int
    columns: Mapping[str, pl.DataType]

    def values(self, rows: pl.DataFrame) -> pl.Series:
        """The message of each row."""
        head = b"\0" + self.id.to_bytes(4, "big")
        if self.language == "json_schema":
            shown = rows.select(pl.struct(_plain(*one) for one in rows.schema.items()).struct.json_encode())
            made = [head + text.encode() for text in shown.to_series()]
        else:
            made = self._avro(rows, head)
        return pl.Series("value", made, dtype=pl.Binary)

    def _avro(self, rows: pl.DataFrame, head: bytes) -> list[bytes]:
        import fastavro

        schema = fastavro.parse_schema(_avro_schema(self.columns, instants=False))
        made = []
        for row in rows.select(_as_written(*one) for one in rows.schema.items()).iter_rows(named=True):
            out = BytesIO()
            out.write(head)
            fastavro.schemaless_writer(out, schema, row)
            made.append(out.getvalue())
        return made


def registered(form: RegistryFormat, subject: str, columns: Mapping[str, pl.DataType], *, register: bool) -> Registered:
    """The schema of columns in a subject, registered there where `register` says so.

    Raises `SinkError` when the registry does not answer, does not take it, or does not have it.
    """
    if form.language == "avro":
        for name in columns:
            if not _NAME.fullmatch(name):
                raise SinkError(f"column {name!r} has a name that Avro does not take: rename it with select")
        text, language = json.dumps(_avro_schema(columns, instants=True)), "AVRO"
    else:
        text, language = json.dumps(_json_schema(columns)), "JSON"
    try:
        number = Answers(form.registry, SinkError).registered(subject, text, language, make=register)
    except Unknown:
        raise SinkError(
            f"the {form.registry} does not have this output's schema in {subject}, and register=False: register it "
            f"first, or let it be registered. It is {text}"
        ) from None
    return Registered(form.language, number, dict(columns))


def _avro_schema(columns: Mapping[str, pl.DataType], *, instants: bool) -> dict[str, Any]:
    fields = [
        {"name": name, "type": ["null", _with_unit(dtype) if instants else _kind(dtype)], "default": None}
        for name, dtype in columns.items()
    ]
    return {"type": "record", "name": "Row", "namespace": "eventide", "fields": fields}


def _with_unit(dtype: pl.DataType) -> Any:
    is_instant = isinstance(dtype, pl.Datetime)
    return {"type": "long", "logicalType": "timestamp-micros"} if is_instant else _kind(dtype)


def _json_schema(columns: Mapping[str, pl.DataType]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, dtype in columns.items():
        is_instant = isinstance(dtype, pl.Datetime)
        made[name] = {"type": ["null", "string" if is_instant else _JSON[_kind(dtype)]]}
        made[name] |= {"format": "date-time"} if is_instant else {}
    return {"type": "object", "title": "Row", "properties": made}


def _kind(dtype: pl.DataType) -> str:
    """The Avro type that holds a column; lists and records are JSON text."""
    if dtype.is_integer() or isinstance(dtype, pl.Datetime | pl.Duration):
        return "long"
    if dtype.is_float():
        return "double"
    return "boolean" if dtype == pl.Boolean else "string"


def _as_written(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as Avro has it: instants in microseconds."""
    return pl.col(name).cast(INSTANT).cast(pl.Int64) if isinstance(dtype, pl.Datetime) else _plain(name, dtype)


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as JSON has it: instants as text, durations in microseconds."""
    if isinstance(dtype, pl.Datetime):
        return writable(name, dtype)
    if isinstance(dtype, pl.Duration):
        return pl.col(name).dt.total_microseconds()
    return _as_text(name, dtype) if _kind(dtype) == "string" else pl.col(name)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_nested():
        text = pl.struct(v=pl.col(name)).struct.json_encode().str.slice(5).str.head(-1)
        return pl.when(pl.col(name).is_not_null()).then(text).alias(name)
    return pl.col(name).cast(pl.String)
