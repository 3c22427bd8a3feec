"""A plan: the sentence the user wrote, as one frozen value.

Law: a plan says what is wanted and nothing about how it runs. Its parts stand in the order in which an event meets
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import polars as pl

from eventide.expressions import Aggregation, Expr, OwnAggregate
from eventide.flow import Sink, Source
from eventide.plan.derived import Derived, Enrich
from eventide.plan.detection import ALERTS, Absent, Alert, AlertRate, Anomaly, Peaks, Trend
from eventide.semantics.eventtime import EventTime
from eventide.semantics.lateness import Early, Lateness
from eventide.semantics.windows import Window

RESULTS = "results"
LATE = "late"
DEAD_LETTERS = "dead_letters"


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep the rows for which the predicate is true; rows where it is false or null are counted as filtered."""

    predicate: Expr


@dataclass(frozen=True, slots=True)
class Select:
    """Keep these columns only, in this order, each made by its expression."""

    columns: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class WithColumns:
    """Add these columns or replace them."""

    columns: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class MapBatches:
    """A Python function from frame to frame. It must keep `_offset`, must not add rows, and runs embedded only."""

    function: Callable[[pl.DataFrame], pl.DataFrame]
    adds: tuple[tuple[str, pl.DataType], ...] = ()


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """Leave out a row that repeats an earlier one of its log: the same values of `by`, event times at most `within_us`
    apart (decision 0008).
    """

    by: tuple[str, ...]
    within_us: int


RowStep: TypeAlias = Filter | Select | WithColumns | MapBatches | Deduplicate | Enrich
"""One operation on rows as they come; all but `Deduplicate` look at each row by itself."""

OrderedStep: TypeAlias = Anomaly | Peaks | Trend | Alert | Absent
"""One operation that looks at rows in the order of event time."""

Step: TypeAlias = RowStep | OrderedStep
"""One operation."""


@dataclass(frozen=True, slots=True)
class Input:
    """One source with the steps that belong to it alone."""

    source: Source
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowedAggregate:
    """Group by keys, put into windows, aggregate; with the late policy, what comes out early or empty, and
    whether results say how complete they are.
    """

    keys: tuple[str, ...]
    window: Window
    aggregates: tuple[tuple[str, Aggregation | OwnAggregate], ...]
    lateness: Lateness = field(default_factory=Lateness)
    early: Early | None = None
    fill_empty: bool = False
    completeness: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """A named output made from the results by steps of its own."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Send a named output to a sink."""

    output: str
    sink: Sink


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a runner needs, from sources to sinks.

    `inputs` are united; `before` happens in front of the door (a row filtered there never touches a clock), `after`
    behind it, `finish` to the results. A stream made of others has `derived`: its sides have steps and event times of
    their own, `inputs` are those of all sides in order, and `after` follows what they make.
    """

    inputs: tuple[Input, ...]
    before: tuple[Step, ...] = ()
    event_time: EventTime | None = None
    after: tuple[Step, ...] = ()
    aggregate: WindowedAggregate | None = None
    finish: tuple[Step, ...] = ()
    branches: tuple[Branch, ...] = ()
    writes: tuple[Write, ...] = ()
    derived: Derived | None = None
    rates: tuple[AlertRate, ...] = ()

    @property
    def single_log(self) -> bool:
        """True when there can never be more than one log."""
        return self.derived is not None or (len(self.inputs) == 1 and self.inputs[0].source.single_log)

    @property
    def watched(self) -> bool:
        """True when the plan raises alerts."""
        return any(isinstance(step, Alert | Absent) for step in (*self.after, *self.finish))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of all outputs."""
        watched = (ALERTS,) if self.watched else ()
        rates = (rate.name for rate in self.rates)
        return (RESULTS, LATE, DEAD_LETTERS, *self.misses, *watched, *rates, *(branch.name for branch in self.branches))

    @property
    def front(self) -> tuple[Step, ...]:
        """The row-wise steps in front of detection among events, where they leave copies out or look side inputs up."""
        order = [number for number, step in enumerate(self.after) if isinstance(step, OrderedStep)]
        steps = self.after[: order[0]] if order else ()
        return steps if any(isinstance(step, Deduplicate | Enrich) for step in steps) else ()

    @property
    def misses(self) -> tuple[str, ...]:
        """The outputs of rows that side inputs do not know, those of its sides first."""
        sides = () if self.derived is None else self.derived.sides
        mine = (one.misses for one in self.enriched if one.misses is not None)
        return (*(name for side in sides for name in side.misses), *mine)

    @property
    def read(self) -> tuple[Plan, ...]:
        """The streams that are read: itself, or those that a derived one is made of in the end."""
        if self.derived is None:
            return (self,)
        return tuple(plan for side in self.derived.sides for plan in side.read)

    @property
    def enriched(self) -> tuple[Enrich, ...]:
        """The side inputs that rows in front of windows are looked up in, in order."""
        return tuple(step for step in (*self.before, *self.after) if isinstance(step, Enrich))
