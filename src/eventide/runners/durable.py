"""A run that keeps its state: epochs are decided on the disk, shown in the sinks, and gone on from after any stop.

Law: first the checkpoint, then the sinks. What a crash cuts off is either not decided, and comes again from the logs,
or decided, and comes again from the checkpoint; sinks that take epochs tell the two apart.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache

import polars as pl

from eventide.engine.clocks.strategies import StrategyState
from eventide.engine.epochs import (
    Checkpoint,
    Marks,
    Span,
    StateFolder,
    fingerprint,
    fit,
    hash_sample,
    read_checkpoint,
    sink_names,
    source_names,
)
from eventide.engine.loop import Loop
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.errors import CheckpointError, SinkError
from eventide.flow import EpochSink, EpochWriter, Opening, Position, WallClock, Writer
from eventide.instants import NO_WATERMARK, instant_text
from eventide.plan import Plan
from eventide.runners.show import say

Schema = Mapping[str, pl.DataType]


@dataclass
class Outbox:
    """Holds the rows of an output until their epoch is decided."""

    output: str
    frames: list[pl.DataFrame]

    def write(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def commit(self) -> None:
        """Rows become visible with their epoch."""

    def close(self) -> None:
        """There is nothing to release."""

    def abort(self) -> None:
        """What is not decided is forgotten: it comes again from the logs."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A checkpoint that the run may go back to: its last mark of idleness, and where it stands in the logs."""

    epoch: int
    marks: int
    ends: Mapping[str, Mapping[str, Position]]


