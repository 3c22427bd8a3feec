"""Derived streams at work: each side with its own door and clocks, the step that makes rows of theirs, and what
follows.

Law: the derived stream is one log. In front of windows and copies its rows stand in the order of event time, released
when its watermark has passed them, so what follows does not see the interleaving of its sides; without either they come
out as soon as they are certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain

import msgspec
import polars as pl

from eventide.engine.accounting import Account, Accounting
from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
from eventide.engine.clocks import Clocks, CommonProgress
from eventide.engine.fixed import hold_sides
from eventide.engine.means import ALL_OF_IT, Means
from eventide.engine.memory import Memory
from eventide.engine.monitor import Measured, together
from eventide.engine.offers import Offered, Side, side_of
from eventide.engine.outputs import Outputs, put_all
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import InPieces, Snapshot, under
from eventide.engine.steps.asof import Asof
from eventide.engine.steps.intervals import Intervals
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.lateness import REASON
from eventide.engine.steps.matching import OTHER_LOG, OTHER_OFFSET, Deriving
from eventide.engine.steps.merging import Merging
from eventide.engine.steps.paged_rows import paged
from eventide.errors import EventideError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogSet, Position, ReadContext, WallClock
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import LATE, AsofJoin, Deduplicate, Derived, Input, IntervalJoin, Merge, Plan, right_names
from eventide.semantics.eventtime import EventTime, Punctuated

LOG = "derived"
SIDE = "_side"
"""Column of the late output of a join: "left" or "right", "left.right" where the left one is a join itself."""

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
    offers: Sequence[Side] = ()
    names: Sequence[Mapping[str, str]] = ()
    columns: Sequence[Types] = ()
    made_by: Deriving = field(kw_only=True)
    tail: Pipeline = field(kw_only=True)
    held: pl.DataFrame | None = None
    made: int = 0

    @property
    def clocks(self) -> Clocks:
        """A view of the clocks of all sides."""
        settings = self._clocks[0].settings
        logs = {log: clock for clocks in self._clocks for log, clock in clocks.logs.items()}
        return Clocks(settings, logs=logs, stream=self.stream_watermark)

    @property
    def _clocks(self) -> list[Clocks]:
        return [side.clocks for side in self.sides if side.clocks is not None]

    def measured(self) -> Measured | None:
        """How far the events of all sides came behind."""
        parts = [part for side in self.sides if (part := side.measured()) is not None]
        return together(parts) if parts else None

    @property
    def stream_watermark(self) -> int:
        return max(self.made_by.held_back([offer.reached for offer in self.offers]), NO_WATERMARK)

    def process(self, batch: Batch, source: int = 0) -> Outputs:
        number, local = self._side_of(source)
        outputs: Outputs = {}
        self._take(outputs, number, self.offers[number].take(outputs, batch, local))
        if self.memory is not None:
            hold_sides(self.sides[number], self.memory)
            self.memory.hold("rows that wait behind a join", [] if self.held is None else [self.held])
        return outputs

    def _take(self, outputs: Outputs, number: int, offered: Sequence[Offered]) -> None:
        """What a side hands on: its rows by their names here, and how far it has come."""
        if LATE in outputs:
            outputs[LATE] = [self._late(number, frame) for frame in outputs[LATE]]
        schema = self._named_schema(number)
        for one in offered:
            rows = one.rows
            if rows is not None:
                named = [pl.col(name).cast(schema[new]).alias(new) for name, new in self.names[number].items()]
                rows = rows.select(*named, TIME, pl.lit(one.log).alias(LOG_NAME), ROW_OFFSET, PLACE)
            self._derive(outputs, number, rows, one.progress)

    def _derive(self, outputs: Outputs, number: int, rows: pl.DataFrame | None, progress: object) -> None:
        """Hand rows and progress of a side to the step, and what it makes to what follows."""
        assert isinstance(progress, CommonProgress)
        others = [offer.reached for place, offer in enumerate(self.offers) if place != number]
        if rows is None:
            rows = pl.DataFrame(schema=self._named_schema(number))
        made = self.made_by.take(number, rows, progress, others[0] if others else END_OF_TIME)
        for log, count in made.absorbed.items():
            if log == LOG:  # rows that were made themselves: no source counts them
                continue
            account = self.accounting.of(log)
            account.on_time -= count
            account.duplicates += count
        self._hand_on(outputs, made.rows)

    def _hand_on(self, outputs: Outputs, rows: pl.DataFrame) -> None:
        """Rows go on at once, or in front of windows and copies when the derived watermark has passed them."""
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
            self.hand_on(outputs, self._batch(ready, max(watermark - 1, NO_WATERMARK)))
        if watermark == END_OF_TIME:
            self.hand_on(outputs, None)

    def hand_on(self, outputs: Outputs, batch: Batch | None) -> None:
        """Rows in order go to what follows; None: they have ended. A derived stream that is a side of another one hands
        them to that (`offers.py`).
        """
        put_all(outputs, self.tail.finish(LOG) if batch is None else self.tail.process(batch))

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
        return self.sides[self._side_with(log)].event_time_of(log)

    def finish(self, log: str) -> Outputs:
        number = self._side_with(log)
        return self._moved({number: lambda outputs: self.offers[number].finish(outputs, log)})

    def declare_idle(self, log: str) -> Outputs:
        number = self._side_with(log)
        return self._moved({number: lambda outputs: self.offers[number].declare_idle(outputs, log)})

    def close_all(self, instant: int) -> Outputs:
        return self._moved({number: partial(one.close_all, instant) for number, one in enumerate(self.offers)})

    def close_open_windows(self) -> Outputs:
        front = max((one.front for clocks in self._clocks for one in clocks.logs.values()), default=NO_WATERMARK)
        if front == NO_WATERMARK:
            return {}
        row = front + 2 * self.derived_reach_us
        return self.close_all(2 * self.tail.settled(row) - row)

    @property
    def derived_reach_us(self) -> int:
        """How far behind its events the last row that they bring about comes out."""
        return self.made_by.reach_us + max(offer.reach_us for offer in self.offers)

    def share(self, accounting: Accounting) -> None:
        """Count in this account, all sides together."""
        self.accounting = accounting
        for offer in self.offers:
            offer.share(accounting)

    def set_reach(self, reach_us: int) -> None:
        """Say how far what follows looks ahead, so that no instant of it lies behind the end of time."""
        for offer in self.offers:
            offer.set_reach(self.made_by.reach_us + reach_us)

    def read_clock(self, now_us: int) -> Outputs:
        return self.tail.read_clock(now_us)

    def end(self) -> Outputs:
        """Everything was read; a side without any log ends too."""
        return self._moved({number: offer.end for number, offer in enumerate(self.offers)})

    def _moved(self, moves: Mapping[int, Callable[[Outputs], list[Offered]]]) -> Outputs:
        """Some sides move on without rows."""
        outputs: Outputs = {}
        for number, move in moves.items():
            mine: Outputs = {}
            self._take(mine, number, move(mine))
            put_all(outputs, mine)
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
        which = pl.lit(_SIDES[number])
        inner = [which, pl.col(SIDE)] if SIDE in frame.columns else [which]
        named = named.with_columns(pl.concat_str(inner, separator=".").alias(SIDE))
        lacking = [pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in named.columns]
        return named.with_columns(lacking).select(pl.col(name).cast(kind) for name, kind in schema.items())

    def _late_names(self) -> tuple[dict[str, str], dict[str, str]]:
        assert isinstance(self.plan.derived, IntervalJoin | AsofJoin)
        left, right = (list(offer.late_columns) for offer in self.offers)
        named = right_names(left, right, self.plan.derived.on, self.plan.derived.suffix)
        return {name: name for name in left}, named

    def output_schema(self, name: str) -> Mapping[str, pl.DataType]:
        for side in self.sides:
            if name != LATE and name in side.plan.misses:
                return side.output_schema(name)
        if name != LATE:
            return self.tail.output_schema(name)
        if len(self.sides) == 1:
            return self.sides[0].output_schema(LATE)
        schema: Types = {}
        for offer, names in zip(self.offers, self._late_names(), strict=True):
            for column, new in names.items():
                schema.setdefault(new, offer.late_columns[column])
        return {**schema, SIDE: pl.String(), **REASON}

    def side_versions(self) -> pl.DataFrame:
        return pl.concat([part.side_versions() for part in (*self.sides, self.tail)])

    def come_home(self) -> None:
        self.tail.come_home()

    def snapshot(self, *, in_pieces: bool = False) -> Snapshot:
        parts = {**{f"side{n}": side for n, side in enumerate(self.sides)}, "tail": self.tail}
        saved = {name: part.snapshot(in_pieces=in_pieces) for name, part in parts.items()}
        frames = {f"{part}.{name}": frame for part, one in saved.items() for name, frame in one.frames.items()}
        pieces = [under(f"{part}.", one.pieces) for part, one in saved.items()]
        if in_pieces and isinstance(self.made_by, InPieces):
            pieces.append(under("derived.", self.made_by.pieces()))
        else:
            frames.update({f"derived.{name}": frame for name, frame in self.made_by.snapshot().items()})
        if self.held is not None:
            frames["held"] = self.held
        accounts = {log: asdict(account) for log, account in self.accounting.logs.items()}
        values = {"accounts": accounts, "made": self.made, "parts": {name: one.values for name, one in saved.items()}}
        return Snapshot(values, frames, chain(*pieces))

    def restore(self, saved: Snapshot) -> None:
        parts = {**{f"side{n}": side for n, side in enumerate(self.sides)}, "tail": self.tail}
        for name, part in parts.items():
            part.restore(Snapshot(saved.values["parts"][name], saved.part(f"{name}.")))
        self.made_by.restore(saved.part("derived."))
        self.held, self.made = saved.frames.get("held"), int(saved.values["made"])
        self.accounting.logs = msgspec.convert(saved.values["accounts"], dict[str, Account])


_TIES: Types = {LOG_NAME: pl.String(), ROW_OFFSET: pl.Int64(), OTHER_LOG: pl.String(), OTHER_OFFSET: pl.Int64()}


def derived_pipeline(
    plan: Plan, workers: int, clock: WallClock | None = None, means: Means = ALL_OF_IT, *, is_side: bool = False
) -> DerivedPipeline:
    """The pipeline of a checked plan with a derived stream, which may be a side of another one."""
    assert plan.derived is not None
    sides = [_side_pipeline(side, clock, means) for side in plan.derived.sides]
    offers = [side_of(side) for side in sides]
    names = _derived_names(plan.derived, [list(offer.columns) for offer in offers])
    columns: list[Types] = []
    for offer, named in zip(offers, names, strict=True):
        inside = offer.columns
        # keys of both sides have the type of the left one
        columns.append(
            {new: columns[0].get(new, inside[name]) if columns else inside[name] for name, new in named.items()}
        )
    step = _step(plan.derived, columns, means.memory)
    tail = Pipeline.of(_tail(plan, step.schema, ordered=is_side), workers, clock, replace(means, keys_most=None))
    made = DerivedPipeline(plan, sides[0].schema, sides=sides, names=names, columns=columns, made_by=step, tail=tail)
    made.memory = means.memory
    made.offers = offers
    made.set_reach(tail.reach_us)
    made.share(made.accounting)
    return made


def _side_pipeline(side: Plan, clock: WallClock | None, means: Means) -> Pipeline:
    """The pipeline of one side, in this process."""
    means = replace(means, crew=None)
    if side.derived is not None:
        return derived_pipeline(side, 1, clock, means, is_side=True)
    return Pipeline.of(side, 1, clock, means)


def _tail(plan: Plan, schema: Mapping[str, pl.DataType], *, ordered: bool) -> Plan:
    """What follows the derived stream, as a plan of its own; windows, copies and other derived streams get rows in
    order.
    """
    inputs = (Input(DerivedRows({**schema, _AT: INSTANT, _MARK: INSTANT})),)
    compares = any(isinstance(step, Deduplicate) for step in plan.after)
    if plan.aggregate is None and not ordered and not compares:
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
