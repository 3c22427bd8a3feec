"""What the sides of a derived stream hand on to it: a stream that is read, or one that is derived itself.

Law: a derived stream is handed on as one log: its rows in the order of event time once its watermark has passed them,
numbered in that order, so that what is made of them does not see the interleaving of its own sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import polars as pl

from eventide.engine.accounting import Accounting
from eventide.engine.clocks import Clocks, CommonProgress, Progress
from eventide.engine.columns import rows_schema
from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.engine.steps.lateness import REASON, late_schema
from eventide.engine.steps.shape import shaped_schema
from eventide.flow import Batch
from eventide.instants import END_OF_TIME
from eventide.plan import LATE

if TYPE_CHECKING:
    from eventide.engine.derived import DerivedPipeline

Types = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True)
class Offered:
    """Rows of a log (None: none) with their times and places, and how far the side has come with them."""

    log: str
    rows: pl.DataFrame | None
    progress: CommonProgress


class Side(Protocol):
    """One side of a derived stream. What a move brings about beside rows goes into `outputs`."""

    @property
    def columns(self) -> Types:
        """The user's columns of its rows."""

    @property
    def late_columns(self) -> Types:
        """Those of its late rows."""

    @property
    def reached(self) -> int:
        """The watermark that was handed on."""

    @property
    def reach_us(self) -> int:
        """How far behind an event the last row that it brings about comes out."""

    def take(self, outputs: Outputs, batch: Batch, source: int) -> list[Offered]: ...

    def finish(self, outputs: Outputs, log: str) -> list[Offered]: ...

    def declare_idle(self, outputs: Outputs, log: str) -> list[Offered]: ...

    def close_all(self, instant: int, outputs: Outputs) -> list[Offered]: ...

    def end(self, outputs: Outputs) -> list[Offered]: ...

    def set_reach(self, reach_us: int) -> None: ...

    def share(self, accounting: Accounting) -> None: ...


@dataclass(frozen=True)
class ReadSide:
    """A stream that is read."""

    pipeline: Pipeline

    @property
    def _clocks(self) -> Clocks:
        assert self.pipeline.clocks is not None
        return self.pipeline.clocks

    @property
    def columns(self) -> Types:
        return _visible(shaped_schema(rows_schema(self.pipeline.plan), self.pipeline.plan.after))

    @property
    def late_columns(self) -> Types:
        return {name: kind for name, kind in late_schema(self.pipeline.schema).items() if name not in REASON}

    @property
    def reached(self) -> int:
        return self._clocks.stream

    @property
    def reach_us(self) -> int:
        return 0

    def take(self, outputs: Outputs, batch: Batch, source: int) -> list[Offered]:
        offered = []
        if batch.idle_floor is not None:
            offered.append(_moved(batch.log, self._clocks.declare_idle(batch.log, batch.idle_floor).progress))
        admitted = self.pipeline.admit(outputs, batch, source)
        _, rows = self.pipeline.pass_on(outputs, batch.log, admitted)
        return [*offered, Offered(batch.log, rows, _common(admitted.progress))]

    def finish(self, outputs: Outputs, log: str) -> list[Offered]:
        return [_moved(log, self._clocks.finish(log).progress)]

    def declare_idle(self, outputs: Outputs, log: str) -> list[Offered]:
        return [_moved(log, self._clocks.declare_idle(log).progress)]

    def close_all(self, instant: int, outputs: Outputs) -> list[Offered]:
        return [_moved("", self._clocks.close_all(instant).progress)]

    def end(self, outputs: Outputs) -> list[Offered]:
        return [] if self._clocks.logs else self.close_all(END_OF_TIME, outputs)

    def set_reach(self, reach_us: int) -> None:
        assert self.pipeline.door is not None
        self.pipeline.door.set_reach(reach_us)

    def share(self, accounting: Accounting) -> None:
        self.pipeline.accounting = accounting


@dataclass(frozen=True)
class MadeSide:
    """A stream that is derived itself; its tail is the door to the stream made of it."""

    pipeline: DerivedPipeline
    _offered: list[Offered] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pipeline.hand_on = self._hand_on  # type: ignore[method-assign] # the rows go to another stream

    def _hand_on(self, outputs: Outputs, batch: Batch | None) -> None:
        if batch is not None:
            self._offered.extend(self._tail.take(outputs, batch, 0))
        elif self.reached != END_OF_TIME:
            from eventide.engine.derived import LOG

            self._offered.extend(self._tail.finish(outputs, LOG))

    @property
    def _tail(self) -> ReadSide:
        return ReadSide(self.pipeline.tail)

    @property
    def columns(self) -> Types:
        return self._tail.columns

    @property
    def late_columns(self) -> Types:
        hidden = {*REASON}
        return {name: kind for name, kind in _visible(self.pipeline.output_schema(LATE)).items() if name not in hidden}

    @property
    def reached(self) -> int:
        return self._tail.reached

    @property
    def reach_us(self) -> int:
        return self.pipeline.derived_reach_us

    def _after(self, outputs: Outputs, made: Outputs) -> list[Offered]:
        for name, frames in made.items():
            outputs.setdefault(name, []).extend(frames)
        offered = list(self._offered)
        self._offered.clear()
        return offered

    def take(self, outputs: Outputs, batch: Batch, source: int) -> list[Offered]:
        return self._after(outputs, self.pipeline.process(batch, source))

    def finish(self, outputs: Outputs, log: str) -> list[Offered]:
        return self._after(outputs, self.pipeline.finish(log))

    def declare_idle(self, outputs: Outputs, log: str) -> list[Offered]:
        return self._after(outputs, self.pipeline.declare_idle(log))

    def close_all(self, instant: int, outputs: Outputs) -> list[Offered]:
        return self._after(outputs, self.pipeline.close_all(instant))

    def end(self, outputs: Outputs) -> list[Offered]:
        return self._after(outputs, self.pipeline.end())

    def set_reach(self, reach_us: int) -> None:
        self.pipeline.set_reach(reach_us)

    def share(self, accounting: Accounting) -> None:
        self.pipeline.share(accounting)


def side_of(pipeline: Pipeline) -> Side:
    """The side that a pipeline is."""
    from eventide.engine.derived import DerivedPipeline

    return MadeSide(pipeline) if isinstance(pipeline, DerivedPipeline) else ReadSide(pipeline)


def _moved(log: str, progress: Progress) -> Offered:
    return Offered(log, None, _common(progress))


def _common(progress: Progress) -> CommonProgress:
    assert isinstance(progress, CommonProgress)
    return progress


def _visible(columns: Types) -> Types:
    return {name: kind for name, kind in columns.items() if not name.startswith("_")}
