"""Patience with stores: when one is asked again, what is said, and what ends it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import pytest

from eventide.connectors import patience
from eventide.connectors.patience import Patience, StoreAway, source_fault
from eventide.errors import SourceError


@dataclass
class Wall:
    """A clock that moves when it is told to, or waited for."""

    time_us: int = 1_000_000

    def now_us(self) -> int:
        return self.time_us

    def wait(self, signal: threading.Event, timeout_us: int) -> None:
        self.time_us += timeout_us


class Store:
    """Answers from attempt number `back` on."""

    def __init__(self, back: int) -> None:
        self.back, self.asked = back, 0

    def look(self) -> str:
        self.asked += 1
        if self.asked < self.back:
            raise StoreAway("nobody is there")
        return "rows"


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WAITS_S", (1, 2))


def test_a_store_is_asked_again_when_it_is_time_and_said_once_to_be_away_and_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wall, store = Wall(), Store(back=3)
    asking = Patience("s3://bucket/rows", wall)
    found = []
    with caplog.at_level(logging.WARNING, "eventide.stores"):
        for _ in range(8):
            found.append((asking.attempt(store.look), store.asked))
            wall.time_us += 500_000
    # at once, after one second, after two more
    assert [asked for _, asked in found] == [1, 1, 2, 2, 2, 2, 3, 4]
    assert [one for one, _ in found] == [None] * 6 + ["rows"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "s3://bucket/rows: its store does not answer, waiting for it: nobody is there",
        "s3://bucket/rows: its store answers again",
    ]


def test_a_store_that_stays_away_is_told_when_patience_has_ended() -> None:
    wall, store = Wall(), Store(back=99)
    with pytest.raises(StoreAway, match="nobody is there"):
        Patience("rows", wall).insist(store.look)
    assert (store.asked, wall.time_us) == (3, 1_000_000 + 3_000_000)


def test_an_answer_makes_patience_new() -> None:
    wall = Wall()
    asking = Patience("rows", wall)
    for _ in range(3):  # two failures each: the third in a row would be told
        store = Store(back=3)
        assert asking.insist(store.look) == "rows"


@pytest.mark.parametrize(
    ("fault", "away"),
    [
        (ConnectionRefusedError("refused"), True),
        (TimeoutError("too late"), True),
        (OSError(5, "Could not connect"), True),
        (FileNotFoundError("no such object"), False),
        (PermissionError("not for you"), False),
        (OSError(5, "Unable to locate credentials"), False),
        (ValueError("no Parquet"), False),
    ],
)
def test_only_what_waiting_may_mend_is_waited_for(fault: Exception, away: bool) -> None:
    assert isinstance(source_fault("in words", fault), StoreAway) is away
    assert type(source_fault("in words", fault, distant=False)) is SourceError
