"""Reading a log again, to find what happened at one of its events.

Law: lateness is decided by the events of a log alone, so one log is enough; what was refused then is refused again,
whatever the wall clock says now. No sink is opened and no clock of the run is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import polars as pl

from eventide.engine.clocks import Clock, clocks_for
from eventide.engine.columns import rows_schema
from eventide.engine.explanation.moment import Moment
from eventide.engine.keys import CODE, KeyTable, key_table
from eventide.engine.pipeline import Pipeline
from eventide.engine.preview import preview
from eventide.engine.steps.door import Door
from eventide.engine.steps.shape import shape
from eventide.engine.trace import Mark
from eventide.errors import EventideError
from eventide.flow import ARRIVAL, LOG, OFFSET, Batch, LogReader, ReadContext, Source
from eventide.plan import DEAD_LETTERS, Plan
from eventide.semantics.eventtime import KeyClock, Perfect

_ROWS = 262_144


@dataclass(frozen=True, slots=True)
class Mover:
    """The event with which a watermark reached an instant, the rows of its key columns, and whether it was the
    source's own assertion behind that event.
    """

    mark: Mark
    row: pl.DataFrame
    heartbeat: bool


@dataclass(frozen=True, slots=True)
class _Still:
    """A wall clock that stands at the moment that is asked about."""

    instant: int

    def now_us(self) -> int:
        return self.instant

    def wait(self, signal: threading.Event, timeout_us: int) -> None:
        """Nothing is waited for."""


def can_reread(plan: Plan) -> bool:
    """True when every source gives the same rows when it is read again."""
    return all(getattr(source, "readable_again", source.bounded) for source in _unpaced(plan))


class Rereading:
    """The logs of a moment's plan, read again one at a time."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        plan = moment.plan
        inputs = tuple(replace(one, source=source) for one, source in zip(plan.inputs, _unpaced(plan), strict=True))
        settings = plan.event_time
        self._refused = moment.outputs.get(DEAD_LETTERS)
        if settings is not None and self._refused is not None:
            settings = replace(settings, max_future_us=None, max_age_us=None)
        query = plan.aggregate
        if query is not None and query.lateness.policy == "drop":
            query = replace(query, lateness=replace(query.lateness, policy="side"))
        self.plan = replace(
            plan, inputs=inputs, event_time=settings, aggregate=query, finish=(), branches=(), writes=()
        )
        newest = [trace.last.arrival_us for trace in moment.trace.logs.values() if trace.last is not None]
        self._context = ReadContext(_Still(max((one for one in newest if one is not None), default=0)))

    def pipeline(self) -> Pipeline:
        """A fresh pipeline for the log."""
        made = Pipeline.of(self.plan)
        if self.plan.event_time is not None and isinstance(self.plan.event_time.strategy, Perfect):
            preview(self.plan, made, self._context)
        return made

    def batches(self, log: str, *, whole: bool = False) -> Iterator[tuple[int, Batch]]:
        """The batches of a log with the number of its source; `whole` with the rows that the guards refused then."""
        if not can_reread(self.plan):
            raise EventideError(f"log {log!r} cannot be read again: its source gives each row once")
        for number, one in enumerate(self.plan.inputs):
            opened = one.source.open(self._context, {})
            try:
                for reader in opened.discover():
                    if reader.log == log:
                        for batch in _read(reader, one.source):
                            yield number, batch if whole else self._let_in(batch)
                        return
            finally:
                opened.close()
        raise EventideError(f"there is no log {log!r} in this stream: it has {self._logs()}")

    def pieces(self, log: str, pipeline: Pipeline | None, alone: int | None = None) -> Iterator[tuple[int, Batch]]:
        """The batches cut where the log was given a floor (which the pipeline's clock gets) and around one offset."""
        floors, given = dict(self.moment.trace.of_log(log).floors), self.moment.trace.given_to(log)
        cuts = sorted({*floors, *given.get_column(OFFSET), *(() if alone is None else (alone, alone + 1))})
        for number, batch in self.batches(log):
            for piece in _cut(batch, cuts):
                first = piece.rows.get_column(OFFSET)[0] if piece.rows.height else None
                if pipeline is not None and pipeline.clocks is not None and first is not None:
                    clock = pipeline.clocks.add(log)
                    clock.floor = max(clock.floor, floors.get(first, clock.floor))
                    self._give_to_keys(clock, pipeline.clocks.keys, given.filter(pl.col(OFFSET) == first))
                yield number, piece

    def _give_to_keys(self, clock: Clock, keys: KeyTable | None, given: pl.DataFrame) -> None:
        """Give the clocks of single keys the floors that they came back at; codes are those of the run."""
        run = self.moment.pipeline.clock_keys
        if not given.height or keys is None or run is None:
            return
        codes = keys.encode(run.decode(given.get_column(CODE)))
        floors = pl.DataFrame([codes.alias(CODE), given.get_column("floor")]).group_by(CODE).max()
        clock.keys.grow(keys.size)
        own = clock.keys.watermarks.gather(floors.get_column(CODE))
        higher = pl.select(pl.max_horizontal(own, floors.get_column("floor"))).to_series()
        clock.keys.watermarks = clock.keys.watermarks.clone().scatter(floors.get_column(CODE), higher)

    def mover(self, log: str, key: pl.DataFrame | None, instant: int, before: int | None = None) -> Mover | None:
        """The event with which the watermark of a clock reached an instant, looked for in front of an offset.

        `key` has the column of the clock's key, for key clocks. None when the log never brings it there.
        """
        settings = self.plan.event_time
        assert settings is not None
        start = self.pipeline()
        clocks, code = start.clocks, 0
        assert clocks is not None
        if isinstance(settings.clock, KeyClock) and key is not None:
            table = key_table((settings.clock.key,), rows_schema(self.plan))
            code = int(table.encode(key)[0])
            clocks = clocks_for(settings, table, (settings.clock.key,))
        door = Door(settings, clocks, start.windows.reach_us if start.windows is not None else 0)
        start.door = door
        for number, piece in self.pieces(log, start):
            rows = self.shaped(piece, number)
            if before is not None:
                rows = rows.filter(pl.col(OFFSET) < before)
            admitted, _ = door.admit(log, rows, piece.heartbeat)
            asked = (pl.Series([code], dtype=pl.Int64), pl.Series([instant], dtype=pl.Int64))
            place = admitted.progress.place(*asked)[0]
            if place is not None and place >= 0 and admitted.rows.height:
                at = min(place, admitted.rows.height - 1)
                row = admitted.rows[at : at + 1]
                mark = mark_of(row, admitted.times[at], known=_has_arrivals(self.plan.inputs[number].source))
                return Mover(mark, row, place > at)
            if before is not None and piece.rows.height and piece.rows.get_column(OFFSET)[-1] >= before:
                return None
        return None

    def shaped(self, batch: Batch, number: int) -> pl.DataFrame:
        """The rows of a batch as they come to the door."""
        return shape(shape(batch.rows, self.plan.inputs[number].steps), self.plan.before)

    def _let_in(self, batch: Batch) -> Batch:
        if self._refused is None or not batch.rows.height:
            return batch
        mine = self._refused.filter(pl.col(LOG) == batch.log).get_column(OFFSET)
        return replace(batch, rows=batch.rows.filter(~pl.col(OFFSET).is_in(mine.implode())))

    def _logs(self) -> str:
        return ", ".join(repr(log) for log in self.moment.logs) or "none"