@dataclass
class Durable:
    """The epochs of one run of a plan, kept in a state folder that this run has locked."""

    plan: Plan
    pipeline: Pipeline
    folder: StateFolder
    clock: WallClock
    say: Callable[[str], None] = say
    run: str = ""
    epoch: int = 0
    _loaded: Checkpoint | None = None
    _ends: dict[str, dict[str, Position]] = field(default_factory=dict)
    _last: object = None
    _boxes: dict[str, Outbox] = field(default_factory=dict)
    _schemas: dict[str, Schema] = field(default_factory=dict)
    _writers: dict[str, EpochWriter] = field(default_factory=dict)
    _kept: deque[_Kept] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.sources = source_names(self.plan)
        self.sinks = sink_names(self.plan)
        self.fingerprint = fingerprint(self.plan, self.pipeline)

    def resume(self, start_from: StateFolder | None = None) -> dict[int, dict[str, Position]]:
        """Bring the pipeline to where the folder's newest whole checkpoint, or a savepoint, left it; gives the
        positions at which sources begin. Raises `CheckpointError`, with nothing written, when the state does not fit
        the plan.
        """
        found = self._found(start_from)
        self.run = uuid.uuid4().hex if found is None else found.run
        self.marks = Marks(self.folder.disk, self.folder.marks, 0 if found is None else found.marks)
        if found is None:
            return {}
        notes = fit(found.plan, self.fingerprint)
        self._check_hashes(found)
        self._restore(found)
        self.epoch, self._loaded = found.epoch, found
        self._ends = {name: found.positions(name) for name in self.sources.values()}
        self._last = self._standing(found.finished)
        if start_from is not None:
            self._write(found)
        self._look_back()
        watermark = self.pipeline.stream_watermark
        at = f", watermark {instant_text(watermark)}" if watermark not in (None, NO_WATERMARK) else ""
        self.say(f"goes on behind epoch {found.epoch} of {(start_from or self.folder).path}{at}")
        for note in notes:
            self.say(note)
        return {number: self._ends[name] for number, name in self.sources.items()}

    def _found(self, start_from: StateFolder | None) -> Checkpoint | None:
        if start_from is not None:
            if self.folder.epochs():
                raise CheckpointError(
                    f"{self.folder.path} holds a state already: to start from {start_from.path}, give an empty folder"
                )
            return read_checkpoint(start_from.path, start_from.disk)
        newest = self.folder.newest()
        for damage in newest.damaged:
            self.say(f"WARNING: {damage}. The one before is used; what came after it is read again")
        return newest.checkpoint

    def _look_back(self) -> None:
        """Find out where the checkpoints stand that are there."""
        for epoch in self.folder.epochs():
            try:
                manifest = self.folder.manifest(epoch)
            except CheckpointError:
                continue  # the run cannot go back to it
            ends = {name: {log: span.end for log, span in logs.items()} for name, logs in manifest.logs.items()}
            self._kept.append(_Kept(epoch, manifest.marks, ends))

    def _check_hashes(self, found: Checkpoint) -> None:
        if found.hash != hash_sample() and "distinct" in str(found.plan.steps).lower():
            raise CheckpointError(
                "the state holds distinct counts by other hashes than this version's (up to 0.1.0 they were Polars'), "
                "and the two cannot be counted together: let the version that wrote it go on with it, or begin anew "
                "with another state folder"
            )

    def _restore(self, found: Checkpoint) -> None:
        gone = {f"passed.{name}" for name in found.state.part("passed.")} - {f"passed.{o}" for o in self.plan.outputs}
        frames = {name: frame for name, frame in found.state.frames.items() if name not in gone}
        self.pipeline.restore(Snapshot(found.state.values, frames))
        if found.plan.event_time.get("strategy") != self.fingerprint.event_time.get("strategy"):
            assert self.pipeline.clocks is not None
            for clock in self.pipeline.clocks.logs.values():
                clock.strategy = StrategyState()

    def open_writer(self, number: int, columns: Schema, identity: Sequence[str]) -> Writer:
        """The writer of one of the plan's sinks: an outbox where the sink takes epochs, else the sink's own."""
        write = self.plan.writes[number]
        if not isinstance(write.sink, EpochSink):
            return write.sink.open(write.output, columns, identity)
        if any(one.sink == write.sink for one in self.plan.writes[:number]):
            raise SinkError(f"two outputs go to {write.sink.name}: give each a path or table of its own")
        opening = Opening(write.output, columns, identity, self.run, self.folder.files)
        name = self.sinks[number]
        self._writers[name] = write.sink.open_epochs(opening)
        self._schemas[write.output] = columns
        self._boxes[name] = Outbox(write.output, [])
        return self._boxes[name]

    def recover(self) -> None:
        """Bring the sinks to where the last decided epoch leads, whatever had been shown of it."""
        found = self._loaded
        for name, writer in self._writers.items():
            stand = None if found is None else found.stands.get(name)
            if found is None or stand is None:
                writer.recover(0, self._rows(name), {})
            else:
                writer.recover(found.epoch, found.rows[self._boxes[name].output], stand)

    def decide(self, loop: Loop, commit: Callable[[], None], *, finished: bool = False) -> None:
        """End the epoch: commit sinks that take none, write the checkpoint, show the rows. Without anything new there
        is no epoch.
        """
        ends = {name: self._ends.get(name, {}) | loop.positions().get(name, {}) for name in self.sources.values()}
        starts, self._ends = self._ends, ends
        if self._standing(finished) == self._last and not any(box.frames for box in self._boxes.values()):
            return
        commit()
        rows = {name: self._rows(name) for name in self._boxes}
        checkpoint = Checkpoint(
            self.run,
            self.epoch + 1,
            self.fingerprint,
            {
                name: {log: Span(starts.get(name, {}).get(log, {"offset": 0}), end) for log, end in logs.items()}
                for name, logs in ends.items()
            },
            # where memory is bounded no frame is held beside the state, nor is the state whole in memory
            self.pipeline.snapshot(in_pieces=not self.folder.pieces.enabled),
            {self._boxes[name].output: rows[name] for name in rows},
            {name: writer.stand() for name, writer in self._writers.items()},
            self.marks.last,
            finished,
            self.clock.now_us(),
            hash_sample(),
        )
        self._write(checkpoint)
        self.epoch += 1
        for name, writer in self._writers.items():
            writer.deliver(self.epoch, rows[name])
            self._boxes[name].frames.clear()
        self._last = self._standing(finished)
        self._prune()
        loop.decided(ends, self._kept[0].ends)

    def _standing(self, finished: bool) -> object:
        """What differs between two moments when something has happened."""
        total = replace(self.pipeline.accounting.total)
        return self._ends, total, self.pipeline.stream_watermark, self.marks.last, finished

    def _rows(self, sink: str) -> pl.DataFrame:
        box = self._boxes[sink]
        empty = pl.DataFrame(schema=dict(self._schemas[box.output]))
        return pl.concat([empty, *box.frames], how="vertical_relaxed", rechunk=True)

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            self.folder.write(checkpoint, _version())
        except OSError as fault:
            raise CheckpointError(
                f"cannot write checkpoint {checkpoint.epoch} to {self.folder.path}: {fault.strerror or fault}. Nothing "
                f"of this epoch was shown; mend that and start again to go on behind epoch {self.epoch}"
            ) from None

    def _prune(self) -> None:
        self._kept.append(_Kept(self.epoch, self.marks.last, self._ends))
        try:
            oldest = self.folder.prune(self.epoch)
            while self._kept[0].epoch < oldest:
                self._kept.popleft()
            self.marks.prune(self._kept[0].marks)
        except OSError as fault:
            raise CheckpointError(
                f"cannot remove old checkpoints from {self.folder.path}: {fault.strerror or fault}. Nothing is lost; "
                f"mend that and start again to go on behind epoch {self.epoch}"
            ) from None

    def close(self) -> None:
        """Release the sinks, whatever becomes of one of them."""
        with ExitStack() as held:
            for writer in reversed(self._writers.values()):
                held.callback(writer.close)


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("eventide")
    except PackageNotFoundError:  # run from a folder of sources
        return "unknown"
