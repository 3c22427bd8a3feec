"""RabbitMQ for the suites: a queue, and a stream, for each place."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiormq.exceptions import AMQPError
from tests.servers import messages_of_rabbitmq as messages
from tests.servers.suite.system import SCHEMA, Row, System, as_json, of_json

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.rabbitmq import RabbitMq

NOBODY = "amqp://127.0.0.1:9"


class RabbitMqSystem(System):
    """The broker of all tests."""

    patient = ("rabbitmq.thread", "rabbitmq.sink")
    kind = "classic"

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.broker: RabbitMq = request.getfixturevalue("broker")
        self.put_behind_link(self.broker, shared=True)
        self.address = f"amqp://127.0.0.1:{self.link.port}"
        self._never = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="eventide-suite-")

    def close(self) -> None:
        super().close()
        self._folder.cleanup()

    def start(self) -> None:
        """Its queues are there a moment after it began to listen."""
        super().start()
        for place in self._places:
            while not self._is_there(self._queue(place)):
                self._never.wait(0.05)

    def _is_there(self, queue: str) -> bool:
        try:
            return messages.waiting(self.broker, queue) >= 0
        except AMQPError:
            return False

    def _queue(self, place: str) -> str:
        return f"suite-{self.kind}-{self.named(place)}"

    def make(self, name: str) -> None:
        messages.make(self.broker, f"suite-{self.kind}-{name}", self.kind)

    def put(self, place: str, rows: Sequence[Row]) -> None:
        messages.send(self.broker, self._queue(place), [as_json(row) for row in rows])

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        journal = str(Path(self._folder.name) / self.named(place))
        return et.read_rabbitmq(self._queue(place), address=self.address, schema=SCHEMA, journal=journal)

    def refused_stream(self) -> et.Stream:
        return et.read_rabbitmq("t", env="SUITE_MQ", schema=SCHEMA)

    def away_stream(self) -> et.Stream:
        return et.read_rabbitmq("t", address=NOBODY, schema=SCHEMA)

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"SUITE_MQ": f"amqp://guest:hush@127.0.0.1:{self.broker.port}"}

    def sink(self, place: str) -> Sink:
        return et.write_rabbitmq(self._queue(place), address=self.address)

    def rows(self, place: str) -> list[dict[str, Any]]:
        found = messages.held(self.broker, self._queue(place))
        return list({one.header.properties.message_id: of_json(one.body) for one in found}.values())

    def refused_sink(self) -> Sink:
        return et.write_rabbitmq("t", env="SUITE_MQ")

    def away_sink(self) -> Sink:
        return et.write_rabbitmq("t", address=NOBODY)


class RabbitMqStreamSystem(RabbitMqSystem):
    """The same, with queues of the type stream."""

    kind = "stream"

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_rabbitmq(self._queue(place), address=self.address, schema=SCHEMA, stream=True)
