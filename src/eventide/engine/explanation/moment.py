"""A moment of a run that can be asked: its plan, everything that its pipeline remembers, and the outputs kept so far.

Law: asking changes nothing; a moment is a copy, taken between two batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl

from eventide.engine.clocks import Clock, Clocks
from eventide.engine.derived import DerivedPipeline
from eventide.engine.keys import CODE
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.engine.trace import Trace
from eventide.errors import PlanError
from eventide.flow import INSTANT
from eventide.instants import END_OF_TIME, instant_us
from eventide.plan import RESULTS, Plan, WindowedAggregate
from eventide.semantics.eventtime import EventTime

Key = Mapping[str, Any]
"""The values of the key columns of a window."""


@dataclass(frozen=True)
class Moment:
    """Where a run stands: `outputs` holds what was kept of them, `over` is true when no further batch will come."""

    plan: Plan
    saved: Snapshot
    outputs: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    over: bool = False

    @cached_property
    def pipeline(self) -> Pipeline:
        """A copy of the pipeline."""
        made = Pipeline.of(self.plan)
        made.restore(self.saved)
        return made

    @property
    def trace(self) -> Trace:
        """The trace of the run."""
        return self.pipeline.trace

    @property
    def logs(self) -> list[str]:
        """The logs that the plan reads, as far as they are known."""
        clocks = self.pipeline.clocks
        return list(self.pipeline.accounting.logs if clocks is None else clocks.logs)

    @property
    def had_events(self) -> bool:
        """True when any log has had an event that the door let in."""
        return any(trace.last is not None for trace in self.trace.logs.values())

    @property
    def clocks(self) -> Clocks:
        """The clocks of the run."""
        clocks = self.pipeline.clocks
        if clocks is None:
            raise PlanError.of("explain", "the stream has no event time", "Call event_time before asking about it")
        return clocks

    @property
    def settings(self) -> EventTime:
        """The event-time settings of the plan."""
        assert self.clocks is not None
        assert self.plan.event_time is not None
        return self.plan.event_time

    @property
    def query(self) -> WindowedAggregate:
        """The windows of the plan."""
        if self.plan.aggregate is None:
            raise PlanError.of("explain", "the stream has no windows", "Ask about an event with explain_event")
        return self.plan.aggregate

    def key_of(self, given: object) -> Key:
        """The key that a user means: a value, several in the order of `group_by`, or a mapping by name."""
        names = self.query.keys
        if isinstance(given, Mapping):
            values: dict[str, Any] = dict(given)
        elif given is None and not names:
            values = {}
        elif isinstance(given, Sequence) and not isinstance(given, str) and len(names) > 1:
            values = dict(zip(names, given, strict=False)) if len(given) == len(names) else {}
        else:
            values = {names[0]: given} if len(names) == 1 else {}
        if set(values) != set(names):
            wanted = ", ".join(f"{name!r}: ..." for name in names)
            raise ValueError(f"key={given!r} does not name a window's key: give {{{wanted}}}" if names else "no key=")
        return {name: values[name] for name in names}

    def row_of(self, key: Key) -> pl.DataFrame:
        """The key as a frame of one row, with the types that the keys have in the results."""
        pipeline = self.pipeline.tail if isinstance(self.pipeline, DerivedPipeline) else self.pipeline
        assert pipeline.keys is not None
        types = pipeline.keys.decode(pl.Series([], dtype=pl.Int64)).schema
        try:
            return pl.DataFrame([typed(name, value, types[name]) for name, value in key.items()])
        except ValueError:
            wanted = ", ".join(f"{name} ({types[name]})" for name in key)
            raise ValueError(f"key={dict(key)!r} does not fit the key columns: {wanted}") from None

    def code_of(self, key: Key) -> int | None:
        """The code of a window's key; None when no accepted event had it."""
        return _known(self.pipeline.keys, self.row_of(key))

    def clock_code_of(self, key: Key) -> int | None:
        """The code of the clock's key where windows close by key."""
        table = self.pipeline.clock_keys
        return None if table is None else _known(table, self.row_of(key).select(table.names))

    def watermark_of(self, clock: Clock, code: int | None) -> int:
        """Where a log's clock stands for a key."""
        if clock.finished or not self.clocks.closes_by_key or code is None or code >= clock.keys.watermarks.len():
            return clock.reached
        return max(clock.reached, int(clock.keys.watermarks[code]))

    @property
    def alive(self) -> dict[str, Clock]:
        """The clocks that count: of logs neither finished nor idle."""
        return {log: clock for log, clock in self.clocks.logs.items() if not clock.finished and not clock.idle}

    def closing_watermark(self, code: int | None) -> int:
        """The watermark that closes the windows of a key."""
        if not self.clocks.closes_by_key:
            return self.clocks.stream
        reached = [self.watermark_of(clock, code) for clock in self.alive.values()]
        closed = self.clocks.closed
        if reached or closed is None or code is None or code >= closed.len():
            return min(reached, default=self.clocks.stream)
        return int(closed[code])

    def open_windows(self, code: int | None) -> pl.DataFrame:
        """What the state holds of a key: its windows as result rows, as if everything closed now."""
        whole = replace(self.plan, finish=(), branches=(), writes=())
        made = Pipeline.of(whole)
        mine = {
            name: frame.filter(pl.col(CODE) == (-1 if code is None else code)) if name.startswith("windows.") else frame
            for name, frame in self.saved.frames.items()
            if not name.startswith("passed.")
        }
        made.restore(Snapshot({**self.saved.values}, mine))
        given = [] if code is None else made.close_all(END_OF_TIME).get(RESULTS, [])
        empty = pl.DataFrame(schema=dict(made.output_schema(RESULTS)))
        rows = pl.concat([empty, *given], how="vertical_relaxed")
        if "op" in rows.columns:
            rows = rows.filter(pl.col("op") == "upsert")
        identity = [name for name in ("window_start", "log", "window_number") if name in rows.columns]
        return rows.unique(identity, keep="last", maintain_order=True)

    def is_empty_so_far(self, code: int | None, window: int) -> bool:
        """True where the empty row of a window (by its number) is out and may still be corrected."""
        held, step = self.saved.frames.get("windows.windows"), self.pipeline.windows
        if held is None or step is None or code is None or "_window" not in held.columns:
            return False
        mine = held.filter((pl.col(CODE) == code) & (pl.col("_window") == window))
        return mine.height > 0 and not mine.get_column(step.number).fill_null(0)[0]

    def rows_of(self, output: str, key: Key) -> pl.DataFrame | None:
        """The kept rows of an output for a key; None when the output was not kept or lost the key columns."""
        frame = self.outputs.get(output)
        if frame is None or not set(key) <= set(frame.columns):
            return None
        wanted = self.row_of(key)
        return frame.filter(
            pl.all_horizontal(
                [pl.lit(True), *(pl.col(name).eq_missing(pl.lit(wanted[name][0], frame.schema[name])) for name in key)]
            )
        )


def _known(table: Any, row: pl.DataFrame) -> int | None:
    """The code of a key that the table has; the table belongs to a copy, so looking it up may add to it."""
    size = table.size
    code = int(table.encode(row if row.width else pl.DataFrame({"_": [0]}))[0])
    return code if code < size else None


def typed(name: str, value: object, dtype: pl.DataType) -> pl.Series:
    """A value that a user gave, perhaps as text, as a series of a column's type. Raises `ValueError` where it is none
    of that type.
    """
    if isinstance(dtype, pl.Datetime) and isinstance(value, str):
        return pl.Series(name, [instant_us(value, name)]).cast(INSTANT).cast(dtype)
    if isinstance(dtype, pl.Boolean) and isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower(), value)
    try:
        return pl.Series(name, [value]).cast(dtype)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise ValueError(f"{name}={value!r} does not fit: the column is {dtype}") from None


def instants(frame: pl.DataFrame, name: str) -> list[int | None]:
    """A column of instants in microseconds."""
    return frame.get_column(name).cast(INSTANT).cast(pl.Int64).to_list()
