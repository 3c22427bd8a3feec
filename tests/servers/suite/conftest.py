"""The system that a test of the suites runs on, and a place there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.servers.suite.system import System
from tests.servers.suite.systems import SYSTEMS


@pytest.fixture(scope="session")
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """A system, started once for all tests that run on it."""
    made = SYSTEMS[request.param](request)
    yield made
    made.close()


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A place that no other test has."""
    return str(request.node.nodeid)
