"""Sources and sinks as plain values and back, for plans as text.

Law: only what lies outside the process can be written down; frames, rows, feeds and functions are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventide.connectors.files.parquet import ParquetFiles
from eventide.connectors.files.sinks import FileSink
from eventide.connectors.files.source import TextFiles
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.encoded import format_from, format_to
from eventide.connectors.formats.ndjson import NdJson
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.order import ByArrival, Order, Ordered
from eventide.connectors.replay import Replay
from eventide.connectors.schemas import schema_from, schema_to
from eventide.connectors.screen import Screen
from eventide.connectors.systems import kinds, system_named, system_of
from eventide.errors import PlanError
from eventide.flow import Sink, Source
from eventide.plan.given import flag_of, known, name_of, path_of
from eventide.semantics.schema import Schema

Tree = dict[str, Any]

_EVERYWHERE = ("kind", "path", "name", "schema", "arrival", "follow", "one_log", "order", "speed", "steps")
_OF_TEXT = ("compression", "record_max_bytes")
_SETTINGS: Mapping[object, tuple[str, ...]] = {
    "csv": (*_OF_TEXT, "separator", "quote", "on_schema_change"),
    "ndjson": _OF_TEXT,
    "parquet": (),
}
"""What may be said of a source of files, by its kind."""


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
                if source.format.on_schema_change != "stop":
                    tree["on_schema_change"] = source.format.on_schema_change
            return tree
        case ParquetFiles():
            return _file("parquet", source) | {"follow": source.follow, "one_log": source.one_log}
        case _ if system := system_of(source):
            tree = system.source_to(source)
            return tree | ({"format": format_to(tree["format"])} if "format" in tree else {})
        case _:
            raise PlanError.of(
                f"source {source.name}",
                f"{type(source).__name__} lives in Python only",
                "Write its rows to a file and read that",
            )


def _file(kind: str, source: TextFiles | ParquetFiles) -> Tree:
    tree: Tree = {"kind": kind, "path": source.path, "name": source.name, "schema": schema_to(source.schema)}
    return tree | ({} if source.arrival is None else {"arrival": source.arrival})


def source_from(tree: Mapping[str, Any]) -> Source:
    """A source of plain values."""
    made = _source_from(tree, schema_from(tree["schema"]))
    if "order" in tree:
        made = Ordered(made, _order_from(tree["order"]))
    return Replay(made, tree["speed"]) if "speed" in tree else made


def _source_from(tree: Mapping[str, Any], schema: Schema) -> Source:
    kind, arrival, name = tree.get("kind"), tree.get("arrival"), name_of(tree.get("name", ""), "name")
    if system := system_named(kind):
        return system.source_from({**tree, "format": format_from(tree["format"])} if "format" in tree else tree, schema)
    if kind not in _SETTINGS:
        raise ValueError(f"source kind {kind!r} is unknown: write csv, ndjson, parquet, {', '.join(kinds())}")
    known(f"source {kind}", tree, *_EVERYWHERE, *_SETTINGS[kind])
    path = path_of(tree["path"])
    follow, one_log = flag_of(tree.get("follow", False), "follow"), flag_of(tree.get("one_log", False), "one_log")
    match kind:
        case "csv" | "ndjson":
            form = _csv_from(tree, schema) if kind == "csv" else NdJson(schema)
            limits = tree.get("compression", "by_name"), int(tree.get("record_max_bytes", RECORD_MAX_BYTES))
            return TextFiles(path, form, schema, arrival, follow, one_log, name, *limits)
        case _:
            return ParquetFiles(path, schema, arrival, name, follow, one_log)


def _csv_from(tree: Mapping[str, Any], schema: Schema) -> Csv:
    policy = tree.get("on_schema_change", "stop")
    return Csv(schema, tree.get("separator", ","), tree.get("quote", '"'), on_schema_change=policy)


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


def sink_to(sink: Sink) -> Tree:
    """A sink as plain values."""
    match sink:
        case FileSink():
            return {"kind": sink.format, "path": sink.path}
        case Screen():
            return {"kind": "console"}
        case _ if system := system_of(sink):
            return system.sink_to(sink)
        case _:
            raise PlanError.of(
                f"sink {sink.name}", f"{type(sink).__name__} lives in Python only", "Write to a file or a table"
            )


def sink_from(tree: Mapping[str, Any]) -> Sink:
    """A sink of plain values."""
    match dict(tree):
        case {"kind": ("csv" | "ndjson" | "parquet") as form, "path": str(path)}:
            known(f"sink {form}", tree, "kind", "path", "output")
            return FileSink(path, form)
        case {"kind": "console"}:
            return Screen()
        case {"kind": kind} if system := system_named(kind):
            return system.sink_from(tree)
        case _:
            raise ValueError(f"{dict(tree)!r} is not a sink: write for example {{kind: csv, path: out.csv}}")
