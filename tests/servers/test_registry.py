"""Avro and JSON Schema with a real registry: what a plan can read becomes rows, the rest dead letters or a stop."""

from __future__ import annotations

import io
import json
import struct
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen

import fastavro
import polars as pl
import pytest
from tests.servers.conftest import Topics

import eventide as et
from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.registry.client import Answers
from eventide.connectors.registry.config import Registry
from eventide.flow import Batch
from eventide.semantics.schema import as_schema
from eventide.testing.services import running
from eventide.testing.services.apicurio import Apicurio
from eventide.testing.services.kafka import Kafka

READING: list[tuple[str, Any]] = [("sensor", "string"), ("at", {"type": "long", "logicalType": "timestamp-millis"})]
SCHEMA: dict[str, Any] = {"sensor": str, "at": et.Instant, "dose": float}


@pytest.fixture(scope="module")
def registry(apicurio: Apicurio) -> Answers:
    return Answers(Registry(apicurio.address))


@pytest.fixture
def guarded(apicurio: Apicurio) -> Iterator[str]:
    """The address of the registry behind a door that lets in `air` with the password `wind` only."""
    right = "Basic " + b64encode(b"air:wind").decode()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization") == right
            found = urlopen(f"http://127.0.0.1:{apicurio.port}{self.path}").read() if allowed else b"{}"
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{door.server_port}/apis/ccompat/v7"
        door.shutdown()


def record(*fields: tuple[str, Any] | dict[str, Any], name: str = "Reading") -> dict[str, Any]:
    made = [one if isinstance(one, dict) else {"name": one[0], "type": one[1]} for one in fields]
    return {"type": "record", "name": name, "fields": made}


def registered(registry: Answers, subject: str, schema: dict[str, Any], language: str = "AVRO") -> int:
    return registry.registered(subject, json.dumps(schema), language, make=True)


def avro(number: int, schema: dict[str, Any], *rows: dict[str, Any]) -> list[bytes]:
    made = []
    for row in rows:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
        made.append(struct.pack(">bI", 0, number) + out.getvalue())
    return made


def parsed(parser: MessageParser, values: Sequence[bytes | None]) -> Batch:
    return parser.batch("log", Messages(values, range(len(values)), [0] * len(values)))


def parser(registry: Answers, subject: str, schema: dict[str, Any] = SCHEMA, **settings: Any) -> MessageParser:
    form = et.avro_format(registry.registry.url, subject=subject, **settings)
    return MessageParser(as_schema(schema), form).opened()


def reasons(batch: Batch) -> list[str]:
    return batch.refused.get_column("reason").to_list()


def test_avro_of_kafka_becomes_rows(kafka: Kafka, topics: Topics, registry: Answers) -> None:
    topic = topics.make()
    schema = record(*READING, ("dose", "double"))
    number = registered(registry, f"{topic}-value", schema)
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    rows = [{"sensor": f"ü{n}", "at": at, "dose": n / 4} for n in range(100)]
    topics.send(topic, *avro(number, schema, *rows))
    form = et.avro_format(registry.registry.url)
    stream = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format=form, bounded=True)
    out = et.Stream.from_yaml(stream.to_yaml()).run(show=False)
    assert out.results.rows() == [(f"ü{n}", at, n / 4) for n in range(100)]
    assert out.notes == ()


