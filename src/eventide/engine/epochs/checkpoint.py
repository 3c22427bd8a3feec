"""A checkpoint: one decided epoch - the range of every log, the rows for the sinks, and all that the run remembers.

Law: a run that starts from a checkpoint goes on exactly where the one that made it stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.epochs.fingerprint import Fingerprint
from eventide.engine.snapshot import Snapshot
from eventide.flow import Position, Stand


@dataclass(frozen=True, slots=True)
class Span:
    """The range of a log that an epoch covers: from where, and where the next epoch goes on."""

    start: Position
    end: Position


Logs = Mapping[str, Mapping[str, Span]]
"""Ranges by the source's name in the fingerprint, and by log."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Epoch number `epoch` of a run.

    `rows` are the outputs of this epoch for sinks that take epochs, `stands` where those sinks stood before it,
    `marks` the number of the last mark of idleness that lies behind it. `finished` is true when the input had ended.
    `hash` is what the hashes of distinct counts were for fixed values.
    """

    run: str
    epoch: int
    plan: Fingerprint
    logs: Logs
    state: Snapshot
    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    stands: Mapping[str, Stand] = field(default_factory=dict)
    marks: int = 0
    finished: bool = False
    written_us: int = 0
    hash: int = 0

    def positions(self, source: str) -> dict[str, Position]:
        """Where the next epoch goes on in each log of a source."""
        return {log: span.end for log, span in self.logs.get(source, {}).items()}
