"""Twelve changes of a schema by four formats: what becomes of rows written after the change; and that docs say so."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest

import eventide as et
from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.registry.client import Answers
from eventide.connectors.registry.config import Registry
from eventide.semantics.schema import as_schema
from eventide.testing.services.apicurio import Apicurio

DOCS = Path(__file__).resolve().parents[2] / "docs" / "schemas.md"
FORMATS = ("NDJSON", "CSV", "JSON Schema", "Avro")
PLAN: dict[str, Any] = {
    "sensor": et.field(str, nullable=False),
    "at": et.field(et.Instant, formats="%Y-%m-%dT%H:%M:%S%#z"),
    "n": int,
}
PLAN |= {"dose": float}
DAY = "2026-01-31T12:00:00Z"
DAY_US = 1_769_860_800_000_000
ROW: dict[str, Any] = {"sensor": "a", "at": DAY, "n": 3, "dose": 2, "site": "north"}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
AVRO: dict[str, Any] = {"sensor": "string", "at": MILLIS, "n": "int", "dose": "int", "site": "string"}
JSON: dict[str, Any] = {"sensor": "string", "at": "date-time", "n": "integer", "dose": "integer", "site": "string"}


@dataclass(frozen=True)
class Changed:
    """A change: a row after it, the types that differ (Avro, JSON Schema; None is a field that is gone), and the values
    that the plan must get if it gets any.
    """

    name: str
    row: dict[str, Any]
    avro: dict[str, Any] = field(default_factory=dict)
    json: dict[str, Any] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    expected: tuple[Any, ...] = ("a", DAY_US, 3, 2.0)

    def types(self, base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        made = {name: kind for name, kind in (base | own).items() if kind is not None}
        return {name: made[name] for name in [*self.row, *(one for one in made if one not in self.row)]}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name not in names}


TEXT = ["null", "string"]
PLACE = {"type": "record", "name": "Place", "fields": [{"name": "name", "type": "string"}]}
SECONDS = DAY_US // 1_000_000
CHANGES = (
    Changed("an optional field is added", {**ROW, "q": "ok"}, {"q": TEXT}, {"q": "string"}, frozenset("q")),
    Changed("a required field is added", {**ROW, "q": "ok"}, {"q": "string"}, {"q": "string"}),
    Changed("a field that the plan does not read is removed", without("site"), {"site": None}, {"site": None}),
    Changed("a field that the plan reads is removed", without("dose"), {"dose": None}, {"dose": None}),
    Changed("a field that the plan reads is renamed", {**without("dose"), "rate": 2_000}, {"dose": None, "rate": "int"}, {"dose": None, "rate": "integer"}),
    Changed("a whole number is widened", {**ROW, "n": 2**40}, {"n": "long"}, expected=("a", DAY_US, 2**40, 2.0)),
    Changed("a number gets decimals, read as float", {**ROW, "dose": 2.5}, {"dose": "double"}, {"dose": "number"}, expected=("a", DAY_US, 3, 2.5)),
    Changed("a number gets decimals, read as whole", {**ROW, "n": 3.5}, {"n": "double"}, {"n": "number"}),
    Changed("a number becomes text", {**ROW, "dose": "2 uSv"}, {"dose": "string"}, {"dose": "string"}),
    Changed("a field that the plan needs may be missing", {**ROW, "sensor": None}, {"sensor": TEXT}, {}, frozenset(["sensor"])),
    Changed("an instant becomes a plain number", {**ROW, "at": SECONDS}, {"at": "long"}, {"at": "integer"}),
    Changed("fields change places", {name: ROW[name] for name in ("site", "n", "dose", "at", "sensor")}),
)  # fmt: skip


def avro_schema(types: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}


def json_schema(types: dict[str, Any], optional: frozenset[str]) -> dict[str, Any]:
    made = {
        name: {"type": "string", "format": kind} if kind == "date-time" else {"type": kind}
        for name, kind in types.items()
    }
    return {"type": "object", "properties": made, "required": [name for name in types if name not in optional]}


def with_id(number: int, payload: bytes) -> bytes:
    return struct.pack(">bI", 0, number) + payload


def in_avro(number: int, schema: dict[str, Any], row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    at = SECONDS * 1_000 if row["at"] == DAY else row["at"]
    plain = json.loads(json.dumps(schema).replace('"logicalType"', '"was"'))
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain), {**row, "at": at})
    return with_id(number, out.getvalue())


def parsed(form: Any, subject: str | None, values: Sequence[bytes]) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str]]:
    parser = MessageParser(as_schema(PLAN), form)
    batch = parser.batch("log", Messages(values, range(len(values)), [0] * len(values)))
    return batch.rows, batch.refused, batch.notes


def by_ndjson(change: Changed, registry: Answers, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str]]:
    return parsed("json", None, [json.dumps(row).encode() for row in (ROW, change.row)])


def by_csv(change: Changed, registry: Answers, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str]]:
    for name, row in (("a.csv", ROW), ("b.csv", change.row)):
        with (folder / name).open("w") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)
    out = et.read_csv(folder, schema=PLAN, on_schema_change="dead_letters").run(show=False)
    return out.results, out.dead_letters, [note for note in out.notes if note.startswith("b.csv: the header is read")]


def by_json_schema(
    change: Changed, registry: Answers, folder: Path
) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str]]:
    subject = f"json {change.name}"
    types = (JSON, change.types(JSON, change.json))
    schemas = [
        json_schema(one, optional) for one, optional in zip(types, (frozenset[str](), change.optional), strict=True)
    ]
    numbers = [registry.registered(subject, json.dumps(one), "JSON", make=True) for one in schemas]
    values = [with_id(n, json.dumps(row).encode()) for n, row in zip(numbers, (ROW, change.row), strict=True)]
    return parsed(et.json_schema_format(registry.registry.url, subject=subject), subject, values)


def by_avro(change: Changed, registry: Answers, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame, Sequence[str]]:
    subject = f"avro {change.name}"
    schemas = [avro_schema(AVRO), avro_schema(change.types(AVRO, change.avro))]
    numbers = [registry.registered(subject, json.dumps(one), "AVRO", make=True) for one in schemas]
    pairs = zip(numbers, schemas, (ROW, change.row), strict=True)
    return parsed(et.avro_format(registry.registry.url, subject=subject), subject, [in_avro(*one) for one in pairs])


BY_FORMAT = dict(zip(FORMATS, (by_ndjson, by_csv, by_json_schema, by_avro), strict=True))


def outcome(change: Changed, form: str, registry: Answers, folder: Path) -> str:
    """What became of the row behind the change, in the words of the table. What was read must be right."""
    rows, refused, notes = BY_FORMAT[form](change, registry, folder)
    got = rows.select("sensor", pl.col("at").cast(pl.Int64), "n", "dose").rows()
    assert got[0] == ("a", DAY_US, 3, 2.0), "the row in front of the change is read as ever"
    assert len(got) + refused.height == 2
    if refused.height:
        reason = str(refused.get_column("reason")[0])
        by_value = refused.get_column("field")[0] is not None
        assert by_value or "cannot be read" in reason or "the header lacks" in reason
        return "dead letter, by its value" if by_value else "dead letters"
    if got[1] == (*change.expected[:3], None):
        return "read as null"
    assert got[1] == change.expected
    return "read, announced" if notes else "read"


@pytest.fixture(scope="module")
def registry(apicurio: Apicurio) -> Answers:
    return Answers(Registry(apicurio.address))


def test_the_table_in_the_docs_is_what_happens(registry: Answers, tmp_path: Path) -> None:
    assert len(CHANGES) == 12
    lines = [f"| change | {' | '.join(FORMATS)} |", "|---" * (len(FORMATS) + 1) + "|"]
    for number, change in enumerate(CHANGES):
        cells = []
        for form in FORMATS:
            folder = tmp_path / f"{number} {form}"
            folder.mkdir()
            cells.append(outcome(change, form, registry, folder))
        lines.append(f"| {change.name} | {' | '.join(cells)} |")
    table = "\n".join(lines)
    assert table in DOCS.read_text(), f"docs/schemas.md must hold:\n{table}"


def test_with_a_registry_no_change_gives_a_null_for_a_value_that_was_there(registry: Answers, tmp_path: Path) -> None:
    for change in CHANGES:
        for form in ("JSON Schema", "Avro"):
            assert outcome(change, form, registry, tmp_path) != "read as null", change.name
