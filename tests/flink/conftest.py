"""A real cluster, a broker and a database for the tests, started once a session on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventide.testing.services import running
from eventide.testing.services.flink import Flink
from eventide.testing.services.kafka import Kafka
from eventide.testing.services.postgres import Postgres


@pytest.fixture(scope="session")
def flink() -> Iterator[Flink]:
    """Two TaskManagers with two slots each."""
    with running(Flink()) as started:
        yield started


@pytest.fixture(scope="session")
def broker() -> Iterator[Kafka]:
    """A broker that all tests share."""
    with running(Kafka()) as started:
        yield started


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """A database that all tests share."""
    with running(Postgres()) as started:
        yield started
