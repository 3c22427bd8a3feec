"""What all tests share: the recorded streams beside the project, and a wall clock that tests move."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventide.testing import TestClock


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded streams and of other engines' answers, beside the project."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    assert folder.is_dir(), f"{folder} is missing: the recorded streams belong beside the project"
    return folder


@pytest.fixture
def clock() -> TestClock:
    """A wall clock at 2026-01-01 that moves only when told to."""
    return TestClock(1_767_225_600_000_000)
