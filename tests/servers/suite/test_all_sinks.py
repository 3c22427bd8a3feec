"""One suite for all sinks that take whole epochs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from tests.servers.suite.system import SinkSystem
from tests.servers.suite.systems import SINKS

import eventide as et
from eventide.connectors.nats import sink as nats_sink
from eventide.connectors.postgres import sink as postgres_sink
from eventide.flow import INSTANT, EpochSink, EpochWriter, Opening

remote = pytest.mark.parametrize("system", [name for name, kind in SINKS.items() if kind.remote], indirect=True)
"""Those that can be away: not what lies in files of this process."""

COLUMNS: dict[str, pl.DataType] = {
    "id": pl.Int64(),
    "k": pl.String(),
    "x": pl.Float64(),
    "ok": pl.Boolean(),
    "at": INSTANT,
}


def frame(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Rows of id, text, number, truth and microseconds."""
    made = pl.DataFrame(list(rows), schema={**COLUMNS, "at": pl.Int64()}, orient="row")
    return made.with_columns(pl.col("at").cast(INSTANT))


EPOCHS = [
    frame((1, "a", 0.1, True, 0), (2, "ü \U0001f30d \\ \" ' \n\t", -1.5e300, False, 1_769_860_800_123_456)),
    frame(),
    frame((3, None, None, None, None), (2**63 - 1, "", 0.0, True, -1)),
    frame((-(2**63), "z", 2.5, False, 1)),
]


def shown(epochs: int) -> list[dict[str, Any]]:
    """What is visible once so many epochs were delivered."""
    whole = pl.concat(EPOCHS[:epochs]).with_columns(pl.col("at").cast(pl.Int64))
    return sorted(whole.to_dicts(), key=by_id)


def by_id(row: dict[str, Any]) -> int:
    return int(row["id"])


@pytest.fixture(scope="module", params=SINKS)
def system(request: pytest.FixtureRequest) -> Iterator[SinkSystem]:
    made = SINKS[request.param]()
    yield made
    made.close()


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A place that no other test has."""
    return str(request.node.name)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    for module in (nats_sink, postgres_sink):
        monkeypatch.setattr(module, "_WAITS_S", (0.05,) * 400)


def opened(system: SinkSystem, place: str) -> EpochWriter:
    sink = system.sink(place)
    assert isinstance(sink, EpochSink)
    return sink.open_epochs(Opening("late", COLUMNS, (), f"run of {place}"[:60]))


def visible(system: SinkSystem, place: str) -> list[dict[str, Any]]:
    return sorted(system.rows(place), key=by_id)


@pytest.mark.parametrize("before", [2, 3])
def test_every_epoch_is_visible_once_wherever_a_run_was_killed(system: SinkSystem, place: str, before: int) -> None:
    """Epoch 3 was decided; it had been delivered or not before the crash. Types, nulls and any text stay as they are."""
    writer = opened(system, place)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, EPOCHS[0])
    writer.deliver(2, EPOCHS[1])
    third = writer.stand()
    if before == 3:
        writer.deliver(3, EPOCHS[2])
    writer.close()
    for _ in range(2):
        writer = opened(system, place)
        writer.recover(3, EPOCHS[2], third)
        writer.close()
        assert visible(system, place) == shown(3)
    writer = opened(system, place)
    writer.recover(3, EPOCHS[2], third)
    writer.deliver(4, EPOCHS[3])
    writer.close()
    assert visible(system, place) == shown(4)


def test_a_large_row_arrives_whole(system: SinkSystem, place: str) -> None:
    writer = opened(system, place)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, frame((1, "ü" * 300_000, 1.0, True, 0)))
    writer.close()
    assert [len(row["k"]) for row in system.rows(place)] == [300_000]


@remote
def test_a_server_that_goes_away_in_the_middle_and_comes_back_has_every_row_once(
    system: SinkSystem, place: str
) -> None:
    writer = opened(system, place)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, EPOCHS[0])
    system.stop()
    back = threading.Thread(target=system.start)
    back.start()
    writer.deliver(2, EPOCHS[1])
    writer.deliver(3, EPOCHS[2])
    back.join()
    writer.deliver(4, EPOCHS[3])
    writer.close()
    assert visible(system, place) == shown(4)


@remote
def test_a_server_that_is_away_at_the_start_is_told_with_a_remedy(
    system: SinkSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (nats_sink, postgres_sink):
        monkeypatch.setattr(module, "_WAITS_S", (0.01,))
    with pytest.raises(et.SinkError, match=r"Check that the server runs|Is the broker running"):
        system.away().open("late", COLUMNS, ())


@remote
def test_a_wrong_password_is_told_without_it(system: SinkSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (nats_sink, postgres_sink):
        monkeypatch.setattr(module, "_WAITS_S", (0.01,))
    name, text = getattr(system, "secret", ("SUITE_PASSWORD", "hush"))
    monkeypatch.setenv("SUITE_USER", "me")
    monkeypatch.setenv(name, text)
    sink = system.refused()
    with pytest.raises(et.SinkError) as caught:
        sink.open("late", COLUMNS, ())
    assert "hush" not in f"{caught.value} {caught.value.__cause__} {sink!r}"
