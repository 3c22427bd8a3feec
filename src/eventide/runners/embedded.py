"""The embedded runner: a plan at work in this process.

Law: settings of a run change its speed and what is shown, never the answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from eventide.engine.loop import Loop
from eventide.engine.monitor import Measured
from eventide.engine.pipeline import Pipeline
from eventide.engine.preview import preview
from eventide.flow import ReadContext, SystemClock, WallClock
from eventide.instants import Duration, When, positive_us
from eventide.plan import Plan
from eventide.plan.check import check
from eventide.runners.inspection import Desk, Inspection
from eventide.runners.outcome import Outcome
from eventide.runners.outlets import Outlets, open_outlets
from eventide.runners.show import Show

if TYPE_CHECKING:
    from eventide.engine.explanation import EventExplanation, Moment, WindowExplanation


@dataclass(frozen=True)
class Running:
    """What an observer of a run may look at: its pipeline (accounting, clocks) and whether it shall stop.

    `explain` and `explain_event` may be called from any thread: the run answers between two batches.
    """

    pipeline: Pipeline
    stop: threading.Event
    frames: Callable[[], Mapping[str, pl.DataFrame]] = dict
    desk: Desk = field(default_factory=Desk)

    def inspect(self) -> Inspection:
        """The present moment, to be asked."""
        return Inspection(self.desk.ask(self._look))

    def explain(self, *, key: object = None, at: When, reread: bool = True) -> WindowExplanation:
        """A window as it is now. Arguments as in `Inspection.explain`."""
        return self.inspect().explain(key=key, at=at, reread=reread)

    def explain_event(
        self, *, log: str | None = None, offset: int | None = None, values: Mapping[str, object] | None = None
    ) -> EventExplanation:
        """What became of an event read so far. Arguments as in `Inspection.explain_event`."""
        return self.inspect().explain_event(log=log, offset=offset, values=values)

    def _look(self) -> Moment:
        from eventide.engine.explanation import Moment

        return Moment(self.pipeline.plan, self.pipeline.snapshot(), self.frames(), self.desk.over)

    @property
    def lateness(self) -> Measured | None:
        """How far events came behind so far; None without event time."""
        return self.pipeline.measured()


def run(  # noqa: PLR0913 - settings of a run, each with a default
    plan: Plan,
    *,
    show: bool = True,
    keep: Sequence[str] | None = None,
    rows_max: int | None = None,
    workers: int = 1,
    clock: WallClock | None = None,
    commit_every: Duration = "5s",
    stop: threading.Event | None = None,
    observe: Callable[[Running], Callable[[], None]] | None = None,
) -> Outcome:
    """Run a plan in this process until its input ends, or until `stop` is set.

    `show` prints windows as they close and then the accounting. Outputs that have no sink are kept in memory; `keep`
    names others to keep as well. `rows_max` fixes the rows of a batch (the answer does not depend on it). `workers`
    spreads the keys over so many independent states. `clock` is the wall clock. `commit_every` is how often sinks
    make visible what they got. `observe` gets the run at its start and returns a function that is called after every
    batch.

    Raises `PlanError` with everything that is wrong with the plan before anything is read.
    """
    check(plan)
    wall = clock or SystemClock()
    context = ReadContext(wall)
    pipeline = Pipeline.of(plan, workers, wall)
    preview(plan, pipeline, ReadContext(wall))
    shown = Show() if show else None
    outlets = open_outlets(plan, pipeline, keep, [shown.frame] if shown else [])
    halt = stop or threading.Event()
    beats = [_committer(outlets, wall, positive_us(commit_every, "commit_every"))]
    desk = Desk()
    beats.append(desk.serve)
    if observe is not None:
        beats.append(observe(Running(pipeline, halt, outlets.frames, desk)))

    def beat() -> None:
        for one in beats:
            one()

    loop = Loop(plan, pipeline, outlets.take, context, rows_max, halt, beat)
    began_us = wall.now_us()
    try:
        finished = loop.run()
    except BaseException:
        outlets.abort()
        raise
    finally:
        desk.close()
    outlets.close()
    outcome = Outcome(
        outlets.frames(),
        pipeline.accounting,
        finished,
        pipeline.stream_watermark,
        max(wall.now_us() - began_us, 1),
        pipeline,
        outlets.deliveries(),
        outlets.undelivered(),
    )
    if shown is not None:
        shown.end(outcome)
    return outcome


def _committer(outlets: Outlets, clock: WallClock, every_us: int) -> Callable[[], None]:
    """Commits when so much wall time has passed since the last time."""
    last_us = clock.now_us()

    def commit() -> None:
        nonlocal last_us
        if clock.now_us() - last_us >= every_us:
            outlets.commit()
            last_us = clock.now_us()

    return commit
