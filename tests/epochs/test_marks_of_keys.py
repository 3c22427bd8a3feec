"""Idleness where keys close windows: a replay brings a log back where the windows of each key had closed then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from tests.epochs.test_marks import SECOND, Opened, Reading, Timetable

import eventide as et
from eventide.engine.epochs import Mark, StateFolder
from eventide.flow import INSTANT, Batch, LogSet, Position, ReadContext
from eventide.runners.embedded import Running
from eventide.testing import Crash, SimulatedDisk, TestClock


@dataclass(frozen=True)
class Device(Timetable):
    """A timetable whose rows are all of one device."""

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        return Opened([DeviceReading(self, context, int(positions.get(self.name, {}).get("offset") or 0))])


class DeviceReading(Reading):
    def read(self, rows_max: int) -> Batch | None:
        batch = super().read(rows_max)
        return None if batch is None else replace(batch, rows=batch.rows.with_columns(pl.lit("a").alias("device")))


COLUMNS = {"at": INSTANT, "device": pl.String()}
STEADY = Device("steady", [(second, second) for second in range(100)], COLUMNS)
BRIEF = Device("brief", [(0, 0), (1, 1), (20, 5)], COLUMNS)
"""It ends after twenty seconds, in the fifth: from then on the windows of the device close by the steady log alone."""
SILENT = Device("silent", [(0, 0), (60, 15), (61, 62)], COLUMNS)


def job(seen: list[pl.DataFrame]) -> et.Stream:
    steady, brief, silent = (et.Stream.from_source(log) for log in (STEADY, BRIEF, SILENT))
    timed = steady.union(brief, silent).event_time(
        "at", et.ascending(), clock=et.per_key("device", cap="90s"), max_future=None, idle_after="30s"
    )
    return timed.group_by("device").window(et.tumbling("10s")).agg(n=et.count()).write(et.call(seen.append))


def crashing_at(second: int) -> Callable[[Running], Callable[[], None]]:
    """Stops the machine when the steady log has come so far."""

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            assert running.pipeline.clocks is not None
            steady = running.pipeline.clocks.logs.get("steady")
            if steady is not None and steady.front >= second * SECOND:
                raise Crash

        return beat

    return observe


def test_a_replay_repeats_where_the_windows_of_each_key_had_closed() -> None:
    undisturbed: list[pl.DataFrame] = []
    whole = job(undisturbed).run(show=False, clock=TestClock())
    assert whole.late["at"].dt.epoch("s").to_list() == [15], (
        "the device's windows were closed up to the sixtieth second"
    )

    folder, seen = StateFolder(Path("/state"), SimulatedDisk()), list[pl.DataFrame]()
    with pytest.raises(Crash):
        job(seen).run(show=False, clock=TestClock(), state=folder, checkpoint_every="1h", observe=crashing_at(80))
    assert folder.epochs() == []
    again: list[pl.DataFrame] = []
    outcome = job(again).run(show=False, clock=TestClock(10_000 * SECOND), state=folder, checkpoint_every="1h")
    assert outcome.late.equals(whole.late)
    identity = ["window_start", "n"]
    assert pl.concat(again).select(identity).equals(pl.concat(undisturbed).select(identity))
    assert outcome.accounting == whole.accounting


def test_a_mark_of_an_older_version_does_not_say_what_had_ended() -> None:
    import msgspec

    old = b'{"number":1,"kind":"back","source":"s","log":"l","floor":5,"places":{"s":{"l":2}}}'
    assert msgspec.json.decode(old, type=Mark).over == {}
