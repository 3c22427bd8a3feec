"""The systems that the suites run on: whoever adds a connector adds a line here and a file beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.servers.suite.kafka_system import KafkaSinkSystem, KafkaSystem
from tests.servers.suite.local_systems import DuckDbSystem, FilesSystem
from tests.servers.suite.nats_system import NatsSinkSystem, NatsSystem
from tests.servers.suite.postgres_system import PostgresSinkSystem, PostgresSystem
from tests.servers.suite.system import SourceSystem

SOURCES: Mapping[str, Callable[[], SourceSystem]] = {
    "kafka": KafkaSystem,
    "nats": NatsSystem,
    "postgres": PostgresSystem,
}

SINKS: Mapping[str, type[DuckDbSystem | FilesSystem | KafkaSinkSystem | NatsSinkSystem | PostgresSinkSystem]] = {
    "duckdb": DuckDbSystem,
    "files": FilesSystem,
    "kafka": KafkaSinkSystem,
    "nats": NatsSinkSystem,
    "postgres": PostgresSinkSystem,
}
