"""The contract of a source: named logs, each read in order from a position.

Law: reading a log again from a position gives the same rows with the same offsets. A source never judges lateness and
never drops a row: what it cannot read goes into `Batch.refused` with its reason.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl

from eventide.flow.batch import Batch
from eventide.flow.clock import SystemClock, WallClock
from eventide.flow.disk import Disk, SystemDisk

Position = Mapping[str, int | str | None]
"""Where a reader stands in its log: plain values that JSON can hold. `{"offset": n}` at least."""


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a reader may use of the outside: the wall clock, a signal to set when new rows are there, and the disk. In a
    run that keeps its state, `state` is the folder below which a source may keep what it needs for the next run.
    """

    clock: WallClock = field(default_factory=SystemClock)
    wake: threading.Event = field(default_factory=threading.Event)
    disk: Disk = field(default_factory=SystemDisk)
    state: Path | None = None


class LogReader(Protocol):
    """Reads one log in order."""

    @property
    def log(self) -> str:
        """The log's name, unique in its source."""

    @property
    def finished(self) -> bool:
        """True when the log has ended and every row was handed out. A log that may grow is never finished."""

    def read(self, rows_max: int) -> Batch | None:
        """The next rows, at most `rows_max`; None when nothing is there now. Never blocks for longer than a disk
        read.
        """

    def position(self) -> Position:
        """Where the next `read` begins."""

    def close(self) -> None:
        """Release what is held."""


@runtime_checkable
class GappedReader(LogReader, Protocol):
    """A reader of a log that leaves offsets out, as Kafka's do where it was compacted."""

    def read_before(self, offset: int, rows_max: int) -> Batch | None:
        """As `read`, with smaller offsets only; where none is left in front of `offset`, that becomes the position."""


@runtime_checkable
class Acknowledged(LogReader, Protocol):
    """A reader of a log that lets go of what was taken, as a queue does when its messages are acknowledged."""

    def decided(self, position: Position, oldest: Position) -> None:
        """The run will not ask again for what stands in front of `position`.

        In a run that keeps its state: a checkpoint with this position is on the disk, and the sinks have its epoch.
        Only a damaged checkpoint makes the run go back, and never in front of `oldest`, where the oldest checkpoint
        stands that is kept (offset 0 where that one did not know the log). In a run without: all of it went through the
        engine, and sinks have committed what came out; `oldest` is the same.

        Called by the thread that reads, after each epoch or commit that something happened in, and once more before
        the source is closed in order; not after a fault. It must not wait for a server.
        """


class LogSet(Protocol):
    """An opened source: its readers so far. `discover` may add logs later (a followed directory, new partitions)."""

    def discover(self) -> Sequence[LogReader]:
        """Readers of logs that were not handed out yet. The first call gives those there at the start."""

    @property
    def may_grow(self) -> bool:
        """True when `discover` may still find logs."""

    def close(self) -> None:
        """Release what is held, the readers included."""


@runtime_checkable
class Source(Protocol):
    """Where events come from: a frozen value that opens into readers."""

    @property
    def name(self) -> str:
        """A short name for messages, dead letters and metrics."""

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        """The user's columns and their types, known before anything is read."""

    @property
    def single_log(self) -> bool:
        """True when this source can never have more than one log."""

    @property
    def bounded(self) -> bool:
        """True when every log ends by itself."""

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        """Open for reading, each log named in `positions` from there, others from their start."""


@runtime_checkable
class Fingerprinted(Protocol):
    """A source that can tell cheaply whether what it would read may have changed."""

    def fingerprint(self) -> str:
        """A text that differs when sizes or times of the files behind it do."""


@runtime_checkable
class Distant(Fingerprinted, Protocol):
    """A source whose fingerprint a server is asked for, which may raise `SourceError`."""

    @property
    def looks_every_us(self) -> int:
        """How long a look at it holds, so that the server is not asked for every batch."""
