"""NATS JetStream for the suites."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import nats
from nats.js.api import StreamConfig
from tests.servers.suite.system import SCHEMA, Row, micros

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.nats import Nats


class NatsSystem:
    """A server of its own, and one that asks for a password."""

    follows = True
    remote = True

    def __init__(self) -> None:
        self.server, self._guarded = Nats(), Nats(user="air", password="wind")
        self.server.start()
        self._guarded.start()
        self._places: dict[str, str] = {}

    def stop(self) -> None:
        self.server.stop()

    def start(self) -> None:
        self.server.start()

    def close(self) -> None:
        self.server.stop()
        self._guarded.stop()

    def _on(self, work: Any) -> Any:
        async def done() -> Any:
            connection = await nats.connect(self.server.address)
            try:
                return await work(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(done())

    def _stream(self, place: str) -> str:
        if place not in self._places:
            name = self._places[place] = f"PLACE{len(self._places)}"
            self._on(lambda js: js.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"])))
        return self._places[place]

    def put(self, place: str, rows: Sequence[Row]) -> None:
        subject = f"{self._stream(place)}.rows"

        async def work(js: Any) -> None:
            for row in rows:
                await js.publish(subject, json.dumps(row, ensure_ascii=False).encode())

        self._on(work)

    def broken(self, place: str) -> None:
        self.put(place, [{"id": -1, "x": "much"}])

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_nats(self._stream(place), servers=self.server.address, schema=SCHEMA, follow=follow)

    def refused(self) -> et.Stream:
        return et.read_nats("T", env="SUITE_NATS", schema=SCHEMA)

    def away(self) -> et.Stream:
        return et.read_nats("T", servers="nats://127.0.0.1:9", schema=SCHEMA)

    @property
    def secret(self) -> tuple[str, str]:
        """The variable with a wrong password, and its text."""
        return "SUITE_NATS", f"nats://air:hush@127.0.0.1:{self._guarded.port}"


class NatsSinkSystem(NatsSystem):
    """The same, to be written to."""

    def sink(self, place: str) -> Sink:
        return et.write_nats(f"{self._stream(place)}.out", servers=self.server.address)

    def rows(self, place: str) -> list[dict[str, Any]]:
        name = self._stream(place)

        async def work(js: Any) -> list[Any]:
            state = (await js.stream_info(name)).state
            messages = [await js.get_msg(name, number) for number in range(state.first_seq, state.last_seq + 1)]
            return [json.loads(one.data) for one in messages]

        return [{**row, "at": micros(row["at"])} for row in self._on(work)]

    def refused(self) -> Sink:  # type: ignore[override] # the other direction
        return et.write_nats("t", env="SUITE_NATS")

    def away(self) -> Sink:  # type: ignore[override] # the other direction
        return et.write_nats("t", servers="nats://127.0.0.1:9")
