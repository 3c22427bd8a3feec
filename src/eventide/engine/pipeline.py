"""The pipeline: one plan at work on batches, one after the other, without any reading or writing of its own.

Law: what comes out is a function of the batches put in; the whole of what it remembers is in `snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property

import msgspec
import polars as pl

from eventide.engine.accounting import Account, Accounting
from eventide.engine.aggregates import TIME
from eventide.engine.clocks import (
    Clocks,
    KeyedProgress,
    MappedProgress,
    Observation,
    Progress,
    clocks_for,
    dump_clocks,
    load_clocks,
)
from eventide.engine.detection import Detection, Released, detection_of
from eventide.engine.feeding import feed_ordered, narrow
from eventide.engine.keys import KeyTable, dump_keys, key_table, load_keys
from eventide.engine.outputs import Outputs, OutputShapes, input_schema, put
from eventide.engine.snapshot import Snapshot
from eventide.engine.steps.door import Admitted, Door
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.lateness import late_rows
from eventide.engine.steps.shape import shape, shaped_schema
from eventide.engine.steps.windows import WindowStep, window_step
from eventide.flow import LOG, Batch
from eventide.instants import NO_WATERMARK
from eventide.plan import ALERTS, DEAD_LETTERS, LATE, Plan
from eventide.semantics.eventtime import KeyClock


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
    detection: Detection | None = None

    @classmethod
    def of(cls, plan: Plan, workers: int = 1) -> Pipeline:
        """The pipeline of a checked plan. `workers` spreads the keys over so many independent states."""
        made = cls(plan, rows_schema(plan))
        if plan.event_time is None:
            return made
        clock, query = plan.event_time.clock, plan.aggregate
        if isinstance(clock, KeyClock):
            made.clock_keys = key_table((clock.key,), made.schema)
        made.detection = detection_of(plan, made.schema)
        if query is not None:
            inside = shaped_schema(made.schema, plan.after)
            same = isinstance(clock, KeyClock) and query.keys == (clock.key,)
            made.keys = made.clock_keys if same else key_table(query.keys, inside)
            assert made.keys is not None
            made.windows = window_step(plan, inside, made.keys, workers)
        group = query.keys if query is not None and not made._ordered else ()
        clocks = clocks_for(plan.event_time, made.clock_keys, group)
        reach_us = made.windows.reach_us if made.windows is not None else 0
        reach_us += made.detection.reach_us if made.detection is not None else 0
        made.door = Door(plan.event_time, clocks, reach_us)
        return made

    @cached_property
    def shapes(self) -> OutputShapes:
        """The steps that make each output."""
        results = self.windows.result_schema if self.windows is not None else None
        return OutputShapes(self.plan, self.schema, results, self.detection)

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

    def process(self, batch: Batch, source: int = 0) -> Outputs:
        """Take one batch of the source with this number in the plan."""
        outputs: Outputs = {}
        account = self.accounting.of(batch.log)
        account.received += batch.received
        account.dead_letters += batch.refused.height
        _refuse(outputs, batch.log, batch.refused)
        raw = shape(batch.rows, self.plan.inputs[source].steps)
        rows = shape(raw, self.plan.before)
        account.filtered += batch.rows.height - rows.height
        if self.door is None:
            account.on_time += rows.height
            self.shapes.give_rows(outputs, raw, rows)
            return outputs
        if batch.idle_floor is not None:
            self._move(outputs, self.door.clocks.declare_idle(batch.log, batch.idle_floor))
        admitted, refused = self.door.admit(batch.log, rows, batch.heartbeat)
        account.dead_letters += refused.height
        _refuse(outputs, batch.log, refused)
        released = self._hear(outputs, batch.log, admitted, account)
        if released is not None and self._ordered:
            self._give_released(outputs, released)
        elif self.windows is None:
            self._pass(outputs, batch.log, admitted, account)
        else:
            self._window(outputs, batch.log, admitted, account)
        self.shapes.give_alerts(outputs, released, admitted.progress.least)
        return outputs

    def times_of(self, batch: Batch, source: int) -> pl.Series:
        """The event times of the rows of a batch that the guards would admit, without taking them in."""
        assert self.door is not None
        rows = shape(shape(batch.rows, self.plan.inputs[source].steps), self.plan.before)
        return self.door.admissible(rows)

    def finish(self, log: str) -> Outputs:
        """A log has ended."""
        return self._stand(self.door.clocks.finish(log)) if self.door else {}

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
        fronts = [clock.front for clock in self.door.clocks.logs.values()]
        reach_us = self.windows.reach_us if self.windows is not None else 0
        reach_us += self.detection.delay_us if self.detection is not None else 0
        return self.close_all(max(fronts, default=NO_WATERMARK) + reach_us)

    def _stand(self, seen: Observation) -> Outputs:
        outputs: Outputs = {}
        self._move(outputs, seen)
        return outputs

    def read_clock(self, now_us: int) -> Outputs:
        """The wall clock was read: what only it can tell (silence in processing time)."""
        outputs: Outputs = {}
        for frame in self.detection.clock_read(now_us) if self.detection is not None else ():
            put(outputs, ALERTS, frame)
        return outputs

    def _move(self, outputs: Outputs, seen: Observation) -> None:
        released = self._release()
        if released is not None and self._ordered:
            self._give_released(outputs, released)
        elif self.windows is not None:
            self.shapes.give_results(outputs, self.windows.on_progress(self._progress(seen.progress)))
        self.shapes.give_alerts(outputs, released, seen.progress.least)

    def _progress(self, progress: Progress) -> Progress:
        """The progress by the codes of the windows' keys."""
        if not isinstance(progress, KeyedProgress) or self.keys is self.clock_keys:
            return progress
        assert self.keys is not None
        assert self.clock_keys is not None
        every = pl.int_range(0, self.keys.size, dtype=pl.Int64, eager=True)
        return MappedProgress(progress, self.clock_keys.encode(self.keys.decode(every)))

    def _pass(self, outputs: Outputs, log: str, admitted: Admitted, account: Account) -> None:
        """A stream without windows: a row behind its watermark is late, the others are the results."""
        on_time = self._in_front(outputs, log, admitted, account)
        shaped = shape(on_time, self.plan.after)
        account.filtered += on_time.height - shaped.height
        account.on_time += shaped.height
        self.shapes.give_rows(outputs, on_time, shaped)

    def _in_front(self, outputs: Outputs, log: str, admitted: Admitted, account: Account) -> pl.DataFrame:
        """The rows in front of their watermark; the others are late."""
        is_late = admitted.times < admitted.before
        late = admitted.rows.with_columns(
            admitted.before.alias(BEFORE), admitted.times.alias("window_start"), admitted.times.alias("window_end")
        ).filter(is_late)
        account.late += late.height
        put(outputs, LATE, late_rows(self.plan, log, late))
        return admitted.rows.filter(~is_late)

    def _hear(self, outputs: Outputs, log: str, admitted: Admitted, account: Account) -> Released | None:
        """Give detection the events that it shall see in order, and take what it sees now."""
        if self.detection is None or self.detection.events is None:
            return None
        for frame in self.detection.heard(admitted.rows):
            put(outputs, ALERTS, frame)
        on_time = admitted.times >= admitted.before
        self.detection.events.add(log, admitted.rows.filter(on_time), admitted.times.filter(on_time))
        if self._ordered:
            account.on_time += self._in_front(outputs, log, admitted, account).height
        return self._release()

    def _release(self) -> Released | None:
        if self.detection is None or self.detection.events is None or self.stream_watermark is None:
            return None
        return self.detection.events.release(self.stream_watermark)

    def _give_released(self, outputs: Outputs, released: Released) -> None:
        """Events that detection has put in order go on, as one log without disorder."""
        for log, number in released.dropped.items():
            account = self.accounting.of(log)
            account.on_time, account.filtered = account.on_time - number, account.filtered + number
        if self.windows is None:
            self.shapes.give_ordered(outputs, released)
            return
        assert self.keys is not None
        self.shapes.give_results(outputs, feed_ordered(self.windows, self.keys, released))

    def _window(self, outputs: Outputs, log: str, admitted: Admitted, account: Account) -> None:
        assert self.windows is not None
        assert self.keys is not None
        places = pl.int_range(admitted.rows.height, dtype=pl.Int64, eager=True)
        marks = [admitted.times.alias(TIME), admitted.before.alias(BEFORE), places.alias(PLACE)]
        marked = admitted.rows.hstack(marks)
        inside = shape(marked, self.plan.after)
        account.filtered += marked.height - inside.height
        rows = narrow(self.windows, self.keys, inside, pl.lit(log))
        judged = self.windows.on_batch(log, rows, self._progress(admitted.progress))
        account.on_time += judged.on_time
        account.corrected += judged.corrected
        account.late += judged.late.height
        if judged.late.height and self.plan.aggregate and self.plan.aggregate.lateness.policy != "drop":
            rows = marked[judged.late.get_column(PLACE)].hstack(judged.late.drop(PLACE))
            put(outputs, LATE, late_rows(self.plan, log, rows))
        self.shapes.give_results(outputs, judged.results)

    def output_schema(self, name: str) -> Mapping[str, pl.DataType]:
        """The columns of an output, known before anything runs."""
        return self.shapes.schema_of(name)

    def snapshot(self) -> Snapshot:
        """Everything that the pipeline remembers."""
        frames: dict[str, pl.DataFrame] = {}
        for name, table in (("keys", self.keys), ("clock_keys", self.clock_keys)):
            if table is not None and table.names:
                frames[name] = dump_keys(table)
        if self.windows is not None:
            frames.update({f"windows.{name}": frame for name, frame in self.windows.snapshot().items()})
        frames.update(self.shapes.snapshot())
        clocks = None
        if self.door is not None:
            clocks, key_fronts = dump_clocks(self.door.clocks)
            frames.update({f"clocks.{name}": frame for name, frame in key_fronts.items()})
        accounts = {log: asdict(account) for log, account in self.accounting.logs.items()}
        return Snapshot({"clocks": clocks, "accounts": accounts}, frames)

    def restore(self, saved: Snapshot) -> None:
        """Go on from a snapshot of the same plan, made with any number of workers. The pipeline must be fresh."""
        for name, table in (("keys", self.keys), ("clock_keys", self.clock_keys)):
            if table is not None and name in saved.frames and not (name == "clock_keys" and table is self.keys):
                load_keys(table, saved.frames[name])
        if self.windows is not None:
            self.windows.restore(saved.part("windows."))
        if self.door is not None:
            load_clocks(self.door.clocks, saved.values["clocks"], saved.part("clocks."))
        self.shapes.restore(saved.frames)
        accounts = msgspec.convert(saved.values["accounts"], dict[str, Account])
        self.accounting.logs = accounts


def rows_schema(plan: Plan) -> dict[str, pl.DataType]:
    """The columns of rows in front of the door."""
    return shaped_schema(input_schema(plan, 0), plan.before)


def _refuse(outputs: Outputs, log: str, refused: pl.DataFrame) -> None:
    if refused.height:
        put(outputs, DEAD_LETTERS, refused.select(pl.lit(log).alias(LOG), pl.all()))
