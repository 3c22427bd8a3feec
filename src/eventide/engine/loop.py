"""The loop: reads the logs of a plan's sources, one batch after the other, and hands what comes out to the outlets.

Law: which log is read next and how large a batch is may depend on the wall clock and on speed; the answer does not
(semantics, section 3). Logs are read in step: the one whose watermark is furthest back comes first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.errors import TooManyBadRows
from eventide.flow import Acknowledged, Batch, GappedReader, LogReader, LogSet, Position, ReadContext
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import Plan

if TYPE_CHECKING:
    from eventide.engine.epochs.marks import Mark, Marks, Places

Positions = Mapping[str, Mapping[str, Position]]
"""Positions by the source's name and log."""

ROWS_FIRST = 16_384
ROWS_MOST = 524_288
_GROWTH = 8
"""A batch may have so many times the rows of the one before while readers are ahead: small ones cost more a row."""
_WAIT_US = 50_000
_BAD_ROWS_LOOKED_AT = 1_000
_NOTES_MOST = 1_000

logger = logging.getLogger("eventide.sources")


@dataclass
class _Lane:
    """One log being read, and the source it belongs to."""

    reader: LogReader
    source: int
    active_us: int
    done: bool = False
    idle: bool = False
    floor: int | None = None
    """Set while the next batch has to repeat a recorded come-back at this watermark."""


