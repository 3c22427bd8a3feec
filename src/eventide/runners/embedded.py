"""The embedded runner: a plan at work in this process.

Law: settings of a run change its speed and what is shown, never the answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from eventide.engine.loop import Loop
from eventide.engine.monitor import Measured
from eventide.engine.pipeline import Pipeline
from eventide.engine.preview import preview
from eventide.flow import Position, ReadContext, SystemClock, WallClock, is_remote
from eventide.instants import Duration, When, positive_us
from eventide.plan import Plan
from eventide.plan.check import check
from eventide.plan.given import names_of
from eventide.runners.bounds import means_of
from eventide.runners.inspection import Desk, Inspection
from eventide.runners.outcome import Outcome
from eventide.runners.outlets import Outlets, open_outlets
from eventide.runners.show import Show, say

if TYPE_CHECKING:
    from eventide.engine.epochs import StateFolder
    from eventide.engine.explanation import EventExplanation, Moment, WindowExplanation
    from eventide.engine.workers import Worker
    from eventide.runners.durable import Durable


@dataclass(frozen=True)
class Running:
    """What an observer of a run may look at: its pipeline (accounting, clocks) and whether it shall stop.

    `explain` and `explain_event` may be called from any thread: the run answers between two batches.
    """

    pipeline: Pipeline
    stop: threading.Event
    frames: Callable[[], Mapping[str, pl.DataFrame]] = dict
    desk: Desk = field(default_factory=Desk)
    workers: Sequence[Worker] = ()

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
    state: str | PathLike[str] | StateFolder | None = None,
    checkpoint_every: Duration = "10s",
    checkpoints_kept: int = 3,
    start_from: str | PathLike[str] | None = None,
    memory: int | str | None = None,
    keys_most: int | None = None,
    spill: str | PathLike[str] | None = None,
) -> Outcome:
    """Run a plan in this process until its input ends, or until `stop` is set.

    `show` prints windows as they close and then the accounting. Outputs that have no sink are kept in memory; `keep`
    names others to keep as well. `rows_max` fixes the rows of a batch (the answer does not depend on it). `workers` is
    how many processes hold the windows, each those of its share of the keys (`docs/scale.md` says when that pays).
    `clock` is the wall clock. `commit_every` is how often sinks make visible what they got. `observe` gets the run at
    its start and returns a function that is called after every batch.

    With a `state` folder (a path, or an address such as `s3://bucket/job`) the run goes on where the last one with that
    folder stopped or was killed. It works in epochs: every `checkpoint_every` it writes a checkpoint (the last
    `checkpoints_kept` stay), and only then shows the epoch's rows in sinks that take epochs, which have each row
    exactly once; `docs/delivery.md` says what other sinks promise. `start_from` is a savepoint to begin at, with an
    empty state folder.

    `memory` (such as "2GB") bounds what the run remembers: half of it is for windows and copies, which beyond that go
    to files in `spill` (the system's folder for temporary files unless given), half for the names of keys.
    `keys_most` is how many different keys a run knows, 50,000,000 or as many as the memory has room for: rows of any
    other key are dead letters. `docs/scale.md` says what the process takes beside it.

    Raises `PlanError` with everything that is wrong with the plan before anything is read, `CheckpointError` when the
    state is damaged, in use, or belongs to another plan, `WorkerError` when a worker process ends.
    """
    check(plan)
    _check_kept(plan, keep)
    if rows_max is not None and rows_max < 1:
        raise ValueError(f"rows_max={rows_max} must be at least 1: the rows of a batch")
    if state is None and start_from is not None:
        raise ValueError(f"start_from={str(start_from)!r} needs a state folder of its own: give state= too")
    every_us = positive_us(checkpoint_every, "checkpoint_every")
    wall = clock or SystemClock()
    shown = Show() if show else None
    context = ReadContext(wall)
    with ExitStack() as held:
        means = means_of(held, workers=workers, memory=memory, keys_most=keys_most, spill=spill)
        pipeline = Pipeline.of(plan, 1, wall, means)
        started = () if means.crew is None else means.crew.workers
        if means.crew is not None and not started:
            say(f"the plan has no windows, so workers={workers} has nothing to spread: the run takes one process")
        durable, starts = None, dict[int, dict[str, Position]]()
        if state is not None:
            from eventide.engine.epochs import StateFolder, locked
            from eventide.runners.durable import Durable

            folder = state if isinstance(state, StateFolder) else StateFolder.at(state, checkpoints_kept)
            folder.pieces.enabled = memory is None  # what changed is found beside a copy of what was
            held.enter_context(locked(folder))
            context = ReadContext(wall, disk=folder.disk, state=folder.path)
            durable = Durable(plan, pipeline, folder, wall)
            held.callback(durable.close)
            starts = durable.resume(_savepoint(start_from, folder))
        loop = Loop(plan, pipeline, lambda outputs: None, context, rows_max, stop or threading.Event(), starts=starts)
        if durable is not None:
            loop.names, loop.marks = durable.sources, durable.marks
        before = pipeline.accounting.total.received
        preview(plan, pipeline, context, starts)
        watchers = [shown.frame] if shown else []
        outlets = open_outlets(plan, pipeline, keep, watchers, durable.open_writer if durable else None)
        loop.take = outlets.take
        pipeline.relay = outlets.take
        desk = Desk()
        held.callback(desk.close)
        beats: list[Beat] = [desk.serve]
        if observe is not None:
            beats.append(observe(Running(pipeline, loop.stop, outlets.frames, desk, started)))
        began_us = wall.now_us()
        finished = (
            _drive(loop, outlets, beats, positive_us(commit_every, "commit_every"))
            if durable is None
            else _drive_epochs(loop, outlets, beats, durable, every_us)
        )
        pipeline.come_home()
    outcome = Outcome(
        outlets.frames(),
        pipeline.accounting,
        finished,
        pipeline.stream_watermark,
        max(wall.now_us() - began_us, 1),
        pipeline,
        outlets.deliveries(),
        outlets.undelivered(),
        before,
        tuple(loop.notes.values()),
    )
    if shown is not None:
        shown.end(outcome)
    return outcome


def _check_kept(plan: Plan, keep: Sequence[str] | None) -> None:
    """Refuse names to keep that are no outputs."""
    names = () if keep is None else names_of(keep, "keep")
    unknown = [name for name in names if name not in plan.outputs]
    if unknown:
        raise ValueError(f"keep={unknown!r}: there is no such output, outputs are {', '.join(plan.outputs)}")


def _savepoint(address: str | PathLike[str] | None, folder: StateFolder) -> StateFolder | None:
    """Where a run begins: paths are on the disk of the run's own files."""
    if address is None:
        return None
    from eventide.engine.epochs import StateFolder

    return StateFolder.at(address) if is_remote(address) else StateFolder(Path(address), folder.files)


Beat = Callable[[], None]


def _drive(loop: Loop, outlets: Outlets, beats: list[Beat], every_us: int) -> bool:
    """Run to the end, committing now and then."""

    def commit() -> None:
        outlets.commit()
        loop.decided(loop.positions(), loop.positions())

    loop.beat = _beats([_every(loop, every_us, commit), *beats])
    loop.leave = lambda finished: commit()
    try:
        finished = loop.run()
    except BaseException:
        outlets.abort()
        raise
    outlets.close()
    return finished


def _drive_epochs(loop: Loop, outlets: Outlets, beats: list[Beat], durable: Durable, every_us: int) -> bool:
    """Run to the end in epochs."""
    decide = lambda: durable.decide(loop, outlets.commit)  # noqa: E731 - said once, used once
    loop.beat = _beats([_every(loop, every_us, decide), *beats])
    loop.leave = lambda finished: durable.decide(loop, outlets.commit, finished=finished)
    try:
        durable.recover()
        finished = loop.run()
    except BaseException:
        outlets.abort()
        raise
    outlets.close()
    return finished


def _beats(beats: list[Beat]) -> Beat:
    def beat() -> None:
        for one in beats:
            one()

    return beat


def _every(loop: Loop, every_us: int, work: Beat) -> Beat:
    """Does the work when so much wall time has passed since the last time."""
    clock = loop.context.clock
    last_us = clock.now_us()

    def beat() -> None:
        nonlocal last_us
        if clock.now_us() - last_us >= every_us:
            work()
            last_us = clock.now_us()

    return beat
