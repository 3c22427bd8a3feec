"""The loop: reads the logs of a plan's sources, one batch after the other, and hands what comes out to the outlets.

Law: which log is read next and how large a batch is may depend on the wall clock and on speed; the answer does not
(semantics, section 3). Logs are read in step: the one whose watermark is furthest back comes first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.errors import TooManyBadRows
from eventide.flow import LogReader, LogSet, ReadContext
from eventide.instants import NO_WATERMARK
from eventide.plan import Plan

ROWS_FIRST = 16_384
ROWS_MOST = 524_288
_WAIT_US = 50_000
_BAD_ROWS_LOOKED_AT = 1_000


@dataclass
class _Lane:
    """One log being read, and the source it belongs to."""

    reader: LogReader
    source: int
    active_us: int
    done: bool = False
    idle: bool = False


@dataclass
class Loop:
    """Drives a pipeline from open sources until they end, or until `stop` is set.

    `take` gets what came out of every batch. `rows_max` fixes the size of batches; without it they grow from 16,384 to
    524,288 rows while the readers are ahead.
    """

    plan: Plan
    pipeline: Pipeline
    take: Callable[[Outputs], None]
    context: ReadContext = field(default_factory=ReadContext)
    rows_max: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    beat: Callable[[], None] = lambda: None

    def run(self) -> bool:
        """Read until all logs have ended (True) or `stop` is set (False)."""
        logs = [one.source.open(self.context, {}) for one in self.plan.inputs]
        lanes: list[_Lane] = []
        try:
            return self._drive(logs, lanes)
        finally:
            for opened in logs:
                opened.close()

    def _drive(self, logs: list[LogSet], lanes: list[_Lane]) -> bool:
        rows = self.rows_max or ROWS_FIRST
        while not self.stop.is_set():
            self._discover(logs, lanes)
            moved = self._round(lanes, rows)
            self.beat()
            if moved:
                rows = self.rows_max or min(rows * 2, ROWS_MOST)
                continue
            if all(lane.done for lane in lanes) and not any(opened.may_grow for opened in logs):
                self._end()
                return True
            self._notice_silence(lanes)
            rows = self.rows_max or ROWS_FIRST
            self.context.wake.clear()
            if not any(self._read(lane, rows) for lane in lanes if not lane.done):
                self.context.clock.wait(self.context.wake, _WAIT_US)
        return False

    def _discover(self, logs: list[LogSet], lanes: list[_Lane]) -> None:
        now_us = self.context.clock.now_us()
        for number, opened in enumerate(logs):
            for reader in opened.discover():
                lanes.append(_Lane(reader, number, now_us))
                self.pipeline.add_log(reader.log, number)

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
        batch = lane.reader.read(rows)
        if batch is None:
            if lane.reader.finished:
                lane.done = True
                self.take(self.pipeline.finish(lane.reader.log))
                return True
            return False
        lane.active_us, lane.idle = self.context.clock.now_us(), False
        self.take(self.pipeline.read_clock(lane.active_us))
        self.take(self.pipeline.process(batch, lane.source))
        self._check_share(lane.source)
        return True

    def _notice_silence(self, lanes: list[_Lane]) -> None:
        """Declare logs idle that have been silent for long enough, and let detection look at the clock."""
        self.take(self.pipeline.read_clock(self.context.clock.now_us()))
        now_us = self.context.clock.now_us()
        close = False
        for lane in lanes:
            settings = self.pipeline.event_time_of(lane.reader.log)
            if settings is None or settings.idle_after_us is None:
                continue
            close = close or settings.close_when_idle
            if not lane.done and not lane.idle and now_us - lane.active_us >= settings.idle_after_us:
                lane.idle = True
                self.take(self.pipeline.declare_idle(lane.reader.log))
        if close and self.pipeline.clocks is not None and self.pipeline.clocks.all_idle:
            self.take(self.pipeline.close_open_windows())

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