@dataclass
class Loop:
    """Drives a pipeline from open sources until they end, or until `stop` is set.

    `take` gets what came out of every batch; `leave` is called at the end, with whether all logs have ended, while the
    sources are still open. `rows_max` fixes the size of batches; without it they grow from 16,384 to
    524,288 rows while the readers are ahead. `starts` are the positions at which to begin, by the source's number and
    log. With `marks`, what the wall clock decides about silent logs is recorded under the sources' `names`, and what
    an earlier run recorded is repeated.
    """

    plan: Plan
    pipeline: Pipeline
    take: Callable[[Outputs], None]
    context: ReadContext = field(default_factory=ReadContext)
    rows_max: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    beat: Callable[[], None] = lambda: None
    leave: Callable[[bool], None] = lambda finished: None
    starts: Mapping[int, Mapping[str, Position]] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    marks: Marks | None = None
    notes: dict[str, str] = field(default_factory=dict)
    """What sources had to tell, each sentence once, with the first log that said it."""
    _lanes: list[_Lane] = field(default_factory=list)
    _waiting: list[_Lane] = field(default_factory=list)
    """Logs that were discovered, and that the next of an earlier run's marks does not know."""

    def run(self) -> bool:
        """Read until all logs have ended (True) or `stop` is set (False)."""
        logs: list[LogSet] = []
        try:
            for number, one in enumerate(self.plan.inputs):
                logs.append(one.source.open(self.context, self.starts.get(number, {})))
            finished = self._drive(logs, self._lanes)
            self.leave(finished)
        finally:
            for opened in logs:
                opened.close()
        return finished

    def positions(self) -> dict[str, dict[str, Position]]:
        """Where each log's next batch begins."""
        found: dict[str, dict[str, Position]] = {}
        for lane in self._lanes:
            found.setdefault(self._name(lane), {})[lane.reader.log] = lane.reader.position()
        return found

    def decided(self, ends: Positions, oldest: Positions) -> None:
        """Tell readers that want to know that the run will not ask again for what stands in front of `ends`, nor,
        whatever is damaged, in front of `oldest`.
        """
        for lane in self._lanes:
            name, log = self._name(lane), lane.reader.log
            if isinstance(lane.reader, Acknowledged) and log in ends.get(name, {}):
                lane.reader.decided(ends[name][log], oldest.get(name, {}).get(log, {"offset": 0}))

    def _drive(self, logs: list[LogSet], lanes: list[_Lane]) -> bool:
        rows = self.rows_max or ROWS_FIRST
        self._discover(logs)
        self._end_lost()
        while not self.stop.is_set():
            self._discover(logs)
            self._repeat()
            moved = self._round(lanes, rows)
            self.beat()
            if moved:
                rows = self.rows_max or min(rows * _GROWTH, ROWS_MOST)
                continue
            whole = all(lane.done for lane in lanes) and not self._waiting
            if whole and not any(opened.may_grow for opened in logs):
                self._end()
                return True
            self._notice_silence(lanes)
            rows = self.rows_max or ROWS_FIRST
            self.context.wake.clear()
            if not any(self._read(lane, rows) for lane in lanes if not lane.done):
                self.context.clock.wait(self.context.wake, _WAIT_US)
        return False

    def _discover(self, logs: list[LogSet]) -> None:
        now_us = self.context.clock.now_us()
        for number, opened in enumerate(logs):
            self._waiting += [_Lane(reader, number, now_us) for reader in opened.discover()]
        self._admit()

    def _admit(self, repeated: Mark | None = None) -> None:
        """Begin to read the logs that were discovered. One that appears in mid-run starts where windows have closed:
        where the others stood is recorded, unless it is what a mark has just repeated.
        """
        waiting, self._waiting = self._waiting, []
        for lane in waiting:
            clocks, log = self.pipeline.clocks, lane.reader.log
            known = clocks is None or log in clocks.logs
            if not known and self.marks is not None and not self.marks.knows(self._name(lane), log):
                self._waiting.append(lane)
                continue
            self.pipeline.add_log(log, lane.source)
            if (clocks := self.pipeline.clocks) is not None:
                lane.idle = clocks.logs[log].idle
                told = repeated is not None and self._is(lane, repeated)
                if not known and not told and clocks.logs[log].floor > NO_WATERMARK:
                    self._record("found", lane, self._places(), self.pipeline.stream_watermark)
            self._lanes.append(lane)

    def _end_lost(self) -> None:
        """Logs that an earlier run knew and that are not there any more have ended."""
        known = [] if self.pipeline.clocks is None else list(self.pipeline.clocks.logs)
        there = {lane.reader.log for lane in self._lanes}
        for log in known:
            if log not in there:
                self.take(self.pipeline.finish(log))

    def _round(self, lanes: list[_Lane], rows: int) -> bool:
        """Read the log that is furthest behind; if it has nothing now, the next one."""
        for lane in sorted((lane for lane in lanes if not lane.done), key=self._progress):
            if self._read(lane, rows):
                return True
        return False

    def _progress(self, lane: _Lane) -> int:
        clocks = self.pipeline.clocks
        return NO_WATERMARK if clocks is None else clocks.logs[lane.reader.log].reached

    def _read(self, lane: _Lane, rows: int) -> bool:
        rows = self._room(lane, rows)
        if not rows:
            return False
        places = self._places() if lane.idle and self.marks is not None else {}
        batch = self._batch(lane, rows)
        if batch is None:
            if lane.reader.finished:
                lane.done, lane.floor = True, None
                self.take(self.pipeline.finish(lane.reader.log))
                return True
            return False
        if lane.floor is not None:
            batch = replace(batch, idle_floor=lane.floor)
        now_us = self.context.clock.now_us()
        self.take(self.pipeline.read_clock(now_us))
        self._hear(batch)
        heard, floor = self._heard(lane), self.pipeline.stream_watermark
        outputs = self.pipeline.process(batch, lane.source)
        if self._heard(lane) != heard:
            if lane.idle and lane.floor is None:
                self._record("back", lane, places, floor)
            lane.active_us, lane.idle, lane.floor = now_us, False, None
        self.take(outputs)
        self._check_share(lane.source)
        return True

    def _heard(self, lane: _Lane) -> int:
        """How often something came of a log that ends a silence; rows that are refused or filtered do not."""
        clocks = self.pipeline.clocks
        return 0 if clocks is None else clocks.logs[lane.reader.log].heard

    def _hear(self, batch: Batch) -> None:
        """Say what a batch has to tell, once."""
        for note in batch.notes:
            if note not in self.notes and len(self.notes) < _NOTES_MOST:
                self.notes[note] = f"{batch.log}: {note}"
                logger.warning("%s", self.notes[note])

    def _batch(self, lane: _Lane, rows: int) -> Batch | None:
        """The next rows; in a log with gaps none beyond the next of an earlier run's marks."""
        if self.marks is not None and self.marks.pending and isinstance(lane.reader, GappedReader):
            place = self.marks.pending[0].places.get(self._name(lane), {}).get(lane.reader.log)
            if place is not None:
                return lane.reader.read_before(place, rows)
        return lane.reader.read(rows)

    def _room(self, lane: _Lane, rows: int) -> int:
        """How many rows may be read while an earlier run's marks are repeated."""
        if self.marks is None:
            return rows
        if lane.floor is None and any(other.floor is not None for other in self._lanes):
            return 0
        return self.marks.room(self._name(lane), lane.reader.log, _offset(lane), rows)

    def _notice_silence(self, lanes: list[_Lane]) -> None:
        """Declare logs idle that have been silent for long enough, and let detection look at the clock."""
        self.take(self.pipeline.read_clock(self.context.clock.now_us()))
        if self.marks is not None and self.marks.pending:
            return
        now_us = self.context.clock.now_us()
        close = False
        for lane in lanes:
            settings = self.pipeline.event_time_of(lane.reader.log)
            if settings is None or settings.idle_after_us is None:
                continue
            close = close or settings.close_when_idle
            if not lane.done and not lane.idle and now_us - lane.active_us >= settings.idle_after_us:
                lane.idle = True
                outputs = self.pipeline.declare_idle(lane.reader.log)
                self._record("idle", lane, self._places(), self.pipeline.stream_watermark)
                self.take(outputs)
        if close and self.pipeline.clocks is not None and self.pipeline.clocks.all_idle:
            before = self.pipeline.stream_watermark
            outputs = self.pipeline.close_open_windows()
            if self.pipeline.stream_watermark != before:
                self._record("close", lanes[0], self._places(), self.pipeline.stream_watermark)
            self.take(outputs)

    def _record(
        self, kind: Literal["idle", "back", "close", "found"], lane: _Lane, places: Places, floor: int | None
    ) -> None:
        """Keep what the wall clock has decided, before anything that follows from it comes out."""
        if self.marks is not None:
            from eventide.engine.epochs.marks import Mark

            assert floor is not None
            over: dict[str, list[str]] = {}
            for one in self._lanes:
                if one.done:
                    over.setdefault(self._name(one), []).append(one.reader.log)
            number = self.marks.last + 1
            self.marks.record(Mark(number, kind, self._name(lane), lane.reader.log, floor, places, over))

    def _repeat(self) -> None:
        """Do once more what an earlier run recorded for the places where the logs are now."""
        while self.marks is not None and self.marks.pending and self.marks.reached(self._places(ended=END_OF_TIME)):
            mark = self.marks.pending[0]
            for one in self._lanes:
                if not one.done and one.reader.log in mark.over.get(self._name(one), ()):
                    one.done = True
                    self.take(self.pipeline.finish(one.reader.log))
            self.marks.repeated()
            self._admit(mark)
            lane = next((one for one in self._lanes if self._is(one, mark)), None)
            if lane is None:
                continue
            match mark.kind:
                case "idle":
                    lane.idle = True
                    self.take(self.pipeline.declare_idle(mark.log))
                case "close":
                    self.take(self.pipeline.close_open_windows())
                case "back":
                    lane.floor = None if lane.done else mark.floor
                    return

    def _is(self, lane: _Lane, mark: Mark) -> bool:
        return lane.reader.log == mark.log and self._name(lane) == mark.source

    def _name(self, lane: _Lane) -> str:
        return self.names.get(lane.source, str(lane.source))

    def _places(self, ended: int | None = None) -> Places:
        """How far each log was read; those that have ended are as far as any mark where `ended` says so."""
        places: Places = {}
        for lane in self._lanes:
            place = _offset(lane) if ended is None or not lane.done else ended
            places.setdefault(self._name(lane), {})[lane.reader.log] = place
        return places

    def _check_share(self, source: int) -> None:
        limit = getattr(getattr(self.plan.inputs[source].source, "schema", None), "bad_share_max", None)
        total = self.pipeline.accounting.total
        if limit is None or total.received < _BAD_ROWS_LOOKED_AT:
            return
        if total.dead_letters > limit * total.received:
            share = total.dead_letters / total.received
            raise TooManyBadRows(
                f"{total.dead_letters:,} of {total.received:,} rows ({share:.1%}) were refused, "
                f"more than bad_share_max={limit}: "
                "look at the dead letters, mend the source or raise the limit"
            )

    def _end(self) -> None:
        """Everything was read: what is still open closes."""
        self.take(self.pipeline.end())


def _offset(lane: _Lane) -> int:
    return int(lane.reader.position().get("offset") or 0)
