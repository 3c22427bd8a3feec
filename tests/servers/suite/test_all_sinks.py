"""One suite for all sinks that take whole epochs; what one cannot do its system says."""

from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pytest
from tests.servers.suite.apart import COLUMNS
from tests.servers.suite.system import System
from tests.servers.suite.systems import SINKS, able

import eventide as et
from eventide.flow import INSTANT, EpochSink, EpochWriter, Opening


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


@pytest.fixture(autouse=True)
def patient(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    system.be_patient(monkeypatch, (0.05,) * 400)


def opened(system: System, place: str) -> EpochWriter:
    sink = system.sink(place)
    assert isinstance(sink, EpochSink)
    return sink.open_epochs(Opening("late", COLUMNS, (), f"run of {place}"[:60]))


def visible(system: System, place: str) -> list[dict[str, Any]]:
    return sorted(system.rows(place), key=by_id)


@able(SINKS, "whole epochs")
@pytest.mark.parametrize("before", [2, 3])
def test_every_epoch_is_visible_once_wherever_a_run_was_killed(system: System, place: str, before: int) -> None:
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


@able(SINKS, "take epochs back")
def test_what_is_newer_than_the_checkpoint_that_is_used_is_taken_back(system: System, place: str) -> None:
    """The checkpoint of epoch 4 is damaged, so that of epoch 3 is used."""
    writer = opened(system, place)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, EPOCHS[0])
    writer.deliver(2, EPOCHS[1])
    third = writer.stand()
    writer.deliver(3, EPOCHS[2])
    writer.deliver(4, EPOCHS[0])
    writer.close()
    writer = opened(system, place)
    writer.recover(3, EPOCHS[2], third)
    assert visible(system, place) == shown(3)
    writer.deliver(4, EPOCHS[3])
    writer.close()
    assert visible(system, place) == shown(4)


@able(SINKS)
def test_rows_of_a_run_without_a_state_folder_arrive(system: System, place: str) -> None:
    writer = system.sink(place).open("late", COLUMNS, ())
    for rows in EPOCHS:
        writer.write(rows)
        writer.commit()
    found = visible(system, place) if "whole epochs" in system.cannot else None
    writer.close()
    assert (visible(system, place) if found is None else found) == shown(4)


@able(SINKS, "whole epochs")
def test_a_large_row_arrives_whole(system: System, place: str) -> None:
    writer = opened(system, place)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, frame((1, "ü" * 300_000, 1.0, True, 0)))
    writer.close()
    assert [len(row["k"]) for row in system.rows(place)] == [300_000]


@able(SINKS, "write through a restart")
def test_a_server_that_goes_away_in_the_middle_and_comes_back_has_every_row_once(system: System, place: str) -> None:
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


@able(SINKS, "write through faults")
def test_a_network_with_faults_costs_no_row_and_doubles_none(system: System, place: str) -> None:
    """Epochs of 40 rows, with the link cut, held, reset with the answers lost, and slow while they are delivered."""
    epochs = [frame(*((40 * n + i, "x" * 2_000, i / 4, True, i) for i in range(40))) for n in range(5)]
    writer = opened(system, place)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, epochs[0])
    done = threading.Event()

    def disturb() -> None:
        done.wait(0.3)
        system.link.reset()
        system.link.heal()

    try:
        for number, begin in enumerate((system.link.cut, system.link.hold, lose_answers(system), slow(system)), 2):
            begin()
            healing = threading.Thread(target=disturb)
            healing.start()
            writer.deliver(number, epochs[number - 1])
            healing.join()
    finally:
        done.set()
        system.link.heal()
    writer.close()
    assert [row["id"] for row in visible(system, place)] == list(range(200))


def lose_answers(system: System) -> Any:
    return lambda: system.link.hold(answers_only=True)


def slow(system: System) -> Any:
    """40 rows of 2 kB take about a second."""
    return lambda: system.link.slow(100_000)


@able(SINKS, "away at the start")
def test_a_server_that_is_away_at_the_start_is_told_with_a_remedy(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.be_patient(monkeypatch, (0.01,))
    with pytest.raises(et.SinkError, match=r"Check|Mend that|Is the broker running"):
        tried(system.away_sink())


@able(SINKS, "a wrong password")
def test_a_wrong_password_is_told_without_it(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.be_patient(monkeypatch, (0.01,))
    for name, text in system.secrets.items():
        monkeypatch.setenv(name, text)
    sink = system.refused_sink()
    with pytest.raises(et.SinkError) as caught:
        tried(sink)
    assert "hush" not in f"{caught.value} {caught.value.__cause__} {sink!r}"


def tried(sink: Any) -> None:
    """Send something."""
    writer = sink.open("late", COLUMNS, ())
    try:
        writer.write(EPOCHS[0])
        writer.commit()
    finally:
        writer.abort()
