"""Connectors: where events come from and where outputs go, one folder or file for each kind of system.

Law: a connector carries rows and judges nothing; what it cannot read becomes a refused row with its reason.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from eventide.connectors.files.sinks import write_csv, write_ndjson, write_parquet
from eventide.connectors.memory.call import call
from eventide.connectors.memory.rows import Feed
from eventide.connectors.order import by_arrival
from eventide.connectors.read import from_frame, from_rows, read_csv, read_ndjson, read_parquet, replay
from eventide.connectors.screen import console

if TYPE_CHECKING:
    from eventide.connectors.cassandra.sink import write_cassandra
    from eventide.connectors.delta.sink import write_delta
    from eventide.connectors.delta.source import read_delta
    from eventide.connectors.formats.encoded import avro_format, json_format, json_schema_format, raw_format
    from eventide.connectors.http.source import read_http
    from eventide.connectors.iceberg.sink import write_iceberg
    from eventide.connectors.iceberg.source import read_iceberg
    from eventide.connectors.kafka.read import read_kafka, write_kafka
    from eventide.connectors.mongodb.sink import write_mongodb
    from eventide.connectors.mqtt.sink import write_mqtt
    from eventide.connectors.mqtt.source import read_mqtt
    from eventide.connectors.nats.sink import write_nats
    from eventide.connectors.nats.source import read_nats
    from eventide.connectors.notifications import notify
    from eventide.connectors.postgres.sink import write_postgres
    from eventide.connectors.postgres.source import read_postgres
    from eventide.connectors.rabbitmq.sink import write_rabbitmq
    from eventide.connectors.rabbitmq.source import read_rabbitmq
    from eventide.connectors.tables.duckdb import write_duckdb
    from eventide.connectors.tables.duckdb_rows import read_duckdb
    from eventide.connectors.webhook.sink import write_webhook
    from eventide.connectors.websocket.sink import write_websocket

__all__ = [
    "Feed",
    "avro_format",
    "by_arrival",
    "call",
    "console",
    "from_frame",
    "from_rows",
    "json_format",
    "json_schema_format",
    "notify",
    "raw_format",
    "read_csv",
    "read_delta",
    "read_duckdb",
    "read_http",
    "read_iceberg",
    "read_kafka",
    "read_mqtt",
    "read_nats",
    "read_ndjson",
    "read_parquet",
    "read_postgres",
    "read_rabbitmq",
    "replay",
    "write_cassandra",
    "write_csv",
    "write_delta",
    "write_duckdb",
    "write_iceberg",
    "write_kafka",
    "write_mongodb",
    "write_mqtt",
    "write_nats",
    "write_ndjson",
    "write_parquet",
    "write_postgres",
    "write_rabbitmq",
    "write_webhook",
    "write_websocket",
]

_OF_SYSTEMS = {
    "avro_format": "formats.encoded",
    "json_format": "formats.encoded",
    "json_schema_format": "formats.encoded",
    "notify": "notifications",
    "raw_format": "formats.encoded",
    "read_delta": "delta.source",
    "read_duckdb": "tables.duckdb_rows",
    "read_http": "http.source",
    "read_iceberg": "iceberg.source",
    "read_kafka": "kafka.read",
    "read_mqtt": "mqtt.source",
    "read_nats": "nats.source",
    "read_postgres": "postgres.source",
    "read_rabbitmq": "rabbitmq.source",
    "write_cassandra": "cassandra.sink",
    "write_delta": "delta.sink",
    "write_duckdb": "tables.duckdb",
    "write_iceberg": "iceberg.sink",
    "write_kafka": "kafka.read",
    "write_mongodb": "mongodb.sink",
    "write_mqtt": "mqtt.sink",
    "write_nats": "nats.sink",
    "write_postgres": "postgres.sink",
    "write_rabbitmq": "rabbitmq.sink",
    "write_webhook": "webhook.sink",
    "write_websocket": "websocket.sink",
}
"""Functions that are brought along when they are asked for first, with the module of each."""


def __getattr__(name: str) -> object:
    """What needs a system's client is imported with it, not with Eventide."""
    if name in _OF_SYSTEMS:
        return getattr(import_module(f"{__name__}.{_OF_SYSTEMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
