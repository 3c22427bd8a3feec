"""The contract of a sink: frames of an output, written in order, made visible by a commit; or whole epochs, each
visible once.

Law: what `write` took is visible to readers only after `commit`; `abort` leaves what the last commit made visible. An
epoch is visible entirely or not at all, whatever crashes when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import polars as pl

from eventide.flow.disk import Disk, SystemDisk

Stand = Mapping[str, int | str | None]
"""Where a sink stands between two epochs: plain values that JSON can hold; empty where the sink itself knows."""


class Writer(Protocol):
    """An opened sink."""

    def write(self, frame: pl.DataFrame) -> None:
        """Take rows, in order. Frames of one writer all have the same columns."""

    def commit(self) -> None:
        """Make everything written so far visible."""

    def close(self) -> None:
        """Commit what is left and release what is held."""

    def abort(self) -> None:
        """Release what is held without making the rest visible."""


@runtime_checkable
class Delivering(Protocol):
    """A writer whose rows leave as messages that may fail one by one."""

    def deliveries(self) -> dict[str, dict[str, int]]:
        """How many messages were sent, failed and dropped, by target."""

    def undelivered(self) -> pl.DataFrame:
        """Messages that did not arrive, with the reason."""


@runtime_checkable
class Sink(Protocol):
    """Where an output goes: a frozen value that opens into a writer."""

    @property
    def name(self) -> str:
        """A short name for messages and metrics."""

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        """Open for the named output (`results`, `late`, `dead_letters` or the user's own), whose frames have `columns`.

        `identity` names the columns that identify a row (empty where every row is its own): a sink that can upsert
        uses them. A frame may have a column `op` whose value `"retract"` takes a row back.
        """


@dataclass(frozen=True, slots=True)
class Opening:
    """What a sink that is opened for epochs has to know: the output, its columns, the columns that identify a row, and
    the name of the run, which stays the same over all its restarts.
    """

    output: str
    columns: Mapping[str, pl.DataType]
    identity: Sequence[str]
    run: str
    disk: Disk = field(default_factory=SystemDisk)


class EpochWriter(Protocol):
    """A sink opened for epochs.

    The rows of an epoch, and the sink's stand before it, are in a checkpoint on the disk before the sink hears of them.
    So a sink needs no promise beforehand: whatever happens while it takes an epoch, it gets the same rows again.
    """

    def stand(self) -> Stand:
        """Where the sink stands now, before the next epoch."""

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        """Make the rows of the next epoch visible, entirely, and sure to last. There may be none."""

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        """After a restart: be where `deliver(epoch, rows)` on top of `stand` leads, whether that was done before,
        in part or not, and take back what later epochs left. Epoch 0 is before anything was delivered.
        """

    def close(self) -> None:
        """Release what is held; nothing more becomes visible."""


@runtime_checkable
class EpochSink(Sink, Protocol):
    """A sink that shows each epoch exactly once. Other sinks get rows as they come out, at least once."""

    def open_epochs(self, opening: Opening) -> EpochWriter:
        """Open for the epochs of a run."""
