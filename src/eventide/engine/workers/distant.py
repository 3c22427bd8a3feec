"""Windows in another process: questions go out to all workers before the first answer is waited for.

Law: what a worker answers is what the same windows would have said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import polars as pl

from eventide.engine.aggregates import LOG_NAME
from eventide.engine.clocks import Progress
from eventide.engine.clocks.travel import packed
from eventide.engine.keys import KeyTable
from eventide.engine.memory import Memory
from eventide.engine.steps.empty import Top
from eventide.engine.steps.judged import Judged, no_late
from eventide.engine.workers.crew import Worker
from eventide.engine.workers.wire import Message

Frames = dict[str, pl.DataFrame]


def distant_settings(memory: Memory | None, by_key: bool) -> dict[str, Any]:
    """How a worker shall keep its windows: how many bytes in memory, where files go beyond that, and whether windows
    close by key.
    """
    limit = None if memory is None else memory.limit_bytes
    folder = None if memory is None or memory.folder is None else str(memory.folder)
    return {"memory": limit, "folder": folder, "by_key": by_key}


_DUE = "due."
_STATE = "state."


class DistantWindows:
    """The windows of one worker. `ask_batch` and `ask_progress` give a function that waits for the answer."""

    def __init__(
        self,
        worker: Worker,
        query: Mapping[str, Any],
        schema: pl.DataFrame,
        keys: KeyTable,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """`query` is the aggregation as plain values; `schema` a frame without rows, with the columns of the rows; for
        `settings` see `distant_settings`.
        """
        self._worker = worker
        self._keys = keys
        self._top: Top | None = None
        self._answer(self._worker.ask("windows", {"query": query, **settings}, {"schema": schema}))

    def share(self, top: Top | None) -> None:
        """Take what all workers share."""
        self._top = top

    def ask_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Callable[[], Judged]:
        """Send the rows of a batch."""
        names = rows.get_column(LOG_NAME)
        one_log = names.min() if rows.height and names.min() == names.max() else None
        values = {"log": log, "one_log": one_log}
        number = self._ask("batch", values, progress, {"rows": rows.drop(LOG_NAME) if one_log is not None else rows})
        return lambda: self._judged(self._answer(number))

    def ask_progress(self, progress: Progress) -> Callable[[], Judged]:
        """Send how far the watermark has come."""
        number = self._ask("progress", {}, progress, {})
        return lambda: self._judged(self._answer(number))

    def _ask(self, kind: str, values: Mapping[str, Any], progress: Progress, frames: Frames) -> int:
        moved, moves = packed(progress)
        shared = {"size": self._keys.size, "top": None if self._top is None else self._top.window}
        rises = {} if self._top is None or not self._top.rises.height else {"rises": self._top.rises}
        return self._worker.ask(kind, {**values, **moved, **shared}, {**frames, **moves, **rises})

    def _answer(self, number: int) -> Message:
        return self._worker.answer(number)

    def _judged(self, told: Message) -> Judged:
        due = [frame for name, frame in told.frames.items() if name.startswith(_DUE)]
        late = told.frames.get("late", no_late())
        return Judged(due, late, int(told.values["on_time"]), int(told.values["corrected"]))

    def snapshot(self) -> Frames:
        """The state as frames."""
        told = self._answer(self._worker.ask("snapshot", {}, {}))
        return {name.removeprefix(_STATE): frame for name, frame in told.frames.items()}

    def restore(self, frames: Frames) -> None:
        """Give the worker the state of a snapshot."""
        self._answer(self._worker.ask("restore", {}, {f"{_STATE}{name}": frame for name, frame in frames.items()}))