def mark_of(row: pl.DataFrame, time_us: Any, *, known: bool) -> Mark:
    """The mark of a frame of one row; `known` tells whether its arrival time is that of the first reading."""
    arrival = row.get_column(ARRIVAL).cast(pl.Int64)[0] if known else None
    return Mark(int(row.get_column(OFFSET)[0]), int(time_us), arrival)


def _has_arrivals(source: Any) -> bool:
    """True when arrival times are part of the log, not the moments of reading."""
    if hasattr(source, "source"):
        return _has_arrivals(source.source)
    return bool(getattr(source, "records_arrivals", getattr(source, "arrival", ...) is not None))


def _unpaced(plan: Plan) -> list[Source]:
    return [getattr(one.source, "unpaced", one.source) for one in plan.inputs]


def _read(reader: LogReader, source: Source) -> Iterator[Batch]:
    while not reader.finished:
        batch = reader.read(_ROWS)
        if batch is not None:
            yield batch
        elif not source.bounded:
            return


def _cut(batch: Batch, cuts: list[int]) -> Iterator[Batch]:
    """The batch in pieces that begin at these offsets; refused rows go with the first, a heartbeat with the last."""
    offsets = batch.rows.get_column(OFFSET)
    places = sorted({int(offsets.search_sorted(cut)) for cut in cuts} - {0, offsets.len()})
    bounds = [0, *places, offsets.len()]
    for number, (low, high) in enumerate(pairwise(bounds)):
        first, last = number == 0, number == len(bounds) - 2
        yield replace(
            batch,
            rows=batch.rows.slice(low, high - low),
            refused=batch.refused if first else batch.refused.clear(),
            heartbeat=batch.heartbeat if last else None,
            idle_floor=batch.idle_floor if first else None,
        )
