"""What the suites leave out, and why."""

from __future__ import annotations

from tests.servers.suite.system import ASKED
from tests.servers.suite.systems import SYSTEMS


def test_what_a_system_cannot_is_one_of_the_things_asked_and_has_a_reason() -> None:
    for kind in SYSTEMS.values():
        assert set(kind.cannot) <= set(ASKED)
        assert all(kind.cannot.values())