def test_every_avro_type_becomes_a_column(registry: Answers) -> None:
    when = {"timestamp-millis": 1, "timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}
    fields: dict[str, Any] = {
        "i": "int",
        "l": "long",
        "f": "float",
        "d": "double",
        "b": "boolean",
        "s": ["null", "string"],
        "e": {"type": "enum", "name": "E", "symbols": ["UP", "DOWN"]},
        "dec": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        "day": {"type": "int", "logicalType": "date"},
        "local": {"type": "long", "logicalType": "local-timestamp-millis"},
        "list": {"type": "array", "items": "int"},
        "map": {"type": "map", "values": "bytes"},
        "inner": ["null", record(("deep", {"type": "array", "items": record(("x", "double"), name="P")}), name="I")],
        "either": ["null", "string", "long"],
    } | {word[10:]: {"type": "long", "logicalType": word} for word in when}
    schema = record(*fields.items())
    number = registered(registry, "types-value", schema)
    types = dict.fromkeys("il", int) | {"f": float, "d": float, "b": bool, "dec": float, "list": list, "map": dict}
    wanted: dict[str, Any] = (
        dict.fromkeys([*"se", "either"], str) | types | dict.fromkeys(["day", *(one[10:] for one in when)], et.Instant)
    )
    wanted |= {
        "local": et.field(et.Instant, timezone="Europe/Helsinki"),
        "x": et.field(float, path="inner.deep[1].x"),
    }
    row: dict[str, Any] = {"i": -(2**31), "l": 2**63 - 1, "f": 0.5, "d": float("nan"), "b": True, "s": None, "e": "UP"}
    row |= {"dec": b"\x04\xd2", "day": 20_484, "local": 0, "list": [1, 2], "map": {"k": b"\xff"}, "either": 7}
    row |= {"inner": {"deep": [{"x": 1.0}, {"x": 2.5}]}} | {word[10:]: 1_000 * scale for word, scale in when.items()}
    plain = json.loads(json.dumps(schema).replace('"logicalType"', '"was"'))
    batch = parsed(parser(registry, "types-value", wanted), avro(number, plain, row, {**row, "inner": None, "s": "ü"}))
    assert reasons(batch) == []
    got = batch.rows.row(0, named=True)
    assert str(got.pop("d")) == "nan"
    second, midnight = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
    assert {name: got[name] for name in wanted if name != "d"} == {
        **{"i": -(2**31), "l": 2**63 - 1, "f": 0.5, "b": True, "s": None, "e": "UP", "either": "7"},
        **{"dec": 12.34, "list": "[1, 2]", "map": '{"k": "/w=="}', "day": midnight, "x": 2.5},
        **{"millis": second, "micros": second, "nanos": second, "local": datetime(1969, 12, 31, 22, tzinfo=UTC)},
    }
    assert batch.rows.row(1, named=True)["x"] is None
    assert batch.rows.row(1, named=True)["s"] == "ü"


def test_a_message_that_cannot_be_decoded_costs_itself(registry: Answers) -> None:
    schema = record(*READING, ("dose", "double"))
    number = registered(registry, "poison-value", schema)
    good = avro(number, schema, {"sensor": "a", "at": 0, "dose": 1.0})[0]
    head = good[:5]
    length = b"\xfe" * 8 + b"\x7f"  # a text of so many bytes would not fit into any memory
    values = [
        *(good, None, b"", b"\0\0", b'{"sensor": "a"}', good[:-1], good + b"\0", head + length, head),
        *(b"\0\0\0\xff\xff" + good[5:], head + b"\x02a" + b"\xff" * 9 + b"\x01" + b"\0" * 8, good),
    ]
    batch = parsed(parser(registry, "poison-value"), values)
    assert batch.rows.get_column("_offset").to_list() == [0, 11]
    assert batch.refused.get_column("_offset").to_list() == list(range(1, 11))
    told = reasons(batch)
    assert told[0] == "the message has no value (a tombstone)"
    assert told[1] == told[2] == told[3] == "not in the wire format of a schema registry: it begins with no schema's id"
    assert [one.startswith(f"not Avro of schema {number}: ") for one in told[4:8]] == [True] * 4
    assert told[5].endswith("1 bytes are left over")
    assert told[8] == f"the schema registry at {registry.registry.url} has no schema 65535"
    assert told[9].endswith("is beyond all instants")


LIST = record(("v", "int"), ("next", ["null", "Reading"]))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (LIST, "contains the type Reading inside itself"),
        (record(*READING, ("dose", {"type": "array", "items": "null"})), "lists of values that take no bytes"),
        (record(*READING, ("dose", {"type": "array", "items": record(name="Nothing")})), "take no bytes"),
    ],
)
def test_a_schema_that_could_bring_the_decoder_down_is_not_decoded(
    registry: Answers, schema: dict[str, Any], reason: str
) -> None:
    number = registered(registry, f"danger-{reason}", schema)
    made = MessageParser(as_schema(SCHEMA), et.avro_format(registry.registry.url))
    bomb = struct.pack(">bI", 0, number) + b"\x02\x02" * 1_000_000
    batch = parsed(made, [bomb])
    assert reason in reasons(batch)[0]
    with pytest.raises(et.SourceError, match=reason):
        parser(registry, f"danger-{reason}")


def test_a_version_that_can_be_read_passes_and_is_announced_once(
    kafka: Kafka, topics: Topics, registry: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    topic = topics.make()
    old = record(*READING, ("dose", "float"))
    new = record(*READING, ("dose", "double"), {"name": "quality", "type": ["null", "string"], "default": None})
    first, second = (registered(registry, f"{topic}-value", one) for one in (old, new))
    rows = [{"sensor": "a", "at": 0, "dose": 1.5}]
    topics.send(topic, *(avro(first, old, *rows) + avro(second, new, *rows)) * 20)
    form = et.avro_format(registry.registry.url)
    stream = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format=form, bounded=True)
    out = stream.run(show=False, rows_max=3)
    assert out.results.get_column("dose").to_list() == [1.5] * 40
    told = (
        f"schema {second} (version 2 of {topic}-value) is read: 'dose' is double, was float; "
        "'quality' was added (string, optional)"
    )
    assert out.notes == (f"{topic}/0: {told}",)
    assert [one.getMessage() for one in caplog.records if "version 2" in one.getMessage()] == [f"{topic}/0: {told}"]
    assert f"note: {topic}/0: {told}" in str(out)


