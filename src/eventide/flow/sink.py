"""The contract of a sink: frames of an output, written in order, made visible by a commit.

Law: what `write` took is visible to readers only after `commit`; `abort` leaves what the last commit made visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import polars as pl


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
