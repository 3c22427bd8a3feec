"""NATS JetStream for the suites."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig
from tests.servers.suite.system import SCHEMA, Row, System, as_json, of_json

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.nats import Nats

NOBODY = "nats://127.0.0.1:9"


class NatsSystem(System):
    """A server of its own, and one that asks for a password."""

    patient = ("nats.source", "nats.sink")

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._own, self._guarded = Nats(), Nats(user="air", password="wind")
        self.put_behind_link(self._own)
        self._guarded.start()
        self.address = f"nats://127.0.0.1:{self.link.port}"

    def close(self) -> None:
        super().close()
        self._guarded.stop()

    def _on(self, work: Any) -> Any:
        async def done() -> Any:
            connection = await nats.connect(self._own.address)
            try:
                return await work(connection.jetstream(timeout=60))
            finally:
                await connection.close()

        return asyncio.run(done())

    def make(self, name: str) -> None:
        self._on(lambda js: js.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"])))

    def put(self, place: str, rows: Sequence[Row]) -> None:
        subject = f"{self.named(place)}.rows"

        async def work(js: Any) -> None:
            for row in rows:
                await js.publish(subject, as_json(row))

        self._on(work)

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_nats(self.named(place), servers=self.address, schema=SCHEMA, follow=follow)

    def refused_stream(self) -> et.Stream:
        return et.read_nats("T", env="SUITE_NATS", schema=SCHEMA)

    def away_stream(self) -> et.Stream:
        return et.read_nats("T", servers=NOBODY, schema=SCHEMA)

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"SUITE_NATS": f"nats://air:hush@127.0.0.1:{self._guarded.port}"}

    def sink(self, place: str) -> Sink:
        return et.write_nats(f"{self.named(place)}.out", servers=self.address)

    def rows(self, place: str) -> list[dict[str, Any]]:
        name = self.named(place)

        async def work(js: Any) -> list[Any]:
            state = (await js.stream_info(name)).state
            messages = [await js.get_msg(name, number) for number in range(state.first_seq, state.last_seq + 1)]
            return [of_json(one.data) for one in messages]

        found: list[dict[str, Any]] = self._on(work)
        return found

    def refused_sink(self) -> Sink:
        return et.write_nats("t", env="SUITE_NATS")

    def away_sink(self) -> Sink:
        return et.write_nats("t", servers=NOBODY)
