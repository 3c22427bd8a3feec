"""The contract of a source: named logs, each read in order from a position.

Law: reading a log again from a position gives the same rows with the same offsets. A source never judges lateness and
never drops a row: what it cannot read goes into `Batch.refused` with its reason.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import polars as pl

from eventide.flow.batch import Batch
from eventide.flow.clock import SystemClock, WallClock

Position = Mapping[str, int | str | None]
"""Where a reader stands in its log: plain values that JSON can hold. `{"offset": n}` at least."""


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a reader may use of the outside: the wall clock and a signal to set when new rows are there."""

    clock: WallClock = field(default_factory=SystemClock)
    wake: threading.Event = field(default_factory=threading.Event)


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
