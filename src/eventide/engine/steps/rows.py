"""The steps between the door and what follows it, those with a memory among them.

Law: every row that goes in comes out, or is counted as filtered or as a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from eventide.engine.accounting import Account
from eventide.engine.memory import Memory
from eventide.engine.steps.copies import copies_of
from eventide.engine.steps.shape import shape, shaped_schema
from eventide.engine.steps.sides import SideTables
from eventide.plan import Deduplicate, Enrich, MapBatches, Select, Step, WithColumns


def own_steps(steps: Sequence[Step]) -> tuple[int, Sequence[Step]]:
    """How many times these steps deduplicate, and the steps behind the last time."""
    numbers = [number for number, step in enumerate(steps) if isinstance(step, Deduplicate)]
    return len(numbers), steps[max(numbers, default=-1) + 1 :]


def _makes(steps: Sequence[Step], name: str | None) -> bool:
    """True when one of the steps may put other values into a column."""
    for step in steps:
        match step:
            case WithColumns(columns):
                if name in dict(columns):
                    return True
            case Select() | MapBatches():
                return True
    return False


class RowSteps:
    """The steps of one section of a plan. `head` goes up to the last `deduplicate`, `tail` is the rest."""

    def __init__(
        self,
        steps: Sequence[Step],
        sides: SideTables,
        types: Mapping[str, pl.DataType],
        time: str | None,
        memory: Memory | None = None,
    ) -> None:
        """`types` are those of rows in front of the steps, `time` is the column of event time."""
        self._sides = sides
        _, self._tail = own_steps(steps)
        self._head = steps[: len(steps) - len(self._tail)]
        self._copies = {
            number: copies_of(
                step,
                shaped_schema(dict(types), steps[:number]),
                time in step.by and not _makes(steps[:number], time),
                memory,
            )
            for number, step in enumerate(steps)
            if isinstance(step, Deduplicate)
        }

    def head(self, log: str, rows: pl.DataFrame, reached: int, account: Account) -> list[pl.DataFrame]:
        """The rows (with event times and W_before) as they come in and behind each `deduplicate`.

        `reached` is the log's watermark behind them.
        """
        stages = [rows]
        for number, step in enumerate(self._head):
            if number in self._copies:
                kept = self._copies[number].drop(log, rows, reached)
                account.duplicates += rows.height - kept.height
                stages.append(kept)
            else:
                kept = self._applied(log, rows, step)
                account.filtered += rows.height - kept.height
            rows = kept
        return stages

    def tail(self, log: str, rows: pl.DataFrame, account: Account) -> pl.DataFrame:
        """The rows behind the other steps."""
        kept = rows
        for step in self._tail:
            kept = self._applied(log, kept, step)
        account.filtered += rows.height - kept.height
        return kept

    def branch(self, rows: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
        """The rows behind the steps of another output; nothing is counted twice."""
        for step in steps:
            rows = self._sides.enrich(None, rows, step, False) if isinstance(step, Enrich) else shape(rows, [step])
        return rows

    def _applied(self, log: str, rows: pl.DataFrame, step: Step) -> pl.DataFrame:
        return self._sides.enrich(log, rows, step) if isinstance(step, Enrich) else shape(rows, [step])

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """What the steps remember."""
        return {str(number): one.saved() for number, one in self._copies.items()}

    has_pieces = True

    def pieces(self) -> Iterator[dict[str, pl.DataFrame]]:
        """The frames of `snapshot` in parts."""
        for number, one in self._copies.items():
            for part in one.parts():
                yield {str(number): part}

    def restore(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot."""
        for number, frame in frames.items():
            self._copies[int(number)].restore(frame)
