"""Servers that are slow: what waits for them does not heap up in memory, and none of it is lost."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.servers.suite.apart import EPOCH_BYTES, ROWS, WARM, texts
from tests.servers.suite.system import System
from tests.servers.suite.systems import SINKS, SOURCES, able

import eventide as et

EPOCHS = WARM + 8
BYTES_PER_S = 5 * EPOCH_BYTES
GROWTH_MOST = 3 * EPOCH_BYTES
"""Eight epochs pass a link that takes five a second at most. If what passes stayed, that would be eight epochs, or more where
rows are larger on their way; what there is once in each shape is there when a process is warm."""


@pytest.fixture(autouse=True)
def patient(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.be_patient(monkeypatch, (0.05,) * 400)


def peaks(how: str, stream: et.Stream, system: System) -> list[int]:
    """The most memory that a process has had behind each epoch, with the link slow when it is warm."""
    plan = stream.to_yaml()
    command = [sys.executable, "-m", "tests.servers.suite.apart", how, str(EPOCHS), str(plan.count("\n"))]
    found = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(plan)
        process.stdin.flush()
        try:
            for line in process.stdout:
                found.append(int(line))
                if len(found) == WARM:
                    system.link.slow(BYTES_PER_S)
                process.stdin.write("\n")
                process.stdin.flush()
        finally:
            system.link.heal()
    assert process.returncode == 0
    return found


def growth(found: list[int]) -> int:
    """By how much the peak grew when it was warm."""
    assert len(found) == EPOCHS
    return found[-1] - found[WARM - 1]


@able(SINKS, "whole epochs", "write through faults")
def test_rows_for_a_slow_server_do_not_heap_up_and_all_arrive(system: System, place: str) -> None:
    begin = system.link.passed_bytes
    nothing = et.read_csv("nothing.csv", schema={"id": int})
    found = peaks("write", nothing.write(system.sink(place)), system)
    assert system.link.passed_bytes - begin > EPOCHS * EPOCH_BYTES // 2, "it came by the link"
    assert growth(found) < GROWTH_MOST
    assert sorted(row["id"] for row in system.rows(place)) == list(range(EPOCHS * ROWS))


@able(SOURCES, "read through faults")
def test_rows_of_a_slow_server_do_not_heap_up_and_all_come(system: System, place: str) -> None:
    for number in range(EPOCHS):
        drawn = enumerate(texts(number), number * ROWS)
        system.put(place, [{"id": n, "k": text, "x": 0.5, "ok": True, "at": None} for n, text in drawn])
    found = peaks("read", system.stream(place), system)
    assert growth(found) < GROWTH_MOST
