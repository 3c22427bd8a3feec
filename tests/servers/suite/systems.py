"""The systems that the suites run on: whoever adds a connector adds a line here and a file beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from tests.servers.suite.http_systems import IngestSystem, ViewersSystem, WebhookSystem, WebSocketIngestSystem
from tests.servers.suite.kafka_system import KafkaSystem
from tests.servers.suite.lake_systems import DeltaSystem, IcebergSystem, ParquetSystem
from tests.servers.suite.local_systems import DuckDbSystem, FilesSystem
from tests.servers.suite.mqtt_system import MqttSystem
from tests.servers.suite.nats_system import NatsSystem
from tests.servers.suite.postgres_system import PostgresSystem
from tests.servers.suite.rabbitmq_system import RabbitMqStreamSystem, RabbitMqSystem
from tests.servers.suite.store_systems import CassandraSystem, MongoDbSystem
from tests.servers.suite.system import System

SOURCES: Mapping[str, type[System]] = {
    "delta": DeltaSystem,
    "http": IngestSystem,
    "iceberg": IcebergSystem,
    "kafka": KafkaSystem,
    "mqtt": MqttSystem,
    "nats": NatsSystem,
    "parquet on S3": ParquetSystem,
    "postgres": PostgresSystem,
    "rabbitmq": RabbitMqSystem,
    "rabbitmq stream": RabbitMqStreamSystem,
    "websocket in": WebSocketIngestSystem,
}

SINKS: Mapping[str, type[System]] = {
    "cassandra": CassandraSystem,
    "delta": DeltaSystem,
    "duckdb": DuckDbSystem,
    "files": FilesSystem,
    "iceberg": IcebergSystem,
    "kafka": KafkaSystem,
    "mongodb": MongoDbSystem,
    "mqtt": MqttSystem,
    "nats": NatsSystem,
    "parquet on S3": ParquetSystem,
    "postgres": PostgresSystem,
    "rabbitmq": RabbitMqSystem,
    "webhook": WebhookSystem,
    "websocket out": ViewersSystem,
}

SYSTEMS: Mapping[str, type[System]] = {**SOURCES, **SINKS}


def able(systems: Mapping[str, type[System]], *asked: str) -> pytest.MarkDecorator:
    """A test runs on the systems that can do all that is asked, one started at a time."""
    names: Sequence[str] = [name for name, kind in systems.items() if not set(asked) & set(kind.cannot)]
    return pytest.mark.parametrize("system", names, indirect=True, scope="session")
