"""Row-wise steps inside a chain: of events, where filtered rows are counted, and of results, where they are taken back.

Law: a row-wise step remembers nothing but which results it let pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from eventide.engine.aggregates import LOG_NAME
from eventide.engine.detection.stage import Frames, Taken
from eventide.engine.steps.shape import LookUp, ResultShape, shape
from eventide.plan import RowStep


class EventRows:
    """Steps over events."""

    def __init__(self, steps: Sequence[RowStep]) -> None:
        self._steps = tuple(steps)

    def take(self, given: Taken) -> Taken:
        rows = shape(given.rows, self._steps)
        waiting = None if given.waiting is None else shape(given.waiting, self._steps)
        dropped = given.dropped
        if rows.height < given.rows.height:
            dropped = _add(dropped, _counts(given.rows), _counts(rows))
        return replace(given, rows=rows, waiting=waiting, dropped=dropped)

    def snapshot(self) -> Frames:
        return {}

    def restore(self, frames: Frames) -> None:
        """There is nothing to remember."""


class ResultRows:
    """Steps over results that may be revised."""

    def __init__(self, steps: Sequence[RowStep], identity: Sequence[str], look_up: LookUp) -> None:
        self._shape = ResultShape(steps, identity, look_up)

    def take(self, given: Taken) -> Taken:
        return replace(given, rows=self._shape.shape(given.rows))

    def snapshot(self) -> Frames:
        return {} if self._shape.passed is None else {"passed": self._shape.passed}

    def restore(self, frames: Frames) -> None:
        self._shape.passed = frames.get("passed")


def _counts(rows: pl.DataFrame) -> dict[str, int]:
    counted = rows.group_by(LOG_NAME).len()
    return dict(zip(counted.get_column(LOG_NAME).to_list(), counted.get_column("len").to_list(), strict=True))


def _add(dropped: object, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    assert isinstance(dropped, dict)
    return {log: dropped.get(log, 0) + before.get(log, 0) - after.get(log, 0) for log in {**dropped, **before}}
