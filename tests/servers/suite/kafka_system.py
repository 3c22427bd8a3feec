"""Kafka for the suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from tests.servers.committed import committed
from tests.servers.conftest import Topics
from tests.servers.suite.system import SCHEMA, SENT, Row, System, as_json, of_json

import eventide as et
from eventide.flow import Sink
from eventide.testing.link import Link
from eventide.testing.services.kafka import Kafka

WRONG: dict[str, Any] = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "env:SUITE_USER",
    "sasl.password": "env:SUITE_PASSWORD",
}
NOBODY = "127.0.0.1:9"


class KafkaSystem(System):
    """A broker of its own."""

    cannot: ClassVar[Mapping[str, str]] = {"take epochs back": SENT}

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.broker = Kafka()
        link = Link(self.broker.linked)
        self.broker.through = link.port
        self.put_behind_link(self.broker, link)
        self.address = f"127.0.0.1:{link.port}"
        self._topics = Topics(self.broker.address)
        self._made: dict[str, str] = {}

    def make(self, name: str) -> None:
        self._made[name] = self._topics.make(max_message_bytes="33554432")

    def _topic(self, place: str) -> str:
        return self._made[self.named(place)]

    def put(self, place: str, rows: Sequence[Row]) -> None:
        self._topics.send(self._topic(place), *map(as_json, rows))

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_kafka(self._topic(place), servers=self.address, schema=SCHEMA, bounded=not follow, patience="2m")

    def refused_stream(self) -> et.Stream:
        return et.read_kafka("t", servers=self.address, schema=SCHEMA, settings=WRONG, patience="500ms")

    def away_stream(self) -> et.Stream:
        return et.read_kafka("t", servers=NOBODY, schema=SCHEMA, patience="500ms")

    def sink(self, place: str) -> Sink:
        return et.write_kafka(self._topic(place), servers=self.address, patience="2m")

    def rows(self, place: str) -> list[dict[str, Any]]:
        return [of_json(one.value() or b"{}") for one in committed(self.broker.address, self._topic(place))]

    def refused_sink(self) -> Sink:
        return et.write_kafka("t", servers=self.address, settings=WRONG, patience="500ms")

    def away_sink(self) -> Sink:
        return et.write_kafka("t", servers=NOBODY, patience="500ms")
