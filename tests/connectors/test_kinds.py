"""Values of a wrong kind are told by the name of their setting, and not repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import eventide as et

SCHEMA = {"k": str}
ROWS = et.from_rows([{"k": "a"}], schema=SCHEMA, name="rows")
WRONG: dict[str, Callable[[object], object]] = {
    "servers": lambda value: et.read_kafka("t", servers=value, schema=SCHEMA),  # type: ignore[arg-type]
    "dsn": lambda value: et.write_postgres("t", dsn=value),  # type: ignore[arg-type]
    "stream": lambda value: et.read_nats(value, servers="nats://h", schema=SCHEMA),  # type: ignore[arg-type]
    "topics": lambda value: et.read_mqtt(value, server="mqtt://h", schema=SCHEMA),  # type: ignore[arg-type]
    "address": lambda value: et.read_http(value, schema=SCHEMA),  # type: ignore[arg-type]
    "url": lambda value: et.write_webhook(value, rows_most=1),  # type: ignore[arg-type]
    "hosts": lambda value: et.write_cassandra("t", keyspace="k", hosts=value),  # type: ignore[arg-type]
    "routing_key": lambda value: et.write_rabbitmq(value, address="amqp://h"),  # type: ignore[arg-type]
    "collection": lambda value: et.write_mongodb(value, database="d", address="mongodb://h"),  # type: ignore[arg-type]
    "registry": lambda value: et.json_schema_format(value, subject="s"),  # type: ignore[arg-type]
    "settings": lambda value: et.write_kafka("t", servers="h:1", settings=value),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_of_a_wrong_kind_is_told_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}= must be .*, not a value of the kind bytes") as caught:
        WRONG[name](b"hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("sink", [et.write_delta, lambda path: et.write_duckdb(path, "t")])
def test_a_path_of_a_table_is_a_path(sink: Callable[[object], object]) -> None:
    with pytest.raises(ValueError, match="path=3 is not a path: write text"):
        sink(3)


def test_a_text_is_no_list_of_texts() -> None:
    with pytest.raises(ValueError, match="header= must be a list of texts, not a value of the kind str"):
        et.read_kafka("t", servers="h:1", schema=SCHEMA, format="csv", header="k,x")


@pytest.mark.parametrize(("state", "told"), [("", "is a variable not set"), (3, "state=3 is not the path")])
def test_what_is_no_state_folder_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: object, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(et.CheckpointError, match=told):
        ROWS.run(show=False, state=state)
    assert list(tmp_path.iterdir()) == []
