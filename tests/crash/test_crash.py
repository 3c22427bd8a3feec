"""Killed or refused by the disk at a system call, a run goes on to the same bytes. Here an evenly spread share of
the points, so that every kind of call is hit; `make crash` tries each one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.served import Systems
from tests.crash.sweep import JOBS, place, sweep

SHARES = {
    "csv": 24,
    "parquet": 24,
    "duckdb": 24,
    "postgres": 12,
    "iceberg": 100,
    "kafka-delta": 80,
    "kafka-iceberg": 200,
}
OTHERS = 40  # a run with Kafka takes seconds


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    started = Systems()
    yield started
    started.close()


@pytest.mark.parametrize("job", JOBS)
def test_a_run_that_fails_at_a_system_call_goes_on_to_the_same_bytes(job: str, systems: Systems) -> None:
    assert shutil.which("strace") is not None, "strace is not installed: apt-get install strace"
    with tempfile.TemporaryDirectory(dir=place()) as folder:
        found = sweep(Path(folder), job, systems, SHARES.get(job, OTHERS))
    print(f"{job}: {found}")
    assert found.wrong == []
    assert found.tried > 2
    assert len(found.beyond) <= found.tried, f"the sweep does not reach what it counted: {found.beyond}"
