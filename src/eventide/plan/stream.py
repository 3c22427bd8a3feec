"""The sentence a user writes: an immutable `Stream` to which each method adds one thing.

Law: nothing is read before `run`; a wrong argument is refused where it is written, a wrong sentence by `check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import polars as pl

from eventide.errors import PlanError
from eventide.expressions import Aggregation, Expr, Operand, OwnAggregate, col, lit
from eventide.flow import Sink, Source
from eventide.instants import Duration, non_negative_us, positive_us
from eventide.plan.detecting import Detecting
from eventide.plan.given import function_of, name_of
from eventide.plan.joining import Joining
from eventide.plan.nodes import (
    RESULTS,
    Branch,
    Filter,
    Input,
    MapBatches,
    Plan,
    Select,
    Step,
    WindowedAggregate,
    WithColumns,
    Write,
)
from eventide.plan.running import runner
from eventide.semantics.eventtime import Clock, EventTime, LogClock, Strategy
from eventide.semantics.lateness import Early, EveryChange, EveryInterval, Lateness, LatePolicy
from eventide.semantics.windows import Window, lateness_us


@dataclass(frozen=True, slots=True)
class Stream(Joining, Detecting):
    """A stream of events, or of the results made from them. Every method returns a new stream.

    >>> import eventide as et
    >>> from eventide import col
    >>> rows = [{"sensor": "a", "at": 0, "dose": 1.0}, {"sensor": "a", "at": 9_000, "dose": 3.0}]
    >>> readings = et.from_rows(rows, schema={"sensor": str, "at": et.Instant, "dose": float})
    >>> doses = (
    ...     readings.event_time("at", et.bounded("2s"))
    ...     .group_by("sensor")
    ...     .window(et.tumbling("5m"))
    ...     .agg(mean=col("dose").mean())
    ... )
    >>> doses.run(show=False).results["mean"].to_list()
    [2.0]
    """

    plan: Plan

    @classmethod
    def from_source(cls, source: Source) -> Stream:
        """The stream of a source's events: the way in for sources of one's own."""
        return cls(Plan((Input(source),)))

    def filter(self, predicate: Expr) -> Stream:
        """Keep the rows for which `predicate` is true; false and null rows are counted as `filtered`.

        In front of `event_time` a filtered row does not touch any clock; behind it, it moves the clock and is then
        left out; behind `agg` it filters results.
        """
        return self._with_step(Filter(predicate))

    def select(self, *names: str, **columns: Operand) -> Stream:
        """Keep the named columns, then the ones made by expressions, and no others."""
        return self._with_step(Select((*((name, col(name)) for name in names), *_expressions(columns))))

    def with_columns(self, **columns: Operand) -> Stream:
        """Add columns made by expressions, or replace columns of the same name."""
        return self._with_step(WithColumns(_expressions(columns)))

    def map_batches(
        self,
        function: Callable[[pl.DataFrame], pl.DataFrame],
        *,
        adds: Mapping[str, pl.DataType | type[pl.DataType]] | None = None,
    ) -> Stream:
        """Apply a Python function to every batch, as a Polars frame (embedded runs only).

        The frame has the hidden column `_offset`, which must stay; rows that the function leaves out count as
        `filtered`; it must not add rows. Batches are cut anywhere, so the function must treat each row by itself for
        the answer not to depend on the cuts. `adds` names the columns that it makes, with their types.
        """
        made = _types({} if adds is None else adds)
        return self._with_step(MapBatches(function_of(function, "map_batches"), made))

    def union(self, *others: Stream) -> Stream:
        """The events of this stream and of the others; every log keeps its own clock."""
        inputs: list[Input] = []
        for stream in (self, *others):
            if not isinstance(stream, Stream):
                raise ValueError(f"union({stream!r}) is not a stream: give streams, each behind a comma")
            plan = stream.plan
            if plan.event_time or plan.derived or plan.aggregate or plan.writes or plan.branches:
                raise PlanError.of(
                    "union",
                    "one of the streams already has an event time, windows or outputs",
                    "Unite first, then call event_time",
                )
            inputs.extend(Input(one.source, one.steps + plan.before) for one in plan.inputs)
        return Stream(Plan(tuple(inputs)))

    def event_time(  # noqa: PLR0913 - each setting stands alone and has a default
        self,
        column: str,
        strategy: Strategy,
        *,
        clock: Clock | Literal["log"] = "log",
        max_future: Duration | None = "1h",
        max_age: Duration | None = None,
        idle_after: Duration | None = None,
        close_when_idle: bool = False,
    ) -> Stream:
        """Say which column holds the event time and how its watermark is found.

        `clock` is `"log"` (one clock a log) or `per_key(column, cap=)`. Events more than `max_future` ahead of their
        arrival, or more than `max_age` behind it, are refused to `dead_letters` (None: no such guard). A log without
        events for `idle_after` no longer holds the others back. `close_when_idle` closes all windows when every log
        is idle.
        """
        if self.plan.event_time is not None or self.plan.derived is not None:
            raise PlanError.of("event_time", "the event time is set twice", "Keep one call of event_time")
        if self.plan.aggregate is not None:
            raise PlanError.of("event_time", "it comes after the windows", "Call event_time before group_by and window")
        settings = EventTime(
            name_of(column, "column"),
            strategy,
            LogClock() if clock == "log" else clock,
            None if max_future is None else non_negative_us(max_future, "max_future"),
            None if max_age is None else non_negative_us(max_age, "max_age"),
            None if idle_after is None else positive_us(idle_after, "idle_after"),
            close_when_idle,
        )
        return Stream(replace(self.plan, event_time=settings))

    def group_by(self, *keys: str) -> Grouped:
        """Name the key columns; windows are made for each combination of their values (null is a value like others)."""
        if self.plan.aggregate is not None:
            raise PlanError.of("group_by", "the stream already has windows", "Use one window for each stream")
        return Grouped(self.plan, tuple(name_of(key, "group_by") for key in keys))

    def window(self, window: Window, **settings: Any) -> Windowed:
        """Windows over the whole stream, without keys. Settings as in `Grouped.window`."""
        return self.group_by().window(window, **settings)

    def output(self, name: str, build: Callable[[Stream], Stream]) -> Stream:
        """A further named output, made from this one: `.output("alerts", lambda doses: doses.filter(col("peak") >
        1))`.
        """
        start = replace(self.plan, branches=(), writes=())
        shaped = function_of(build, "output")(Stream(start))
        if not isinstance(shaped, Stream):
            raise ValueError(f"output {name!r}: its function gives {shaped!r}, not the stream it was given, changed")
        made = shaped.plan
        section = _tail(start)
        others = [part.name for part in fields(Plan) if part.name not in (section, "writes")]
        if any(getattr(made, part) is not getattr(start, part) for part in others):
            raise PlanError.of(
                f"output {name!r}",
                "its function does more than shape rows",
                "Use filter, select, with_columns and write only",
            )
        branch = Branch(name, getattr(made, section))
        writes = tuple(Write(name, write.sink) for write in made.writes)
        return Stream(replace(self.plan, branches=(*self.plan.branches, branch), writes=(*self.plan.writes, *writes)))

    def write(self, sink: Sink, output: str = RESULTS) -> Stream:
        """Send an output (`results`, `late`, `dead_letters` or one of `output`) to a sink. An output may have
        several.
        """
        if not isinstance(sink, Sink):
            raise ValueError(f'write({sink!r}) is not a sink: use for example et.write_csv("results.csv")')
        return Stream(replace(self.plan, writes=(*self.plan.writes, Write(output, sink))))

    def check(self) -> None:
        """Raise `PlanError` with every problem that can be known before a run, each with its remedy."""
        from eventide.plan.check import check

        check(self.plan)

    def explain(self) -> str:
        """What a run of this stream would do, in words."""
        from eventide.plan.explain import explain

        return explain(self.plan)

    def _repr_html_(self) -> str:
        """For notebooks: the stages of the plan and the columns of its sources."""
        from eventide.plan.explain import explain_html

        return explain_html(self.plan)

    def to_yaml(self) -> str:
        """The plan as YAML, which `Stream.from_yaml` reads back to the same plan."""
        from eventide.plan.codec import to_yaml

        return to_yaml(self.plan)

    def to_json(self) -> str:
        """The plan as JSON, which `Stream.from_json` reads back to the same plan."""
        from eventide.plan.codec import to_json

        return to_json(self.plan)

    @staticmethod
    def from_yaml(text: str) -> Stream:
        """The stream that a plan in YAML stands for. Nothing in the text is ever run as code."""
        from eventide.plan.codec import from_yaml

        return Stream(from_yaml(text))

    @staticmethod
    def from_json(text: str) -> Stream:
        """The stream that a plan in JSON stands for."""
        from eventide.plan.codec import from_json

        return Stream(from_json(text))

    def run(self, *, on: str = "embedded", **settings: Any) -> Any:
        """Run the stream and return its outcome. `on` names the runner: `"embedded"`, whose settings are those of
        `eventide.runners.run`, or `"flink"`, whose settings are those of `eventide.runners.flink.run.submit`.
        """
        return runner(on)(self.plan, **settings)

    def _with_step(self, step: Step) -> Stream:
        section = _tail(self.plan)
        longer: Any = {section: (*getattr(self.plan, section), step)}
        return Stream(replace(self.plan, **longer))


@dataclass(frozen=True, slots=True)
class Grouped:
    """A stream with its keys named; `window` comes next."""

    plan: Plan
    keys: tuple[str, ...]

    def window(
        self,
        window: Window,
        *,
        late: LatePolicy | None = None,
        lateness: Duration = "0s",
        early: Early | None = None,
        fill: Literal["empty"] | None = None,
        completeness: bool = False,
    ) -> Windowed:
        """Put the events into windows.

        `lateness` is how long after its end a window takes corrections; `late` what happens to events behind that:
        `"side"` (to the `late` output), `"drop"` (counted only), or `"update"`, the default with a lateness, which is
        `"side"` and insists on one. `early` asks for results before the window is complete. `fill="empty"` gives rows
        for windows in which a known key had no event, at their end; they are corrected like any other
        (docs/lateness.md). `completeness` adds a column with the share of a window's events that are expected to be in
        it when its row goes out (docs/lateness.md).
        """
        allowed_us = lateness_us(lateness)
        policy: LatePolicy = late or ("update" if allowed_us else "side")
        if fill not in (None, "empty"):
            raise ValueError(f'fill={fill!r} is not a choice: use fill="empty" or leave it out')
        if not isinstance(early, EveryInterval | EveryChange | None):
            raise ValueError(f'early={early!r} is not a choice: use et.every("1s") or et.on_change()')
        if not isinstance(completeness, bool):
            raise ValueError(f"completeness={completeness!r} is not a choice: use True or leave it out")
        accepted = Lateness(policy, allowed_us)
        return Windowed(self.plan, self.keys, window, accepted, early, fill == "empty", completeness)


@dataclass(frozen=True, slots=True)
class Windowed:
    """A stream with keys and windows; `agg` comes next."""

    plan: Plan
    keys: tuple[str, ...]
    window: Window
    lateness: Lateness
    early: Early | None
    fill_empty: bool
    completeness: bool = False

    def agg(self, **aggregates: Aggregation | OwnAggregate) -> Stream:
        """Name the aggregates of each window. The stream that comes back is one of results."""
        for name, value in aggregates.items():
            if not isinstance(value, Aggregation | OwnAggregate):
                raise TypeError(
                    f'agg({name}=...) is not an aggregate but {value!r}: write for example {name}=col("dose").mean()'
                )
        named = tuple(aggregates.items())
        settings = (self.lateness, self.early, self.fill_empty, self.completeness)
        node = WindowedAggregate(self.keys, self.window, named, *settings)
        return Stream(replace(self.plan, aggregate=node))


def _tail(plan: Plan) -> str:
    """The section of the plan that the next row-wise step belongs to."""
    if plan.aggregate is not None:
        return "finish"
    return "before" if plan.event_time is None and plan.derived is None else "after"


def _expressions(columns: Mapping[str, Operand]) -> tuple[tuple[str, Expr], ...]:
    return tuple((name, value if isinstance(value, Expr) else lit(value)) for name, value in columns.items())


def _types(adds: object) -> tuple[tuple[str, pl.DataType], ...]:
    if not isinstance(adds, Mapping):
        raise ValueError(f'adds={adds!r} names no types: write for example adds={{"level": pl.Float64}}')
    made = tuple((name, dtype() if isinstance(dtype, type) else dtype) for name, dtype in adds.items())
    for name, dtype in made:
        if not isinstance(dtype, pl.DataType):
            raise ValueError(f"adds: {name!r} has the type {adds[name]!r}: give one of Polars, such as pl.Float64")
    return made
