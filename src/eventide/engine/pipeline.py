"""The pipeline: one plan at work on batches, one after the other, without any reading or writing of its own.

Law: what comes out is a function of the batches put in; the whole of what it remembers is in `snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import msgspec
import polars as pl

from eventide.engine.accounting import Account, Accounting
from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
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
from eventide.engine.keys import CODE, KeyTable, dump_keys, key_table, load_keys
from eventide.engine.snapshot import Snapshot
from eventide.engine.solid import solid
from eventide.engine.steps.door import Admitted, Door
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.lateness import late_rows, late_schema
from eventide.engine.steps.shape import ResultShape, shape, shaped_schema
from eventide.engine.steps.windows import WindowStep, window_step
from eventide.engine.trace import Trace
from eventide.flow import ARRIVAL, DEAD_LETTER_SCHEMA, INSTANT, LOG, OFFSET, Batch
from eventide.instants import NO_WATERMARK
from eventide.plan import DEAD_LETTERS, LATE, RESULTS, Plan
from eventide.semantics.eventtime import KeyClock

Outputs = dict[str, list[pl.DataFrame]]
"""Frames by output name, in the order in which they came out."""


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
    shapes: dict[str, ResultShape] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)

    @classmethod
    def of(cls, plan: Plan, workers: int = 1) -> Pipeline:
        """The pipeline of a checked plan. `workers` spreads the keys over so many independent states."""
        made = cls(plan, rows_schema(plan))
        if plan.event_time is None:
            return made
        clock, query = plan.event_time.clock, plan.aggregate
        if isinstance(clock, KeyClock):
            made.clock_keys = key_table((clock.key,), made.schema)
        if query is not None:
            inside = shaped_schema(made.schema, plan.after)
            same = isinstance(clock, KeyClock) and query.keys == (clock.key,)
            made.keys = made.clock_keys if same else key_table(query.keys, inside)
            assert made.keys is not None
            made.windows = window_step(plan, inside, made.keys, workers)
        clocks = clocks_for(plan.event_time, made.clock_keys, query.keys if query else ())
        made.door = Door(plan.event_time, clocks, made.windows.reach_us if made.windows else 0)
        made.trace = Trace.of(plan, made.schema)
        return made

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
            self._give(outputs, raw, rows)
            return outputs
        if batch.idle_floor is not None:
            self._move(outputs, self.door.clocks.declare_idle(batch.log, batch.idle_floor))
        admitted, refused = self.door.admit(batch.log, rows, batch.heartbeat)
        self.trace.see(batch.log, self.door.clocks.add(batch.log), admitted, batch.heartbeat)
        account.dead_letters += refused.height
        _refuse(outputs, batch.log, refused)
        if self.windows is None:
            self._pass(outputs, batch.log, admitted, account)
        else:
            self._window(outputs, batch.log, admitted, account)
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
        return self.close_all(max(fronts, default=NO_WATERMARK) + reach_us)

    def _stand(self, seen: Observation) -> Outputs:
        outputs: Outputs = {}
        self._move(outputs, seen)
        return outputs

    def _move(self, outputs: Outputs, seen: Observation) -> None:
        if self.windows is not None:
            self._give_results(outputs, self.windows.on_progress(self._progress(seen.progress)))

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
        is_late = admitted.times < admitted.before
        late = admitted.rows.with_columns(
            admitted.before.alias(BEFORE), admitted.times.alias("window_start"), admitted.times.alias("window_end")
        ).filter(is_late)
        account.late += late.height
        _put(outputs, LATE, late_rows(self.plan, log, late))
        on_time = admitted.rows.filter(~is_late)
        shaped = shape(on_time, self.plan.after)
        account.filtered += on_time.height - shaped.height
        account.on_time += shaped.height
        self._give(outputs, on_time, shaped)

    def _window(self, outputs: Outputs, log: str, admitted: Admitted, account: Account) -> None:
        assert self.windows is not None
        assert self.keys is not None
        places = pl.int_range(admitted.rows.height, dtype=pl.Int64, eager=True)
        marks = [admitted.times.alias(TIME), admitted.before.alias(BEFORE), places.alias(PLACE)]
        marked = admitted.rows.hstack(marks)
        inside = shape(marked, self.plan.after)
        account.filtered += marked.height - inside.height
        narrow = solid(inside).select(TIME, BEFORE, PLACE, ROW_OFFSET, *self.windows.inputs)
        narrow = narrow.with_columns(self.keys.encode(inside).alias(CODE), pl.lit(log).alias(LOG_NAME))
        judged = self.windows.on_batch(log, narrow, self._progress(admitted.progress))
        account.on_time += judged.on_time
        account.corrected += judged.corrected
        account.late += judged.late.height
        if judged.late.height and self.plan.aggregate and self.plan.aggregate.lateness.policy != "drop":
            rows = marked[judged.late.get_column(PLACE)].hstack(judged.late.drop(PLACE))
            _put(outputs, LATE, late_rows(self.plan, log, rows))
        self._give_results(outputs, judged.results)

    def _shape(self, output: str) -> ResultShape:
        """The steps of an output of results, with what they remember."""
        if output not in self.shapes:
            steps = {branch.name: branch.steps for branch in self.plan.branches}.get(output, self.plan.finish)
            keys = self.plan.aggregate.keys if self.plan.aggregate is not None else ()
            columns = self.windows.result_schema if self.windows is not None else {}
            window = [name for name in ("window_start", "log", "window_number") if name in columns]
            self.shapes[output] = ResultShape(steps, (*keys, *window))
        return self.shapes[output]

    def _give_results(self, outputs: Outputs, frames: list[pl.DataFrame]) -> None:
        for frame in frames:
            _put(outputs, RESULTS, self._shape(RESULTS).shape(frame))
            for branch in self.plan.branches:
                _put(outputs, branch.name, self._shape(branch.name).shape(frame))

    def _give(self, outputs: Outputs, rows: pl.DataFrame, shaped: pl.DataFrame) -> None:
        """The outputs of a stream without windows."""
        _put(outputs, RESULTS, _visible(shaped))
        for branch in self.plan.branches:
            _put(outputs, branch.name, _visible(shape(rows, branch.steps)))

    def output_schema(self, name: str) -> Mapping[str, pl.DataType]:
        """The columns of an output, known before anything runs."""
        if name == DEAD_LETTERS:
            return DEAD_LETTER_SCHEMA
        if name == LATE:
            return late_schema(self.schema)
        branches = {branch.name: branch.steps for branch in self.plan.branches}
        if self.windows is not None:
            return shaped_schema(self.windows.result_schema, branches.get(name, self.plan.finish))
        tail = self.plan.after if self.door else self.plan.before
        start = self.schema if self.door else _input_schema(self.plan, 0)
        return _visible(pl.DataFrame(schema=shaped_schema(start, branches.get(name, tail)))).schema

    def snapshot(self) -> Snapshot:
        """Everything that the pipeline remembers."""
        frames: dict[str, pl.DataFrame] = {}
        for name, table in (("keys", self.keys), ("clock_keys", self.clock_keys)):
            if table is not None and table.names:
                frames[name] = dump_keys(table)
        if self.windows is not None:
            frames.update({f"windows.{name}": frame for name, frame in self.windows.snapshot().items()})
        for name, one in self.shapes.items():
            if one.passed is not None:
                frames[f"passed.{name}"] = one.passed
        clocks = None
        if self.door is not None:
            clocks, key_fronts = dump_clocks(self.door.clocks)
            frames.update({f"clocks.{name}": frame for name, frame in key_fronts.items()})
        accounts = {log: asdict(account) for log, account in self.accounting.logs.items()}
        return Snapshot({"clocks": clocks, "accounts": accounts, "trace": self.trace.dump()}, frames)

    def restore(self, saved: Snapshot) -> None:
        """Go on from a snapshot of the same plan, made with any number of workers. The pipeline must be fresh."""
        for name, table in (("keys", self.keys), ("clock_keys", self.clock_keys)):
            if table is not None and name in saved.frames and not (name == "clock_keys" and table is self.keys):
                load_keys(table, saved.frames[name])
        if self.windows is not None:
            self.windows.restore(saved.part("windows."))
        if self.door is not None:
            load_clocks(self.door.clocks, saved.values["clocks"], saved.part("clocks."))
        for name, frame in saved.part("passed.").items():
            self._shape(name).passed = frame
        accounts = msgspec.convert(saved.values["accounts"], dict[str, Account])
        self.accounting.logs = accounts
        self.trace.load(saved.values.get("trace", {}))


def rows_schema(plan: Plan) -> dict[str, pl.DataType]:
    """The columns of rows in front of the door."""
    return shaped_schema(_input_schema(plan, 0), plan.before)


def _input_schema(plan: Plan, number: int) -> dict[str, pl.DataType]:
    one = plan.inputs[number]
    hidden = {OFFSET: pl.Int64(), ARRIVAL: INSTANT}
    return shaped_schema({**one.source.columns, **hidden}, one.steps)


def _put(outputs: Outputs, name: str, frame: pl.DataFrame) -> None:
    """Keep a frame that has rows."""
    if frame.height:
        outputs.setdefault(name, []).append(frame)


def _refuse(outputs: Outputs, log: str, refused: pl.DataFrame) -> None:
    if refused.height:
        _put(outputs, DEAD_LETTERS, refused.select(pl.lit(log).alias(LOG), pl.all()))


def _visible(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(name for name in frame.columns if not name.startswith("_"))
