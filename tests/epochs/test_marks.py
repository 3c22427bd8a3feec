"""Idleness that the wall clock declared: recorded before anything follows from it, and repeated by a replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide.engine.epochs import Mark, Marks, StateFolder
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogReader, LogSet, Position, ReadContext
from eventide.runners.embedded import Running
from eventide.testing import Crash, SimulatedDisk, TestClock

SECOND = 1_000_000


@dataclass(frozen=True)
class Timetable:
    """A log whose rows are there from a wall time on: (wall second, event second; None: to be refused)."""

    name: str
    entries: Sequence[tuple[int, int | None]] = field(hash=False)
    columns: Mapping[str, pl.DataType] = field(default_factory=lambda: {"at": INSTANT}, hash=False)
    single_log: bool = True
    bounded: bool = True

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        return Opened([Reading(self, context, int(positions.get(self.name, {}).get("offset") or 0))])


@dataclass(frozen=True)
class Growing:
    """Logs that are found at a wall second each."""

    tables: Sequence[tuple[int, Timetable]] = field(hash=False)
    name: str = "growing"
    columns: Mapping[str, pl.DataType] = field(default_factory=lambda: {"at": INSTANT}, hash=False)
    single_log: bool = False
    bounded: bool = True

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        return Finding(
            context, [(wall, Reading(one, context, _offset_in(positions, one))) for wall, one in self.tables]
        )


def _offset_in(positions: Mapping[str, Position], table: Timetable) -> int:
    return int(positions.get(table.name, {}).get("offset") or 0)


@dataclass
class Finding:
    context: ReadContext
    hidden: list[tuple[int, Reading]]

    @property
    def may_grow(self) -> bool:
        return bool(self.hidden)

    def discover(self) -> Sequence[LogReader]:
        now = self.context.clock.now_us() // SECOND
        found = [reader for wall, reader in self.hidden if wall <= now]
        self.hidden = [(wall, reader) for wall, reader in self.hidden if wall > now]
        return found

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Opened:
    readers: list[LogReader]
    may_grow: bool = False

    def discover(self) -> Sequence[LogReader]:
        given, self.readers = self.readers, []
        return given

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Reading:
    source: Timetable
    context: ReadContext
    next: int

    @property
    def log(self) -> str:
        return self.source.name

    @property
    def finished(self) -> bool:
        return self.next >= len(self.source.entries)

    def read(self, rows_max: int) -> Batch | None:
        now = self.context.clock.now_us() // SECOND
        there = [event for wall, event in self.source.entries[self.next : self.next + rows_max] if wall <= now]
        if not there:
            return None
        seconds = [None if event is None else event * SECOND for event in there]
        at = pl.Series(seconds, dtype=pl.Int64).cast(INSTANT)
        offsets = pl.int_range(self.next, self.next + len(there), dtype=pl.Int64, eager=True)
        self.next += len(there)
        return Batch(self.log, pl.DataFrame({"at": at, OFFSET: offsets, ARRIVAL: at}))

    def position(self) -> Position:
        return {"offset": self.next}

    def close(self) -> None:
        """Nothing is held."""


STEADY = Timetable("steady", [(second, second) for second in range(100)])
SILENT = Timetable("silent", [(0, 0), (1, 1), (60, 3), (60, 42), (61, 62), (62, 63)])
"""Silent for a minute; then come a reading of the third second, one of the 42nd, and new ones."""


def job(
    seen: list[pl.DataFrame], *, close_when_idle: bool = False, logs: Sequence[Timetable] = (STEADY, SILENT)
) -> et.Stream:
    streams = [et.Stream.from_source(log) for log in logs]
    both = streams[0] if len(streams) == 1 else streams[0].union(streams[1])
    timed = both.event_time("at", et.bounded("1s"), max_future=None, idle_after="5s", close_when_idle=close_when_idle)
    return timed.window(et.tumbling("10s")).agg(n=et.count()).write(et.call(seen.append))


def crashing_at(second: int) -> Callable[[Running], Callable[[], None]]:
    """Stops the machine at a wall time."""

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            watermark = running.pipeline.stream_watermark
            if watermark is not None and watermark >= second * SECOND:
                raise Crash

        return beat

    return observe


def test_a_replay_repeats_what_the_wall_clock_had_declared() -> None:
    undisturbed: list[pl.DataFrame] = []
    whole = job(undisturbed).run(show=False, clock=TestClock())
    assert whole.late["at"].dt.epoch("s").to_list() == [3, 42], "the silent log came back behind the steady one"

    folder, seen = StateFolder(Path("/state"), SimulatedDisk()), list[pl.DataFrame]()
    with pytest.raises(Crash):
        job(seen).run(show=False, clock=TestClock(), state=folder, checkpoint_every="1h", observe=crashing_at(80))
    assert (folder.epochs(), len(folder.disk.names(folder.marks))) == ([], 2)
    again: list[pl.DataFrame] = []
    outcome = job(again).run(show=False, clock=TestClock(10_000 * SECOND), state=folder, checkpoint_every="1h")
    assert outcome.late.equals(whole.late)
    assert pl.concat(again).equals(pl.concat(undisturbed))
    assert pl.concat(again).head(pl.concat(seen).height).equals(pl.concat(seen)), "what was shown is not contradicted"
    assert outcome.accounting == whole.accounting


BROKEN = Timetable("broken", [(0, 0), *((second, None) for second in range(1, 70)), (70, None), (70, 3), (71, 72)])
"""For more than a minute nothing but rows that are refused."""


@pytest.mark.parametrize("rows", [1, 16])
def test_refused_rows_do_not_keep_a_log_awake_and_a_replay_says_the_same(rows: int) -> None:
    undisturbed: list[pl.DataFrame] = []
    logs = (STEADY, BROKEN)
    whole = job(undisturbed, logs=logs).run(show=False, clock=TestClock(), rows_max=16)
    assert whole.late["at"].dt.epoch("s").to_list() == [3], "the windows had closed without the broken log"
    assert whole.accounting.total.dead_letters == 70

    folder = StateFolder(Path("/state"), SimulatedDisk())
    with pytest.raises(Crash):
        job([], logs=logs).run(
            show=False, clock=TestClock(), state=folder, checkpoint_every="1h", observe=crashing_at(85)
        )
    assert [mark.kind for mark in Marks(folder.disk, folder.marks, 0).pending] == ["idle", "back"]
    again: list[pl.DataFrame] = []
    outcome = job(again, logs=logs).run(
        show=False, clock=TestClock(10_000 * SECOND), state=folder, checkpoint_every="1h", rows_max=rows
    )
    assert outcome.late.equals(whole.late)
    assert pl.concat(again).equals(pl.concat(undisturbed))
    assert outcome.accounting == whole.accounting


def test_without_the_marks_a_replay_would_judge_differently() -> None:
    outcome = job([]).run(show=False, clock=TestClock(10_000 * SECOND))
    assert outcome.late.height == 0


NEW = Timetable("new", [(40, 3), (41, 44), (80, 81)])
"""A log that is found in the fortieth second, with a reading of the third."""
FOUND = Growing([(0, STEADY), (40, NEW)])


def job_of_found(seen: list[pl.DataFrame]) -> et.Stream:
    timed = et.Stream.from_source(FOUND).event_time("at", et.bounded("1s"), max_future=None)
    return timed.window(et.tumbling("10s")).agg(n=et.count()).write(et.call(seen.append))


def test_a_log_found_in_mid_run_is_found_at_the_same_place_by_a_replay() -> None:
    undisturbed: list[pl.DataFrame] = []
    whole = job_of_found(undisturbed).run(show=False, clock=TestClock())
    assert whole.late["at"].dt.epoch("s").to_list() == [3], "its windows had closed when the log was found"

    folder = StateFolder(Path("/state"), SimulatedDisk())
    with pytest.raises(Crash):
        job_of_found([]).run(
            show=False, clock=TestClock(), state=folder, checkpoint_every="1h", observe=crashing_at(70)
        )
    [mark] = Marks(folder.disk, folder.marks, 0).pending
    assert (mark.kind, mark.log, mark.places) == ("found", "new", {"growing": {"steady": 40}})
    again: list[pl.DataFrame] = []
    outcome = job_of_found(again).run(show=False, clock=TestClock(10_000 * SECOND), state=folder, checkpoint_every="1h")
    assert outcome.late.equals(whole.late)
    assert pl.concat(again).equals(pl.concat(undisturbed))
    assert outcome.accounting == whole.accounting


def test_a_log_that_lost_rows_does_not_hold_up_a_replay() -> None:
    folder = StateFolder(Path("/state"), SimulatedDisk())
    with pytest.raises(Crash):
        job([]).run(show=False, clock=TestClock(), state=folder, checkpoint_every="1h", observe=crashing_at(80))
    shorter = Timetable("silent", SILENT.entries[:1])
    outcome = job([], logs=(STEADY, shorter)).run(
        show=False, clock=TestClock(10_000 * SECOND), state=folder, checkpoint_every="1h"
    )
    assert outcome.accounting.total.received == len(STEADY.entries) + 1


def test_windows_that_closed_because_all_was_silent_stay_closed() -> None:
    table = Timetable("silent", [(0, 0), (1, 1), (2, 12), (60, 13), (61, 40)])
    logs = [table]
    first: list[pl.DataFrame] = []
    whole = job(first, close_when_idle=True, logs=logs).run(show=False, clock=TestClock())
    assert whole.late["at"].dt.epoch("s").to_list() == [13], "its window was closed in the silence"

    folder = StateFolder(Path("/state"), SimulatedDisk())
    with pytest.raises(Crash):
        job([], close_when_idle=True, logs=logs).run(
            show=False, clock=TestClock(), state=folder, checkpoint_every="1h", observe=crashing_at(38)
        )
    again: list[pl.DataFrame] = []
    outcome = job(again, close_when_idle=True, logs=logs).run(
        show=False, clock=TestClock(10_000 * SECOND), state=folder, checkpoint_every="1h"
    )
    assert outcome.late.equals(whole.late)
    assert pl.concat(again).equals(pl.concat(first))


def test_a_calendar_that_closed_in_a_silence_takes_the_next_day() -> None:
    """The days are over, not all days to come."""
    day = 86_400
    table = Timetable("silent", [(0, 10), (1, 20), (60, 30), (61, day + 5), (200, day + 6)])
    timed = et.Stream.from_source(table).event_time(
        "at", et.ascending(), max_future=None, idle_after="5s", close_when_idle=True
    )
    counted = timed.window(et.tumbling("1d", timezone="UTC")).agg(n=et.count())
    out = counted.run(show=False, clock=TestClock())
    assert out.late["at"].dt.epoch("s").to_list() == [30, day + 6], "each silence closed the day before it"
    assert out.results["n"].to_list() == [2, 1]


def test_marks_behind_every_checkpoint_go() -> None:
    folder = StateFolder(Path("/state"), SimulatedDisk(), kept=1)
    job([]).run(show=False, clock=TestClock(), state=folder, checkpoint_every="1s")
    assert folder.disk.names(folder.marks) == []


def test_a_damaged_mark_is_refused() -> None:
    disk = SimulatedDisk()
    Marks(disk, Path("/m"), 0).record(Mark(1, "idle", "s", "l", 5, {"s": {"l": 2}}))
    [name] = disk.names(Path("/m"))
    whole = disk.read(Path("/m") / name)
    assert [mark.floor for mark in Marks(disk, Path("/m"), 0).pending] == [5]
    for place in range(len(whole)):
        disk.write(Path("/m") / name, whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(et.CheckpointError, match="restore it from a copy|Restore it from a copy"):
            Marks(disk, Path("/m"), 0)
