"""Cassandra and MongoDB for the suite of sinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from cassandra.auth import PlainTextAuthProvider  # type: ignore[import-untyped] # the driver has no types
from cassandra.cluster import Cluster, Session  # type: ignore[import-untyped] # as above
from pymongo import MongoClient
from tests.servers.suite.system import SCHEMA, System, micros

import eventide as et
from eventide.flow import Sink
from eventide.testing.services.cassandra import USER, Cassandra
from eventide.testing.services.mongodb import MongoDb


def entered(port: int) -> Session:
    """A session of the tests' own with a node."""
    known = PlainTextAuthProvider(USER, USER)
    made = Cluster([("127.0.0.1", port)], auth_provider=known, connect_timeout=60, control_connection_timeout=60)
    session = made.connect()
    session.default_timeout, session.default_fetch_size = 60, 100  # rows of 20 kB, and a node with little memory
    return session


class CassandraSystem(System):
    """The node of all tests, which asks for a password."""

    patient = ("cassandra.sink",)

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.node: Cassandra = request.getfixturevalue("cassandra")
        self.put_behind_link(self.node, shared=True)
        self._monkeypatch = pytest.MonkeyPatch()
        self._monkeypatch.setenv("SUITE_NODES", f"{USER}:{USER}@127.0.0.1:{self.link.port}")
        self._monkeypatch.setenv("SUITE_NO_NODES", f"{USER}:{USER}@127.0.0.1:9")
        replicated = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self.asked(f"CREATE KEYSPACE IF NOT EXISTS suite WITH replication = {replicated}")

    def close(self) -> None:
        super().close()
        self._monkeypatch.undo()

    def asked(self, query: str) -> list[Any]:
        session = entered(self.node.port)
        try:
            return list(session.execute(query))
        finally:
            session.cluster.shutdown()

    def sink(self, place: str) -> Sink:
        return et.write_cassandra(self.named(place), keyspace="suite", env="SUITE_NODES", create=True)

    def rows(self, place: str) -> list[dict[str, Any]]:
        found = self.asked(f"SELECT id, k, x, ok, at FROM suite.{self.named(place)}")
        return [dict(zip(SCHEMA, row, strict=True)) for row in found]

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"SUITE_WRONG": f"{USER}:hush@127.0.0.1:{self.node.port}"}

    def refused_sink(self) -> Sink:
        return et.write_cassandra("t", keyspace="suite", env="SUITE_WRONG")

    def away_sink(self) -> Sink:
        return et.write_cassandra("t", keyspace="suite", env="SUITE_NO_NODES")


class MongoDbSystem(System):
    """What speaks MongoDB's protocol, the one of all tests."""

    patient = ("mongodb.sink",)
    cannot: ClassVar[Mapping[str, str]] = {
        "a wrong password": "the stand-in lets everybody in; test_mongodb.py has a client that is refused"
    }

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.stand: MongoDb = request.getfixturevalue("mongodb")
        self.put_behind_link(self.stand, shared=True)

    def sink(self, place: str) -> Sink:
        address = f"mongodb://127.0.0.1:{self.link.port}/?directConnection=true"
        return et.write_mongodb(self.named(place), database="suite", address=address, instants="microseconds")

    def rows(self, place: str) -> list[dict[str, Any]]:
        with MongoClient[dict[str, Any]](self.stand.address) as client:
            found = list(client["suite"][self.named(place)].find(batch_size=100))
        return [{**{name: row[name] for name in SCHEMA}, "at": micros(row["at"])} for row in found]

    def away_sink(self) -> Sink:
        return et.write_mongodb("t", database="suite", address="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200")
