"""What the tests of the job share: its operators, and a real cluster, a broker and a database on loopback, started once a session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from tests.flink.player import Player, built

from eventide.testing.services import running
from eventide.testing.services.flink import Flink
from eventide.testing.services.kafka import Kafka
from eventide.testing.services.postgres import Postgres


@pytest.fixture(scope="session")
def player() -> Iterator[Player]:
    """The operators, built if they are older than their source."""
    assert shutil.which("mvn") is not None, "Maven is not installed: apt-get install maven"
    built()
    started = Player()
    yield started
    started.close()


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
