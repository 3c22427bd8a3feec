"""Outlets: where the frames of each output go - to its sinks, into memory, onto the screen.

Law: every frame of an output goes to all its sinks, in order; nothing is dropped between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.flow import Delivering, Writer
from eventide.plan import ALERTS, DEAD_LETTERS, LATE, Plan

_IDENTITY = ("window_start", "log", "window_number")


@dataclass
class Outlets:
    """The opened sinks and the kept frames of a run."""

    schemas: Mapping[str, Mapping[str, pl.DataType]]
    writers: Mapping[str, Sequence[Writer]]
    kept: dict[str, list[pl.DataFrame]]
    watchers: Sequence[Callable[[str, pl.DataFrame], None]] = field(default_factory=tuple)
    uncommitted: bool = False

    def take(self, outputs: Outputs) -> None:
        """Hand on what came out of one batch."""
        for name, frames in outputs.items():
            for frame in frames:
                for writer in self.writers.get(name, ()):
                    writer.write(frame)
                    self.uncommitted = True
                if name in self.kept:
                    self.kept[name].append(frame)
                for watch in self.watchers:
                    watch(name, frame)

    def commit(self) -> None:
        """Make everything written so far visible in all sinks."""
        if self.uncommitted:
            for writer in self._all():
                writer.commit()
            self.uncommitted = False

    def close(self) -> None:
        """Commit and release all sinks, whatever becomes of one of them."""
        with ExitStack() as held:
            for writer in reversed(self._all()):
                held.callback(writer.close)

    def abort(self) -> None:
        """Release all sinks without making the rest visible, whatever becomes of one of them."""
        with ExitStack() as held:
            for writer in reversed(self._all()):
                held.callback(writer.abort)

    def deliveries(self) -> dict[str, dict[str, int]]:
        """What became of the messages of sinks that notify, by target."""
        counts: dict[str, dict[str, int]] = {}
        for writer in self._all():
            for target, found in writer.deliveries().items() if isinstance(writer, Delivering) else ():
                before = counts.setdefault(target, {})
                before.update({fate: before.get(fate, 0) + number for fate, number in found.items()})
        return counts

    def undelivered(self) -> pl.DataFrame:
        """The messages that did not arrive."""
        frames = [writer.undelivered() for writer in self._all() if isinstance(writer, Delivering)]
        return pl.concat(frames) if frames else pl.DataFrame()

    def frames(self) -> dict[str, pl.DataFrame]:
        """The kept outputs, each as one frame."""
        made = {}
        for name, frames in self.kept.items():
            empty = pl.DataFrame(schema=dict(self.schemas[name]))
            made[name] = pl.concat([empty, *frames], how="vertical_relaxed") if frames else empty
        return made

    def _all(self) -> list[Writer]:
        return [writer for writers in self.writers.values() for writer in writers]


OpenWriter = Callable[[int, Mapping[str, pl.DataType], Sequence[str]], Writer]
"""Opens the plan's write of this number for an output with these columns and this identity."""


def open_outlets(
    plan: Plan,
    pipeline: Pipeline,
    keep: Sequence[str] | None,
    watchers: Sequence[Callable[[str, pl.DataFrame], None]],
    open_writer: OpenWriter | None = None,
) -> Outlets:
    """Open the sinks of a plan. Outputs without a sink are kept in memory, and those that `keep` names."""

    def opened(number: int, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        return plan.writes[number].sink.open(plan.writes[number].output, columns, identity)

    schemas = {name: pipeline.output_schema(name) for name in plan.outputs}
    writers: dict[str, list[Writer]] = {}
    own = {LATE, DEAD_LETTERS, ALERTS, *(rate.name for rate in plan.rates)}  # every row stands for itself
    for number, write in enumerate(plan.writes):
        identity = identity_of(plan, schemas[write.output]) if write.output not in own else ()
        try:
            writer = (open_writer or opened)(number, schemas[write.output], identity)
        except BaseException:
            for other in (one for several in writers.values() for one in several):
                other.abort()
            raise
        writers.setdefault(write.output, []).append(writer)
    kept = [name for name in plan.outputs if name not in writers or name in (keep or ())]
    return Outlets(schemas, writers, {name: [] for name in kept}, watchers)


def identity_of(plan: Plan, columns: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    """The columns that identify a result row: the keys and the window."""
    if plan.aggregate is None:
        return ()
    wanted = (*plan.aggregate.keys, *_IDENTITY)
    return tuple(name for name in wanted if name in columns)
