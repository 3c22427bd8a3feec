"""Kafka for the suites."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from tests.servers.conftest import Topics
from tests.servers.suite.system import SCHEMA, Row, micros

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.kafka import Kafka

WRONG: dict[str, Any] = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "env:SUITE_USER",
    "sasl.password": "env:SUITE_PASSWORD",
}


class KafkaSystem:
    """A broker of its own."""

    follows = True
    remote = True

    def __init__(self) -> None:
        self.server = Kafka()
        self.server.start()
        self._topics = Topics(self.server.address)
        self._places: dict[str, str] = {}

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.start()

    close = stop

    def _topic(self, place: str) -> str:
        if place not in self._places:
            self._places[place] = self._topics.make(max_message_bytes="33554432")
        return self._places[place]

    def put(self, place: str, rows: Sequence[Row]) -> None:
        self._topics.send(self._topic(place), *(json.dumps(row, ensure_ascii=False) for row in rows))

    def broken(self, place: str) -> None:
        self.put(place, [{"id": -1, "x": "much"}])

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        topic = self._topic(place)
        return et.read_kafka(topic, servers=self.server.address, schema=SCHEMA, bounded=not follow)

    def refused(self) -> et.Stream:
        return et.read_kafka("t", servers=self.server.address, schema=SCHEMA, settings=WRONG, patience="500ms")

    def away(self) -> et.Stream:
        return et.read_kafka("t", servers="127.0.0.1:9", schema=SCHEMA, patience="500ms")


class KafkaSinkSystem(KafkaSystem):
    """The same, to be written to."""

    def sink(self, place: str) -> Sink:
        return et.write_kafka(self._topic(place), servers=self.server.address, patience="30s")

    def rows(self, place: str) -> list[dict[str, Any]]:
        settings = {"bootstrap.servers": self.server.address, "group.id": "s", "isolation.level": "read_committed"}
        consumer = Consumer({**settings, "enable.partition.eof": True})
        consumer.assign([TopicPartition(self._topic(place), 0, 0)])
        found = []
        while (message := consumer.poll(30)) is not None and message.error() is None:
            row = json.loads(message.value() or b"{}")
            found.append({**row, "at": micros(row["at"])})
        consumer.close()
        return found

    def refused(self) -> Sink:  # type: ignore[override] # the other direction
        return et.write_kafka("t", servers=self.server.address, settings=WRONG, patience="500ms")

    def away(self) -> Sink:  # type: ignore[override] # the other direction
        return et.write_kafka("t", servers="127.0.0.1:9", patience="500ms")
