"""Sources and sinks as plain values and back, for plans as text.

Law: only what lies outside the process can be written down; frames, rows, feeds and functions are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from eventide.connectors.files.parquet import ParquetFiles
from eventide.connectors.files.sinks import FileSink
from eventide.connectors.files.source import TextFiles
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.ndjson import NdJson
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.kafka.codec import topic_from, topic_to, topics_from, topics_to
from eventide.connectors.kafka.sink import KafkaSink
from eventide.connectors.kafka.source import KafkaTopics
from eventide.connectors.nats.config import Server as NatsServer
from eventide.connectors.nats.sink import NatsSubject
from eventide.connectors.nats.source import NatsStream
from eventide.connectors.notify.sink import NotifySink
from eventide.connectors.notify.text import notify_from, notify_to
from eventide.connectors.order import ByArrival, Order, Ordered
from eventide.connectors.postgres.config import Server
from eventide.connectors.postgres.sink import Postgres
from eventide.connectors.postgres.source import PostgresRows
from eventide.connectors.replay import Replay
from eventide.connectors.screen import Screen
from eventide.connectors.tables.duckdb import DuckDb
from eventide.connectors.tables.duckdb_rows import DuckDbRows
from eventide.errors import PlanError
from eventide.flow import Sink, Source
from eventide.semantics.schema import Field, Schema

Tree = dict[str, Any]
_FIELD = asdict(Field("string"))


def source_to(source: Source) -> Tree:
    """A source as plain values."""
    match source:
        case Replay():
            return source_to(source.source) | {"speed": source.speed}
        case Ordered():
            return source_to(source.source) | {"order": _order_to(source.order)}
        case TextFiles():
            kind = "csv" if isinstance(source.format, Csv) else "ndjson"
            tree = _file(kind, source) | {"follow": source.follow, "one_log": source.one_log}
            if source.compression != "by_name":
                tree["compression"] = source.compression
            if source.record_max_bytes != RECORD_MAX_BYTES:
                tree["record_max_bytes"] = source.record_max_bytes
            if isinstance(source.format, Csv):
                tree |= {"separator": source.format.separator, "quote": source.format.quote}
            return tree
        case ParquetFiles():
            return _file("parquet", source) | {"follow": source.follow, "one_log": source.one_log}
        case DuckDbRows(path, schema, table, query, arrival, name):
            tree = {"kind": "duckdb", "path": path, "name": name, "schema": _schema_to(schema)}
            given = {"table": table, "query": query, "arrival": arrival}
            return tree | {key: value for key, value in given.items() if value is not None}
        case NatsStream():
            return _nats_to(source)
        case KafkaTopics():
            return topics_to(source) | {"schema": _schema_to(source.schema)}
        case PostgresRows():
            return _postgres_to(source)
        case _:
            raise PlanError.of(
                f"source {source.name}",
                f"{type(source).__name__} lives in Python only",
                "Write its rows to a file and read that",
            )


def _nats_to(source: NatsStream) -> Tree:
    tree: Tree = {"kind": "nats", **source.server.as_tree(), "stream": source.stream, "subject": source.subject}
    start = source.start.isoformat() if isinstance(source.start, datetime) else source.start
    tree |= {"format": source.format, "start": start, "follow": source.follow, "name": source.name}
    tree["schema"] = _schema_to(source.schema)
    return tree | ({} if source.arrival is None else {"arrival": source.arrival})


def _nats_from(tree: Mapping[str, Any], schema: Schema) -> NatsStream:
    server = NatsServer(tree.get("servers"), tree.get("env"), tree.get("credentials"))
    start = tree.get("start", "earliest")
    if isinstance(start, str) and start not in ("earliest", "latest"):
        start = datetime.fromisoformat(start)
    form, follow = tree.get("format", "json"), bool(tree.get("follow", True))
    rest = tree.get("subject", ">"), form, start, follow, tree.get("arrival"), tree.get("name", "")
    return NatsStream(server, tree["stream"], schema, *rest)


def _postgres_to(source: PostgresRows) -> Tree:
    if source.table is None:
        raise PlanError.of(
            f"source {source.name}", "a query lives in Python only", "Make a view of it and read that as a table"
        )
    tree: Tree = {"kind": "postgres", **source.server.as_tree(), "table": source.table, "name": source.name}
    tree |= {"order_by": list(source.order_by), "schema": _schema_to(source.schema)}
    return tree | ({} if source.arrival is None else {"arrival": source.arrival})


def _file(kind: str, source: TextFiles | ParquetFiles) -> Tree:
    tree: Tree = {"kind": kind, "path": source.path, "name": source.name, "schema": _schema_to(source.schema)}
    return tree | ({} if source.arrival is None else {"arrival": source.arrival})


def source_from(tree: Mapping[str, Any]) -> Source:
    """A source of plain values."""
    made = _source_from(tree, _schema_from(tree["schema"]))
    if "order" in tree:
        made = Ordered(made, _order_from(tree["order"]))
    return Replay(made, float(tree["speed"])) if "speed" in tree else made


def _source_from(tree: Mapping[str, Any], schema: Schema) -> Source:
    kind, arrival, name = tree.get("kind"), tree.get("arrival"), tree.get("name", "")
    if kind == "kafka":
        return topics_from(tree, schema)
    if kind == "nats":
        return _nats_from(tree, schema)
    if kind == "postgres":
        server = Server(tree.get("dsn"), tree.get("env"))
        return PostgresRows(server, schema, tuple(tree["order_by"]), tree["table"], None, arrival, name)
    path, follow, one_log = tree["path"], bool(tree.get("follow")), bool(tree.get("one_log"))
    match kind:
        case "csv" | "ndjson":
            form = Csv(schema, tree.get("separator", ","), tree.get("quote", '"')) if kind == "csv" else NdJson(schema)
            limits = tree.get("compression", "by_name"), int(tree.get("record_max_bytes", RECORD_MAX_BYTES))
            return TextFiles(path, form, schema, arrival, follow, one_log, name, *limits)
        case "parquet":
            return ParquetFiles(path, schema, arrival, name, follow, one_log)
        case "duckdb":
            return DuckDbRows(path, schema, tree.get("table"), tree.get("query"), arrival, name)
        case _:
            known = "csv, ndjson, parquet, duckdb, kafka, nats or postgres"
            raise ValueError(f"source kind {kind!r} is unknown: write {known}")


def _order_to(order: Order) -> Any:
    return {"by_arrival": order.tie} if isinstance(order, ByArrival) else order


def _order_from(tree: Any) -> Order:
    match tree:
        case "as_is" | "reversed":
            return tree  # type: ignore[no-any-return] # one of the two words
        case {"by_arrival": str(tie)}:
            return ByArrival(tie)
        case _:
            raise ValueError(f"order: {tree!r} is not an order: write reversed or {{by_arrival: offset}}")


def _schema_to(schema: Schema) -> Tree:
    columns: Tree = {}
    for name, rule in schema.fields:
        own = {key: value for key, value in asdict(rule).items() if value != _FIELD[key] and key != "type"}
        columns[name] = {"type": rule.type, **own} if own else rule.type
    tree: Tree = {"columns": columns}
    if schema.unknown != "drop":
        tree["unknown"] = schema.unknown
    if schema.bad_share_max is not None:
        tree["bad_share_max"] = schema.bad_share_max
    return tree


def _schema_from(tree: Mapping[str, Any]) -> Schema:
    fields = tuple((name, _field(name, rule)) for name, rule in tree["columns"].items())
    return Schema(fields, tree.get("unknown", "drop"), tree.get("bad_share_max"))


def _field(name: str, rule: Any) -> Field:
    if isinstance(rule, str):
        return Field(rule)  # type: ignore[arg-type] # Field itself refuses other words
    unknown = sorted(set(rule) - set(_FIELD))
    if unknown:
        raise ValueError(
            f"column {name!r} has an unknown rule {', '.join(map(repr, unknown))}: rules are {', '.join(_FIELD)}"
        )
    given: Tree = {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items()}
    return Field(**given)


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    match sink:
        case FileSink():
            return {"kind": sink.format, "path": sink.path}
        case DuckDb():
            return {"kind": "duckdb", "path": sink.path, "table": sink.table}
        case KafkaSink():
            return topic_to(sink)
        case Screen():
            return {"kind": "console"}
        case NotifySink():
            return notify_to(sink)
        case NatsSubject():
            return {"kind": "nats", **sink.server.as_tree(), "subject": sink.subject}
        case Postgres():
            tree: Tree = {"kind": "postgres", **sink.server.as_tree(), "table": sink.table}
            return tree | ({"create": True} if sink.create else {})
        case _:
            raise PlanError.of(
                f"sink {sink.name}", f"{type(sink).__name__} lives in Python only", "Write to a file or a table"
            )


def sink_from(tree: Mapping[str, Any]) -> Sink:
    """A sink of plain values."""
    match dict(tree):
        case {"kind": ("csv" | "ndjson" | "parquet") as form, "path": str(path)}:
            return FileSink(path, form)
        case {"kind": "duckdb", "path": str(path), "table": str(table)}:
            return DuckDb(path, table)
        case {"kind": "kafka", "topic": str()}:
            return topic_from(tree)
        case {"kind": "console"}:
            return Screen()
        case {"kind": "notify"}:
            return notify_from(tree)
        case {"kind": "nats", "subject": str(subject)}:
            return NatsSubject(NatsServer(tree.get("servers"), tree.get("env"), tree.get("credentials")), subject)
        case {"kind": "postgres", "table": str(table)}:
            return Postgres(Server(tree.get("dsn"), tree.get("env")), table, bool(tree.get("create")))
        case _:
            raise ValueError(f"{dict(tree)!r} is not a sink: write for example {{kind: csv, path: out.csv}}")
