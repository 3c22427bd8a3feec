"""Killed or refused by the disk at a system call, a run goes on to the same bytes. Here an evenly spread share of
the points, so that every kind of call is hit; `make crash` tries each one.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.points import Point
from tests.crash.served import Systems
from tests.crash.sweep import JOBS, Found, Trial, place, sweep

ON_LINUX = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="calls are traced on Linux on x86-64"
)
pytestmark = ON_LINUX

SHARES = {"avro": 60, "csv": 24, "parquet": 24, "duckdb": 24, "iceberg": 100, "kafka-delta": 80, "kafka-iceberg": 200}
OTHERS = 40


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    started = Systems()
    yield started
    started.close()


@pytest.mark.parametrize("job", JOBS)
def test_a_run_that_fails_at_a_system_call_goes_on_to_the_same_bytes(job: str, systems: Systems) -> None:
    with tempfile.TemporaryDirectory(dir=place()) as folder:
        found = sweep(Path(folder), job, systems, SHARES.get(job, OTHERS))
    print(f"{job}: {found}")
    assert found.wrong == []
    assert found.tried > 2
    assert len(found.beyond) < found.tried, f"the sweep does not reach what it counted: {found.beyond}"


def test_a_point_that_no_run_reaches_is_told_and_not_counted_as_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [Point("fsync", 1, "KILL"), Point("fsync", 70, "KILL"), Point("fsync", 2, "EIO")]
    asked: list[Point] = []

    def attempt(trial: Trial, point: Point) -> tuple[bool, str]:
        asked.append(point)
        return (point.number == 1 or asked.count(point) == 3), ""

    monkeypatch.setattr(Trial, "attempt", attempt)
    monkeypatch.setattr("tests.crash.sweep._ATTEMPTS", 2)
    found = Trial(None, "csv", {}).of(points)  # type: ignore[arg-type] # no stage is asked
    assert found == Found(1, points[1:], [])
    assert str(found) == "1 points tried, 2 behind the end of 2 runs each, none skipped, 0 wrong"
