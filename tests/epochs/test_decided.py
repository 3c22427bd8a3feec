"""Sources that let go of what was taken hear of it when the run cannot ask for it again, and not before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.epochs.test_resume import Ticking, stop_after

import eventide as et
from eventide.connectors.memory.frame import FrameSource
from eventide.engine.epochs import StateFolder
from eventide.flow import Acknowledged, Batch, LogReader, LogSet, Position, ReadContext
from eventide.testing import SimulatedDisk, TestClock

ROWS = pl.DataFrame({"n": range(100)})
LOG = "queue"


@dataclass
class Heard:
    """What a reader was told, and what the world looked like at that moment."""

    state: StateFolder | None = None
    told: list[tuple[int, int]] = field(default_factory=list)
    closed: bool = False

    def tell(self, position: Position, oldest: Position) -> None:
        assert not self.closed
        self.told.append((int(position["offset"] or 0), int(oldest["offset"] or 0)))
        if self.state is not None:
            kept = [self.state.read(epoch).positions(LOG)[LOG]["offset"] for epoch in self.state.epochs()]
            assert (kept[-1], kept[0]) == self.told[-1]


@dataclass
class Taking:
    """A reader of a frame that can be told."""

    inner: LogReader
    heard: Heard
    log: str = LOG

    @property
    def finished(self) -> bool:
        return self.inner.finished

    def read(self, rows_max: int) -> Batch | None:
        return self.inner.read(rows_max)

    def position(self) -> Position:
        return self.inner.position()

    def decided(self, position: Position, oldest: Position) -> None:
        self.heard.tell(position, oldest)

    def close(self) -> None:
        self.heard.closed = True


@dataclass(frozen=True)
class Queue:
    """A frame whose reader wants to know."""

    heard: Heard = field(compare=False)
    name: str = LOG
    single_log: bool = True
    bounded: bool = True

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return dict(ROWS.schema)

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        logs = FrameSource(ROWS, LOG).open(context, positions)
        taking: LogReader = Taking(logs.reader, self.heard)
        assert isinstance(taking, Acknowledged)
        logs.reader = taking
        self.heard.closed = False
        return logs


class Refusing:
    """A sink that fails when it is shown an epoch or has to commit."""

    name = "refusing"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Refusing:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Rows are taken."""

    def commit(self) -> None:
        raise et.SinkError("no room")

    close = abort = lambda self: None


def folder(kept: int = 2) -> StateFolder:
    return StateFolder(Path("/state"), SimulatedDisk(), kept=kept)


def run(heard: Heard, stream: et.Stream | None = None, **settings: Any) -> et.Outcome:
    made = stream or et.Stream.from_source(Queue(heard))
    outcome: et.Outcome = made.run(show=False, rows_max=10, clock=Ticking(), **settings)
    return outcome


def test_a_reader_hears_of_each_epoch_when_its_checkpoint_is_there_and_of_the_oldest_that_is_kept() -> None:
    state = folder()
    heard = Heard(state)
    run(heard, state=state, checkpoint_every="1us")
    assert heard.told == [(10, 10), *((end, end - 10) for end in range(20, 101, 10)), (100, 100)]
    assert heard.closed


def test_behind_a_restart_the_oldest_checkpoint_is_still_that_of_the_run_before() -> None:
    state = folder(kept=3)
    run(Heard(state), state=state, checkpoint_every="1us", observe=stop_after(4))
    heard = Heard(state)
    run(heard, state=state, checkpoint_every="1us", observe=stop_after(3))
    assert heard.told == [(50, 30), (60, 40), (70, 50)]


def test_a_damaged_checkpoint_does_not_count_as_one_to_go_back_to() -> None:
    state = folder(kept=3)
    run(Heard(state), state=state, checkpoint_every="1us", observe=stop_after(4))
    state.disk.write(state.checkpoints / "00000003" / "manifest.json", b"{}")
    heard = Heard()
    run(heard, state=state, checkpoint_every="1us", observe=stop_after(1))
    assert heard.told == [(50, 40)]


def test_a_run_that_stops_before_its_first_epoch_is_due_still_ends_with_one() -> None:
    state = folder()
    heard = Heard(state)
    run(heard, state=state, checkpoint_every="1h", observe=stop_after(3))
    assert heard.told == [(30, 30)]


def test_without_state_a_reader_hears_of_what_the_sinks_have_committed() -> None:
    heard = Heard()
    run(heard, commit_every="1us")
    assert list(dict.fromkeys(heard.told)) == [(end, end) for end in range(10, 101, 10)]
    assert heard.closed


@pytest.mark.parametrize("keeping", [{"commit_every": "1us"}, {"state": "folder", "checkpoint_every": "1us"}])
def test_nothing_is_let_go_of_when_a_sink_fails(keeping: dict[str, Any]) -> None:
    heard = Heard()
    refused = et.Stream.from_source(Queue(heard)).write(Refusing())
    with pytest.raises(et.SinkError, match="no room"):
        run(heard, refused, **(keeping | ({"state": folder()} if "state" in keeping else {})))
    assert heard.told == []
    assert heard.closed


def test_a_replayed_source_hears_it_too() -> None:
    state = folder()
    heard = Heard(state)
    run(heard, et.replay(et.Stream.from_source(Queue(heard)), speed=math.inf), state=state, checkpoint_every="1us")
    assert heard.told[-1] == (100, 100)


def test_sources_opened_before_one_that_fails_are_closed() -> None:
    class Away(Queue):
        def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
            raise et.SourceError("the server is away")

    heard = Heard()
    both = et.Stream.from_source(Queue(heard)).union(et.Stream.from_source(Away(Heard(), name="other")))
    with pytest.raises(et.SourceError, match="away"):
        both.run(show=False, clock=TestClock())
    assert heard.closed