def test_a_version_that_cannot_be_read_becomes_dead_letters_or_stops_the_run_before_its_first_row(
    kafka: Kafka, topics: Topics, registry: Answers
) -> None:
    topic = topics.make()
    old = record(*READING, ("dose", "double"))
    new = record(*READING, ("dose_rate", "double"))
    first, second, third = (registered(registry, f"{topic}-value", one) for one in (old, new, {**old, "doc": "again"}))
    row = {"sensor": "a", "at": 0, "dose": 1.0, "dose_rate": 1_000.0}
    topics.send(topic, *avro(first, old, row, row), *avro(second, new, row), *avro(third, old, row))
    url, told = registry.registry.url, f"schema {second} (version 2 of {topic}-value) cannot be read by this plan"

    def run(policy: Any, collected: list[pl.DataFrame]) -> et.Outcome:
        form = et.avro_format(url, on_schema_change=policy)
        stream = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format=form, bounded=True)
        out: et.Outcome = stream.write(et.call(collected.append)).run(show=False, rows_max=1)
        return out

    rows: list[pl.DataFrame] = []
    out = run("dead_letters", rows)
    assert pl.concat(rows).get_column("dose").to_list() == [1.0] * 3
    why = f"{told}: 'dose' was removed, and the plan reads it"
    assert out.dead_letters.get_column("reason").to_list() == [why]
    assert f"{topic}/0: {why}: its messages become dead letters" in out.notes
    rows = []
    with pytest.raises(et.SourceError, match="'dose' was removed, and the plan reads it.*stops here, before its first"):
        run("stop", rows)
    assert all(frame.get_column("dose").to_list() == [1.0] for frame in rows)
    assert len(rows) <= 2


def test_a_plan_that_cannot_read_the_newest_version_is_refused_before_anything_is_read(
    kafka: Kafka, topics: Topics, registry: Answers
) -> None:
    topic = topics.make()
    registered(registry, f"{topic}-value", record(*READING, ("dose", "string")))
    form = et.avro_format(registry.registry.url)
    stream = et.read_kafka(topic, servers=kafka.address, schema=SCHEMA, format=form, bounded=True)
    told = r"version 1 of topic-\d+-value\) cannot be read by this plan: 'dose' is string, which .* as float. Change"
    with pytest.raises(et.SourceError, match=told):
        stream.run(show=False)
    named = et.avro_format(registry.registry.url, subject=f"{topic}-value")
    for is_stream in (False, True):
        queue = et.read_rabbitmq("q", address="amqp://127.0.0.1:9", schema=SCHEMA, format=named, stream=is_stream)
        with pytest.raises(et.SourceError, match=told):
            queue.run(show=False)
    other = MessageParser(as_schema(SCHEMA), et.json_schema_format(registry.registry.url, subject=f"{topic}-value"))
    with pytest.raises(et.SourceError, match="is of kind AVRO, the plan asks for json_schema"):
        other.opened()


def test_json_with_a_registered_schema_is_judged_by_schema_and_by_value(registry: Answers) -> None:
    schema = {"type": "object", "properties": {"sensor": {"type": "string"}, "dose": {"type": "number"}}}
    number = registered(registry, "json-value", schema, "JSON")
    head = struct.pack(">bI", 0, number)
    form = et.json_schema_format(registry.registry.url, subject="json-value")
    wanted = as_schema({"sensor": str, "dose": et.field(float, minimum=0)})
    values = [head + b'{"sensor":"a","dose":1}', head + b'{"sensor":"a",\n"dose":-1}', b'{"sensor":"a"}', head + b"[]"]
    batch = parsed(MessageParser(wanted, form).opened(), values)
    assert batch.rows.select("sensor", "dose").rows() == [("a", 1.0)]
    assert reasons(batch)[0] == 'below minimum 0: "-1"'
    assert reasons(batch)[2] == "not a JSON object but a list"


