"""The pipeline: one plan at work on batches, one after the other, without any reading or writing of its own.

Law: what comes out is a function of the batches put in; the whole of what it remembers is in `snapshot`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from eventide.engine.accounting import Account, Accounting
from eventide.engine.aggregates import TIME
from eventide.engine.clocks import (
    Clocks,
    KeyedProgress,
    MappedProgress,
    Observation,
    Progress,
)
from eventide.engine.columns import in_order_of_first
from eventide.engine.detection import Detection, Released
from eventide.engine.feeding import feed_ordered, late_of, narrow, shown_at
from eventide.engine.fixed import hold
from eventide.engine.front import Front, behind_front, came_of, marked
from eventide.engine.keys import KeyTable, all_keys
from eventide.engine.means import ALL_OF_IT, Means
from eventide.engine.memory import KeyLimit, Memory
from eventide.engine.monitor import Measured
from eventide.engine.outputs import Outputs, put, refuse
from eventide.engine.shapes import OutputShapes
from eventide.engine.snapshot import Snapshot
from eventide.engine.steps.door import Admitted, Door
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.lateness import late_rows
from eventide.engine.steps.rows import RowSteps
from eventide.engine.steps.shape import shape
from eventide.engine.steps.sides import SideTables
from eventide.engine.steps.windows import Shown, WindowStep
from eventide.engine.trace import Trace
from eventide.flow import Batch, WallClock
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import ALERTS, LATE, Plan
from eventide.semantics.eventtime import EventTime


@dataclass
class Pipeline:
    """One plan at work. Build it with `Pipeline.of(plan)`."""

    plan: Plan
    schema: dict[str, pl.DataType]
    accounting: Accounting = field(default_factory=Accounting)
    door: Door | None = None
    windows: WindowStep | None = None
    keys: KeyTable | None = None
    clock_keys: KeyTable | None = None
    lookups: SideTables = field(default_factory=lambda: SideTables(()))
    steps: RowSteps = field(default_factory=lambda: RowSteps((), SideTables(()), {}, None))
    detection: Detection | None = None
    trace: Trace = field(default_factory=Trace)
    front: Front | None = None
    limit: KeyLimit | None = None
    """How many keys windows may know, where they are others than those of clocks."""

    memory: Memory | None = None
    relay: Callable[[Outputs], None] | None = None
    """Takes results that come out in many pieces at once, so that they need not wait for each other in memory."""

    @classmethod
    def of(cls, plan: Plan, workers: int = 1, clock: WallClock | None = None, means: Means = ALL_OF_IT) -> Pipeline:
        """The pipeline of a checked plan. `workers` spreads the keys over so many states in this process; `means` are
        what it may use of the machine; side inputs are read again by the wall clock.
        """
        from eventide.engine.building import pipeline_of

        return pipeline_of(plan, workers, clock, means)

    @cached_property
    def shapes(self) -> OutputShapes:
        """The steps that make each output."""
        results = self.windows.result_schema if self.windows is not None else None
        return OutputShapes(self.plan, results, self.detection, self.lookups)

    @property
    def reach_us(self) -> int:
        """How far windows and detection may look ahead of an event."""
        windows = self.windows.reach_us if self.windows is not None else 0
        return windows + (self.detection.reach_us if self.detection is not None else 0)

    @property
    def _ordered(self) -> bool:
        """True when detection puts events in order before they go on."""
        return self.detection is not None and self.detection.orders

    @property
    def clocks(self) -> Clocks | None:
        """The clocks of all logs; None without event time."""
        return None if self.door is None else self.door.clocks

    @property
    def stream_watermark(self) -> int | None:
        """The instant that the stream has reached, in microseconds; None without event time."""
        return None if self.door is None else self.door.clocks.stream

    def measured(self) -> Measured | None:
        """How far events came behind so far; None without event time."""
        if self.door is None or self.door.monitor is None:
            return None
        return self.door.monitor.measured(self.door.clocks)

    def process(self, batch: Batch, source: int = 0) -> Outputs:
        """Take one batch of the source with this number in the plan."""
        outputs = self._process(batch, source)
        if self.memory is not None:
            hold(self, self.memory)
        return outputs

    def _process(self, batch: Batch, source: int) -> Outputs:
        outputs: Outputs = {}
        if self.door is None:
            account = self.accounting.of(batch.log)
            stages = self.steps.head(batch.log, self._received(outputs, batch, source), NO_WATERMARK, account)
            shaped = self.steps.tail(batch.log, stages[-1], account)
            account.on_time += shaped.height
            self.shapes.give_rows(outputs, self.steps, stages, shaped)
            self._drain(outputs)
            return outputs
        if batch.idle_floor is not None:
            self._move(outputs, self.door.clocks.declare_idle(batch.log, batch.idle_floor))
        admitted = self.admit(outputs, batch, source)
        if self.front is not None:
            account = self.accounting.of(batch.log)
            admitted = self.front.pass_on(batch.log, admitted, self._reached(batch.log), account)
        released = self._hear(outputs, batch.log, admitted)
        if released is not None and self._ordered:
            self._give_released(outputs, released, self._shown(admitted.progress, admitted))
        elif self.windows is None:
            stages, shaped = self.pass_on(outputs, batch.log, admitted)
            self.shapes.give_rows(outputs, self.steps, stages, shaped)
            self._drain(outputs)
        else:
            self._window(outputs, batch.log, admitted)
        self.shapes.give_alerts(outputs, released, admitted.progress.least)
        return outputs

    def _received(self, outputs: Outputs, batch: Batch, source: int) -> pl.DataFrame:
        """The rows of a batch behind their source's own steps."""
        account = self.accounting.of(batch.log)
        account.received += batch.received
        account.dead_letters += batch.refused.height
        refuse(outputs, batch.log, batch.refused)
        rows = shape(batch.rows, self.plan.inputs[source].steps)
        account.filtered += batch.rows.height - rows.height
        return in_order_of_first(self.plan, source, rows)

    def admit(self, outputs: Outputs, batch: Batch, source: int) -> Admitted:
        """Take a batch up to and through the door."""
        assert self.door is not None
        received = self._received(outputs, batch, source)
        rows = shape(received, self.plan.before)
        self.accounting.of(batch.log).filtered += received.height - rows.height
        admitted, refused = self.door.admit(batch.log, rows, batch.heartbeat)
        self.trace.see(batch.log, self.door.clocks.add(batch.log), admitted, batch.heartbeat)
        self.accounting.of(batch.log).dead_letters += refused.height
        refuse(outputs, batch.log, refused)
        return admitted

    def _within(self, outputs: Outputs, log: str, rows: pl.DataFrame, came: pl.DataFrame) -> pl.DataFrame:
        """The rows whose keys windows may know; the others are dead letters, as they `came`."""
        beyond = None if self.limit is None else self.limit.refused(rows)
        if beyond is None or self.limit is None:
            return rows
        refused = self.limit.as_refused(came[rows.get_column(PLACE).filter(beyond)])
        refuse(outputs, log, refused)
        self.accounting.of(log).dead_letters += refused.height
        return rows.filter(~beyond)

    def times_of(self, batch: Batch, source: int) -> pl.Series:
        """The event times of the rows of a batch that the guards would admit, without taking them in."""
        assert self.door is not None
        rows = shape(shape(batch.rows, self.plan.inputs[source].steps), self.plan.before)
        return self.door.admissible(rows)

    def add_log(self, log: str, source: int) -> None:
        """A log of the source with this number was found."""
        if self.door is not None:
            self.trace.note(log, self.door.clocks.add(log))

    def event_time_of(self, log: str) -> EventTime | None:
        """The event-time settings that a log is under."""
        return self.plan.event_time

    def end(self) -> Outputs:
        """Everything was read: without any log the end of each log closed nothing."""
        return self.close_all(END_OF_TIME) if self.clocks is not None and not self.clocks.logs else {}

    def finish(self, log: str) -> Outputs:
        """A log has ended."""
        return self._stand(self.door.clocks.finish(log), relay=True) if self.door else {}

    def declare_idle(self, log: str) -> Outputs:
        """A log is silent."""
        return self._stand(self.door.clocks.declare_idle(log)) if self.door else {}

    def close_all(self, instant: int) -> Outputs:
        """Close every window that ends at or before an instant."""
        return self._stand(self.door.clocks.close_all(instant)) if self.door else {}

    def close_open_windows(self) -> Outputs:
        """Close every window that has an event: all logs are idle and the plan asks for it."""
        if self.door is None:
            return {}
        front = max((clock.front for clock in self.door.clocks.logs.values()), default=NO_WATERMARK)
        return {} if front == NO_WATERMARK else self.close_all(self.settled(front))

    def settled(self, instant: int) -> int:
        """By when the last of what an event at an instant can bring about has come out."""
        windows = instant if self.windows is None else self.windows.settled(instant)
        return windows + (self.detection.delay_us if self.detection is not None else 0)

    def _stand(self, seen: Observation, *, relay: bool = False) -> Outputs:
        outputs: Outputs = {}
        self._move(outputs, seen, relay=relay)
        return outputs

    def read_clock(self, now_us: int) -> Outputs:
        """The wall clock was read: what only it can tell (silence in processing time)."""
        outputs: Outputs = {}
        for frame in self.detection.clock_read(now_us) if self.detection is not None else ():
            put(outputs, ALERTS, frame)
        return outputs

    def _move(self, outputs: Outputs, seen: Observation, *, relay: bool = False) -> None:
        released = self._release()
        if released is not None and self._ordered:
            self._give_released(outputs, released, self._shown(seen.progress))
        elif self.windows is not None:
            self._give_results(outputs, self.windows.on_progress(self._progress(seen.progress)), relay=relay)
        self.shapes.give_alerts(outputs, released, seen.progress.least)

    def _progress(self, progress: Progress) -> Progress:
        """The progress by the codes of the windows' keys."""
        if not isinstance(progress, KeyedProgress) or self.keys is self.clock_keys:
            return progress
        assert self.keys is not None
        assert self.clock_keys is not None
        return MappedProgress(progress, self.clock_keys.encode(all_keys(self.keys)))

    def pass_on(self, outputs: Outputs, log: str, admitted: Admitted) -> tuple[list[pl.DataFrame], pl.DataFrame]:
        """Without windows a row behind its watermark is late. The others: in stages, and behind all steps."""
        account = self.accounting.of(log)
        stages = self.steps.head(log, marked(admitted), self._reached(log), account)
        is_late = pl.col(TIME) < pl.col(BEFORE)
        late = stages[-1].filter(is_late).select(PLACE, window_start=TIME, window_end=TIME)
        self._give_late(outputs, log, came_of(admitted, stages[0]), late, account)
        on_time = [stage.filter(~is_late) for stage in stages]
        shaped = self.steps.tail(log, on_time[-1], account)
        account.on_time += shaped.height
        self._drain(outputs)
        return on_time, shaped

    def _hear(self, outputs: Outputs, log: str, admitted: Admitted) -> Released | None:
        """Give detection the events that it shall see in order, and take what it sees now."""
        if self.detection is None or self.detection.events is None:
            return None
        for frame in self.detection.heard(admitted.rows):
            put(outputs, ALERTS, frame)
        on_time = admitted.times >= admitted.before
        self.detection.events.add(log, admitted.rows.filter(on_time), admitted.times.filter(on_time))
        if self._ordered:
            account, rows = self.accounting.of(log), marked(admitted)
            late = rows.filter(~on_time).select(PLACE, window_start=TIME, window_end=TIME)
            self._give_late(outputs, log, came_of(admitted, rows), late, account)
            account.on_time += rows.height - late.height
        return self._release()

    def _release(self) -> Released | None:
        if self.detection is None or self.detection.events is None or self.stream_watermark is None:
            return None
        return self.detection.events.release(self.stream_watermark)

    def _shown(self, progress: Progress, admitted: Admitted | None = None) -> Shown | None:
        """What tells how complete windows behind the order are; None where nobody asks."""
        if self.windows is None or self.windows.shares is None or self.keys is None or self.detection is None:
            return None
        behind = shown_at(progress, self.detection.delay_us)
        steps = behind_front(self.plan).after
        return Shown(behind, None if admitted is None else late_of(self.keys, marked(admitted), steps), own=False)

    def _give_released(self, outputs: Outputs, released: Released, shown: Shown | None) -> None:
        """Events that detection has put in order go on, as one log without disorder."""
        for log, number in released.dropped.items():
            account = self.accounting.of(log)
            account.on_time, account.filtered = account.on_time - number, account.filtered + number
        if self.windows is None:
            self.shapes.give_ordered(outputs, released)
            return
        assert self.keys is not None
        self._give_results(outputs, feed_ordered(self.windows, self.keys, released, shown))

    def _reached(self, log: str) -> int:
        assert self.door is not None
        return self.door.clocks.logs[log].reached

    def _give_late(self, outputs: Outputs, log: str, came: pl.DataFrame, late: pl.DataFrame, account: Account) -> None:
        """Late rows by their places, with the bounds of the last window of each, counted and shown."""
        account.late += late.height
        dropped = self.plan.aggregate is not None and self.plan.aggregate.lateness.policy == "drop"
        if late.height and not dropped:
            rows = came[late.get_column(PLACE)].hstack(late.drop(PLACE))
            put(outputs, LATE, late_rows(self.plan, log, rows))

    def _window(self, outputs: Outputs, log: str, admitted: Admitted) -> None:
        account = self.accounting.of(log)
        assert self.windows is not None
        assert self.keys is not None
        stages = self.steps.head(log, marked(admitted), self._reached(log), account)
        inside = self.steps.tail(log, stages[-1], account)
        inside = self._within(outputs, log, inside, came_of(admitted, stages[0]))
        rows = narrow(self.windows, self.keys, inside, pl.lit(log))
        judged = self.windows.on_batch(log, rows, self._progress(admitted.progress))
        account.on_time += judged.on_time
        account.corrected += judged.corrected
        self._give_late(outputs, log, came_of(admitted, stages[0]), judged.late, account)
        self._give_results(outputs, judged.results, relay=True)

    def _give_results(self, outputs: Outputs, frames: Iterable[pl.DataFrame], *, relay: bool = False) -> None:
        if self.relay is None or not relay or self.detection is not None:
            self.shapes.give_results(outputs, frames)
            self._drain(outputs)
            return
        for frame in frames:
            self.shapes.give_results(outputs, [frame])
            self._drain(outputs)
            self.relay(outputs)
            outputs.clear()

    def _drain(self, outputs: Outputs) -> None:
        """What side inputs give out beside rows."""
        for log, refused in self.lookups.drain(outputs):
            account = self.accounting.of(log)
            account.received += refused.height
            account.dead_letters += refused.height
            refuse(outputs, log, refused)

    def come_home(self) -> None:
        """Bring here what other processes remember, before those end."""
        if self.windows is not None:
            self.windows.come_home()

    def output_schema(self, name: str) -> Mapping[str, pl.DataType]:
        """The columns of an output, known before anything runs."""
        return self.shapes.schema_of(name)

    def side_versions(self) -> pl.DataFrame:
        """The versions of side inputs used so far."""
        return self.lookups.versions()

    def snapshot(self, *, in_pieces: bool = False) -> Snapshot:
        """Everything that the pipeline remembers. `in_pieces` is for who writes it at once, before anything changes."""
        from eventide.engine.saving import save

        return save(self, in_pieces=in_pieces)

    def restore(self, saved: Snapshot) -> None:
        """Go on from a snapshot of the same plan, made with any number of workers. The pipeline must be fresh."""
        from eventide.engine.saving import load

        load(self, saved)
