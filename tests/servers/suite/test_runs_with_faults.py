"""Whole runs from a system into itself, while its network has faults and while it is killed and started again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.servers.suite.system import Row, System, micros
from tests.servers.suite.systems import SYSTEMS, able
from tests.servers.suite.test_all_sources import ended_after

import eventide as et
from eventide import col

ROUND_TRIPS = {name: SYSTEMS[name] for name in ("kafka", "nats", "parquet on S3", "postgres", "rabbitmq")}
ROWS = 1_200
BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
_APART_BYTES = 2_000
_LASTS_S = 0.3


@pytest.fixture(autouse=True)
def patient(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    system.be_patient(monkeypatch, (0.05,) * 2_000)


def readings() -> list[Row]:
    """Of three sensors, ten a second; the last one closes all windows before it."""
    made = [
        {
            "id": n,
            "k": "abc"[n % 3],
            "x": n / 4,
            "ok": True,
            "at": (BEGIN + timedelta(milliseconds=100 * n)).isoformat(),
        }
        for n in range(ROWS)
    ]
    return [*made, {**made[-1], "id": ROWS, "k": "end", "at": (BEGIN + timedelta(days=1)).isoformat()}]


def expected(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Key, begin, number and sum of each ten seconds."""
    windows: dict[tuple[str, int], list[float]] = {}
    for row in rows[:-1]:
        at = micros(row["at"]) or 0
        windows.setdefault((row["k"], at - at % 10_000_000), []).append(row["x"])
    return sorted((*key, len(found), sum(found)) for key, found in windows.items())


@contextmanager
def disturbed(system: System, faults: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Faults one behind the other, with some kilobytes between them that pass. All have been when it ends."""
    done, left = threading.Event(), list(faults)

    def disturb() -> None:
        seen = system.link.passed_bytes
        while left and not done.wait(0.005):
            if system.link.passed_bytes - seen >= _APART_BYTES:
                left.pop(0)()
                seen = system.link.passed_bytes

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        yield
    finally:
        done.set()
        disturber.join()
        system.link.heal()
    assert not left, "the run ended before all faults had been"


def run(system: System, place: str, folder: Path) -> None:
    stream = system.stream(place, follow=system.follows).event_time("at", et.bounded("5s"), max_future=None)
    sums = stream.group_by("k").window(et.tumbling("10s")).agg(n=et.count(), total=col("x").sum())
    out = sums.write(system.sink(f"{place} out")).run(
        show=False,
        state=folder / "state",
        rows_max=20,
        checkpoint_every="1us",
        observe=ended_after(ROWS + 1, ROWS + 1),
    )
    assert out.accounting.total.received == ROWS + 1
    assert out.accounting.total.closes


def results(system: System, place: str) -> list[tuple[Any, ...]]:
    found = [(row["k"], row["window_start"], row["n"], row["total"]) for row in system.rows(f"{place} out")]
    return sorted(row for row in found if row[0] != "end")


@able(ROUND_TRIPS)
def test_a_network_with_faults_changes_nothing_in_the_answer(system: System, place: str, tmp_path: Path) -> None:
    link = system.link

    def lasting(begin: Callable[[], None]) -> Callable[[], None]:
        def fault() -> None:
            begin()
            threading.Event().wait(_LASTS_S)
            link.reset()
            link.heal()

        return fault

    rows = readings()
    system.put(place, rows)
    begins = (link.cut, lambda: link.hold(answers_only=True), link.reset, link.hold, lambda: link.slow(100_000))
    with disturbed(system, [lasting(one) for one in begins]):
        run(system, place, tmp_path)
    assert results(system, place) == expected(rows)


@able(ROUND_TRIPS)
def test_a_server_that_is_killed_again_and_again_changes_nothing_in_the_answer(
    system: System, place: str, tmp_path: Path
) -> None:
    def killed() -> None:
        system.kill()
        system.start()

    rows = readings()
    system.put(place, rows)
    with disturbed(system, [killed, killed]):
        run(system, place, tmp_path)
    assert results(system, place) == expected(rows)
