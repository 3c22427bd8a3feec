"""Derived streams at work: each side with its own door and clocks, the step that makes rows of theirs, and what
follows.

Law: the derived stream is one log. In front of windows its rows stand in the order of event time, released when its
watermark has passed them, so windows over it do not see the interleaving of its sides; without windows they come out
as soon as they are certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import msgspec
import polars as pl

from eventide.engine.accounting import Account
from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
from eventide.engine.clocks import Clocks, CommonProgress, Observation
from eventide.engine.columns import rows_schema
from eventide.engine.fixed import hold_sides
from eventide.engine.means import ALL_OF_IT, Means
from eventide.engine.memory import Memory
from eventide.engine.outputs import Outputs, put_all
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.engine.steps.asof import Asof
from eventide.engine.steps.door import Door
from eventide.engine.steps.intervals import Intervals
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.lateness import REASON, late_schema
from eventide.engine.steps.matching import OTHER_LOG, OTHER_OFFSET, Deriving
from eventide.engine.steps.merging import Merging
from eventide.engine.steps.paged_rows import paged
from eventide.engine.steps.shape import shaped_schema
from eventide.errors import EventideError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogSet, Position, ReadContext, WallClock
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import LATE, AsofJoin, Derived, Input, IntervalJoin, Merge, Plan, right_names
from eventide.semantics.eventtime import EventTime, Punctuated

LOG = "derived"
SIDE = "_side"
"""Column of the late output of a join: "left" or "right"."""

_AT, _MARK = "_at", "_mark"
_SIDES = ("left", "right")
_ORDER = (TIME, LOG_NAME, ROW_OFFSET, OTHER_LOG, OTHER_OFFSET)
Types = dict[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class DerivedRows:
    """What follows a derived stream reads it as a source of these columns; rows are put in as they are made."""

    columns: Mapping[str, pl.DataType]
    name: str = LOG
    single_log: bool = True
    bounded: bool = True

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        raise EventideError("a derived stream is not read: its rows are made of other streams")


@dataclass
class DerivedPipeline(Pipeline):
    """A pipeline whose stream is made of others. `tail` is the pipeline of what follows."""

    sides: Sequence[Pipeline] = ()
    names: Sequence[Mapping[str, str]] = ()
    columns: Sequence[Types] = ()
    made_by: Deriving = field(kw_only=True)
    tail: Pipeline = field(kw_only=True)
    held: pl.DataFrame | None = None
    made: int = 0

    @property
    def clocks(self) -> Clocks:
        """A view of the clocks of all sides."""
        settings = self.sides[0].plan.event_time
        assert settings is not None
        logs = {log: clock for clocks in self._clocks for log, clock in clocks.logs.items()}
        return Clocks(settings, logs=logs, stream=self.stream_watermark)

    @property
    def _clocks(self) -> list[Clocks]:
        return [side.clocks for side in self.sides if side.clocks is not None]

    @property
    def stream_watermark(self) -> int:
        return max(self.made_by.held_back([clocks.stream for clocks in self._clocks]), NO_WATERMARK)

    def process(self, batch: Batch, source: int = 0) -> Outputs:
        number, local = self._side_of(source)
        side, outputs = self.sides[number], Outputs()
        if batch.idle_floor is not None:
            self._derive(outputs, number, None, self._clocks[number].declare_idle(batch.log, batch.idle_floor).progress)
        admitted = side.admit(outputs, batch, local)
        _, rows = side.pass_on(outputs, batch.log, admitted)
        if LATE in outputs:
            outputs[LATE] = [self._late(number, frame) for frame in outputs[LATE]]
        named = rows.select(
            *(
                pl.col(name).cast(self._named_schema(number)[new]).alias(new)
                for name, new in self.names[number].items()
            ),
            TIME,
            pl.lit(batch.log).alias(LOG_NAME),
            ROW_OFFSET,
            PLACE,
        )
        self._derive(outputs, number, named, admitted.progress)
        if self.memory is not None:
            hold_sides(side, self.memory)
            self.memory.hold("rows that wait behind a join", [] if self.held is None else [self.held])
        return outputs

    def _derive(self, outputs: Outputs, number: int, rows: pl.DataFrame | None, progress: object) -> None:
        """Hand rows and progress of a side to the step, and what it makes to what follows."""
        assert isinstance(progress, CommonProgress)
        others = [clocks.stream for place, clocks in enumerate(self._clocks) if place != number]
        if rows is None:
            rows = pl.DataFrame(schema=self._named_schema(number))
        made = self.made_by.take(number, rows, progress, others[0] if others else END_OF_TIME)
        for log, count in made.absorbed.items():
            account = self.accounting.of(log)
            account.on_time -= count
            account.duplicates += count
        self._hand_on(outputs, made.rows)

    def _hand_on(self, outputs: Outputs, rows: pl.DataFrame) -> None:
        """Rows go on at once, or in front of windows when the derived watermark has passed them."""
        ties = {**self.made_by.schema, TIME: pl.Int64(), **_TIES}
        lacking = [pl.lit(None, kind).alias(name) for name, kind in ties.items() if name not in rows.columns]
        rows = rows.with_columns(lacking).select(*ties) if rows.height else pl.DataFrame(schema=ties)
        if self.tail.door is None:
            if rows.height:
                put_all(outputs, self.tail.process(self._batch(rows)))
            return
        if rows.height:
            self.held = rows if self.held is None else pl.concat([self.held, rows])
        watermark = self.stream_watermark
        waiting = rows if self.held is None else self.held
        passed = pl.col(TIME) < watermark
        ready, self.held = waiting.filter(passed).sort(_ORDER), waiting.filter(~passed)
        # one less than the watermark: a session that ends at it may still be touched by a row at it
        moved = watermark - 1 > (self.tail.stream_watermark or NO_WATERMARK)
        if ready.height or moved:
            put_all(outputs, self.tail.process(self._batch(ready, max(watermark - 1, NO_WATERMARK))))
        if watermark == END_OF_TIME:
            put_all(outputs, self.tail.finish(LOG))

    def _batch(self, rows: pl.DataFrame, watermark: int | None = None) -> Batch:
        first, self.made = self.made, self.made + rows.height
        return Batch(
            LOG,
            rows.select(
                *self.made_by.schema,
                pl.col(TIME).cast(INSTANT).alias(_AT),
                pl.int_range(first, self.made, dtype=pl.Int64).alias(OFFSET),
                pl.lit(None, INSTANT).alias(ARRIVAL),
                pl.lit(None, INSTANT).alias(_MARK),
            ),
            heartbeat=watermark,
        )

    def _side_of(self, source: int) -> tuple[int, int]:
        """The side that a source of the plan belongs to, and its number there."""
        first = len(self.sides[0].plan.inputs)
        return (0, source) if source < first else (1, source - first)

    def _side_with(self, log: str) -> int:
        return next(number for number, clocks in enumerate(self._clocks) if log in clocks.logs)

    def times_of(self, batch: Batch, source: int) -> pl.Series:
        number, local = self._side_of(source)
        return self.sides[number].times_of(batch, local)

    def add_log(self, log: str, source: int) -> None:
        number, local = self._side_of(source)
        self.sides[number].add_log(log, local)

    def event_time_of(self, log: str) -> EventTime | None:
        return self.sides[self._side_with(log)].plan.event_time

    def finish(self, log: str) -> Outputs:
        number = self._side_with(log)
        return self._moved({number: self._clocks[number].finish(log)})

    def declare_idle(self, log: str) -> Outputs:
        number = self._side_with(log)
        return self._moved({number: self._clocks[number].declare_idle(log)})

    def close_all(self, instant: int) -> Outputs:
        return self._moved({number: clocks.close_all(instant) for number, clocks in enumerate(self._clocks)})

    def close_open_windows(self) -> Outputs:
        fronts = [clock.front for clocks in self._clocks for clock in clocks.logs.values()]
        reach_us = self.made_by.reach_us + self.tail.settling_us
        return self.close_all(max(fronts, default=NO_WATERMARK) + 2 * reach_us)

    def read_clock(self, now_us: int) -> Outputs:
        return self.tail.read_clock(now_us)

    def end(self) -> Outputs:
        """Everything was read; a side without any log ends too."""
        empty = {number: clocks for number, clocks in enumerate(self._clocks) if not clocks.logs}
        return self._moved({number: clocks.close_all(END_OF_TIME) for number, clocks in empty.items()})

    def _moved(self, seen: Mapping[int, Observation]) -> Outputs:
        outputs: Outputs = {}
        for number, observed in seen.items():
            self._derive(outputs, number, None, observed.progress)
        return outputs

    def _named_schema(self, number: int) -> Types:
        return {
            **self.columns[number],
            TIME: pl.Int64(),
            LOG_NAME: pl.String(),
            ROW_OFFSET: pl.Int64(),
            PLACE: pl.Int64(),
        }

    def _late(self, number: int, frame: pl.DataFrame) -> pl.DataFrame:
        """A late frame of a side with the columns that those of all sides have."""
        if len(self.sides) == 1:
            return frame
        schema = self.output_schema(LATE)
        names = self._late_names()[number]
        named = frame.rename({name: new for name, new in names.items() if name in frame.columns})
        named = named.with_columns(pl.lit(_SIDES[number]).alias(SIDE))
        lacking = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in named.columns]
        return named.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in schema.items())

    def _late_names(self) -> tuple[dict[str, str], dict[str, str]]:
        assert isinstance(self.plan.derived, IntervalJoin | AsofJoin)
        left, right = ([name for name in late_schema(side.schema) if name not in REASON] for side in self.sides)
        named = right_names(left, right, self.plan.derived.on, self.plan.derived.suffix)
        return {name: name for name in left}, named

    def output_schema(self, name: str) -> Mapping[str, pl.DataType]:
        for side in self.sides:
            if name in {step.misses for step in side.plan.enriched}:
                return side.output_schema(name)
        if name != LATE:
            return self.tail.output_schema(name)
        if len(self.sides) == 1:
            return self.sides[0].output_schema(LATE)
        schema: Types = {}
        for side, names in zip(self.sides, self._late_names(), strict=True):
            for column, new in names.items():
                schema.setdefault(new, side.schema[column])
        return {**schema, SIDE: pl.String(), **REASON}

    def side_versions(self) -> pl.DataFrame:
        return pl.concat([part.side_versions() for part in (*self.sides, self.tail)])

    def come_home(self) -> None:
        self.tail.come_home()

    def snapshot(self) -> Snapshot:
        parts = {**{f"side{n}": side for n, side in enumerate(self.sides)}, "tail": self.tail}
        saved = {name: part.snapshot() for name, part in parts.items()}
        frames = {f"{part}.{name}": frame for part, one in saved.items() for name, frame in one.frames.items()}
        frames.update({f"derived.{name}": frame for name, frame in self.made_by.snapshot().items()})
        if self.held is not None:
            frames["held"] = self.held
        accounts = {log: asdict(account) for log, account in self.accounting.logs.items()}
        values = {"accounts": accounts, "made": self.made, "parts": {name: one.values for name, one in saved.items()}}
        return Snapshot(values, frames)

    def restore(self, saved: Snapshot) -> None:
        parts = {**{f"side{n}": side for n, side in enumerate(self.sides)}, "tail": self.tail}
        for name, part in parts.items():
            part.restore(Snapshot(saved.values["parts"][name], saved.part(f"{name}.")))
        self.made_by.restore(saved.part("derived."))
        self.held, self.made = saved.frames.get("held"), int(saved.values["made"])
        self.accounting.logs = msgspec.convert(saved.values["accounts"], dict[str, Account])


_TIES: Types = {LOG_NAME: pl.String(), ROW_OFFSET: pl.Int64(), OTHER_LOG: pl.String(), OTHER_OFFSET: pl.Int64()}


def derived_pipeline(
    plan: Plan, workers: int, clock: WallClock | None = None, means: Means = ALL_OF_IT
) -> DerivedPipeline:
    """The pipeline of a checked plan with a derived stream."""
    assert plan.derived is not None
    sides = [Pipeline.of(side, 1, clock, Means(memory=means.memory)) for side in plan.derived.sides]
    names = _derived_names(plan.derived, [list(_inside(side)) for side in plan.derived.sides])
    columns: list[Types] = []
    for side_plan, named in zip(plan.derived.sides, names, strict=True):
        inside = _inside(side_plan)
        # keys of both sides have the type of the left one
        columns.append(
            {new: columns[0].get(new, inside[name]) if columns else inside[name] for name, new in named.items()}
        )
    step = _step(plan.derived, columns, means.memory)
    tail = Pipeline.of(_tail(plan, step.schema), workers, clock, replace(means, keys_most=None))
    made = DerivedPipeline(plan, sides[0].schema, sides=sides, names=names, columns=columns, made_by=step, tail=tail)
    made.memory = means.memory
    reach_us = step.reach_us + tail.reach_us
    for side in sides:
        assert side.plan.event_time is not None
        assert side.door is not None
        side.door = Door(side.plan.event_time, side.door.clocks, reach_us)
        side.accounting = made.accounting
    return made


def _tail(plan: Plan, schema: Mapping[str, pl.DataType]) -> Plan:
    """What follows the derived stream, as a plan of its own."""
    inputs = (Input(DerivedRows({**schema, _AT: INSTANT, _MARK: INSTANT})),)
    if plan.aggregate is None:
        return replace(plan, inputs=inputs, derived=None, before=plan.after, after=())
    settings = EventTime(_AT, Punctuated(_MARK), max_future_us=None)
    return replace(plan, inputs=inputs, derived=None, event_time=settings)


def _step(derived: Derived, columns: list[Types], memory: Memory | None) -> Deriving:
    match derived:
        case Merge():
            return paged(lambda: Merging(derived, columns[0]), derived.by, memory)
        case IntervalJoin():
            return paged(lambda: Intervals(derived, columns), [left for left, _ in derived.on], memory)
        case AsofJoin():
            return paged(lambda: Asof(derived, columns), [left for left, _ in derived.on], memory)


def _derived_names(derived: Derived, columns: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """The names that the columns of each side have in the derived rows."""
    first = {name: name for name in columns[0]}
    if isinstance(derived, Merge):
        return [first]
    return [first, right_names(columns[0], columns[1], derived.on, derived.suffix)]


def _inside(plan: Plan) -> Types:
    """The user's columns behind the steps of a side."""
    inside = shaped_schema(rows_schema(plan), plan.after)
    return {name: kind for name, kind in inside.items() if not name.startswith("_")}