@pytest.mark.parametrize("language", ["avro", "json"])
def test_fields_are_looked_for_in_the_envelope(registry: Answers, language: str) -> None:
    wanted: dict[str, Any] = {"id": int, "op": et.field(str, path="$.op"), "city": et.field(str, path="place.city")}
    rows: list[dict[str, Any]] = [{"op": "c", "after": {"id": 1, "place": {"city": "Ulm"}}}, {"op": "d", "after": None}]
    if language == "avro":
        inner = record(("id", "long"), ("place", record(("city", "string"), name="Place")), name="Value")
        schema = record(("op", "string"), ("after", ["null", inner]))
        number = registered(registry, "envelope-value", schema)
        made, values = parser(registry, "envelope-value", wanted, envelope="after"), avro(number, schema, *rows)
    else:
        made = MessageParser(as_schema(wanted), et.json_format(envelope="after"))
        values = [json.dumps(row).encode() for row in rows]
    batch = parsed(made, [*values, *values * 100])
    assert batch.rows.select("id", "op", "city").rows() == [(1, "c", "Ulm")] * 101
    assert set(reasons(batch)) == {"there is no record at 'after', the envelope of the plan"}
    assert batch.refused.height == 101


def test_a_registry_that_is_away_is_waited_for_then_told(registry: Answers) -> None:
    with running(Apicurio()) as own:
        answers = Answers(Registry(own.address))
        schema = record(*READING, ("dose", "double"))
        number = registered(answers, "own-value", schema)
        values = avro(number, schema, {"sensor": "a", "at": 0, "dose": 1.0})
        made = parser(answers, "own-value", patience="300ms")
        own.stop()
        assert parsed(made, values).rows.height == 1, "what is known is not asked again"
        other = struct.pack(">bI", 0, number + 1) + values[0][5:]
        with pytest.raises(et.SourceError, match=r"schema registry at .*does not answer.*Does it run"):
            parsed(made, [other])
        with pytest.raises(et.SourceError, match="does not answer"):
            parser(answers, "own-value", patience="300ms")
        own.start()
        assert reasons(parsed(made, [other])) == [f"the schema registry at {own.address} has no schema {number + 1}"]


def test_who_asks_is_in_the_environment_only(registry: Answers, guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(registry, "guarded-value", record(*READING, ("dose", "double")))
    form = et.avro_format(guarded, env="AIR_REGISTRY", subject="guarded-value")
    made = MessageParser(as_schema(SCHEMA), form)
    assert made.problems == [("env= names the environment variable AIR_REGISTRY, which is not set", "Set AIR_REGISTRY")]
    monkeypatch.setenv("AIR_REGISTRY", "me:hush")
    with pytest.raises(et.SourceError, match=r"does not let us in \(HTTP 401\). Check the variable") as caught:
        made.opened()
    assert "hush" not in f"{caught.value} {made!r} {caught.value.__context__}"
    monkeypatch.setenv("AIR_REGISTRY", "air:wind")
    made.opened()
    with pytest.raises(ValueError, match="env=") as refused:
        et.avro_format("http://me:hush@localhost:8081")
    assert "hush" not in str(refused.value)


def test_what_is_wrong_with_a_format_is_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"format='avro' needs a registry: write et.avro_format"):
        et.read_kafka("t", servers="h:1", schema=SCHEMA, format="avro")  # type: ignore[arg-type] # that is the point
    with pytest.raises(ValueError, match="envelope='a..b' is no path"):
        et.json_format(envelope="a..b")
    with pytest.raises(ValueError, match="is no address of a registry"):
        et.avro_format("localhost:8081")
    with pytest.raises(ValueError, match='does not go with unknown="keep"'):
        MessageParser(et.schema({"a": int}, unknown="keep"), et.json_format(envelope="a"))
    form = et.avro_format("http://h:1", env="E", subject="s", envelope="after", on_schema_change="stop", patience="5s")
    for one in (form, et.json_schema_format("http://h:1"), et.json_format(envelope="payload"), et.raw_format("hex")):
        schema = {"value": str} if "raw" in str(one) else SCHEMA
        stream = et.read_kafka("t", servers="h:1", schema=schema, format=one)
        assert et.Stream.from_yaml(stream.to_yaml()).plan == stream.plan
        nats = et.read_nats("T", servers="nats://h:1", schema=schema, format=one)
        assert et.Stream.from_json(nats.to_json()).plan == nats.plan


def test_raw_bytes_of_any_kind_become_text() -> None:
    for form, expected in ((et.raw_format(), "/wA="), (et.raw_format("hex"), "ff00")):
        made = MessageParser(as_schema({"value": str}), form)
        assert parsed(made, [b"\xff\0", None]).rows.get_column("value").to_list() == [expected]
