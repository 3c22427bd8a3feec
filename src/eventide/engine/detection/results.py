"""The chain of results: they come in the order of their windows and pass the steps as they are, final ones judged.

Law: only final rows count, because only they are the same for every interleaving; the others pass with empty scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from eventide.engine.detection.rows import ResultRows
from eventide.engine.detection.stage import AT, JUDGED, ROW, RULE, Frames, Taken
from eventide.engine.detection.stages import line_of
from eventide.engine.steps.shape import LookUp
from eventide.instants import NO_WATERMARK
from eventide.plan import Step

_HIDDEN = (AT, JUDGED, ROW)


class ResultChain:
    """The steps of an output of results."""

    def __init__(
        self,
        steps: Sequence[Step],
        schema: Mapping[str, pl.DataType],
        identity: Sequence[str],
        first_rule: int,
        look_up: LookUp,
        *,
        watching: bool,
    ) -> None:
        columns = {**schema, AT: pl.Int64(), JUDGED: pl.Boolean(), ROW: pl.Int64()}
        self._line = line_of(
            steps, columns, lambda run: ResultRows(run, identity, look_up), first_rule, watching=watching
        )
        self._window = [name for name in ("window_start", "log", "window_number") if name in schema]
        self._alerts: list[pl.DataFrame] = []
        self.reached = NO_WATERMARK
        self.front = NO_WATERMARK

    @property
    def alert_keys(self) -> dict[str, pl.DataType]:
        """The key columns of alerts, with their types."""
        return self._line.alert_keys

    def shape(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The results after all steps; frames must come in order."""
        marked = frame.with_columns(
            pl.col("window_end").cast(pl.Int64).alias(AT),
            pl.col("final").alias(JUDGED),
            pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW),
        )
        if marked.height:
            self.front = max(self.front, int(marked.get_column(AT).max()))  # type: ignore[arg-type] # integers
        # with corrections, a window that closes may stand behind the first result of a later one
        marked = marked.sort(AT, *self._window, maintain_order=True)
        taken = self._line.take(Taken(marked, self.reached))
        if taken.alerts:
            self._alerts.append(pl.concat(taken.alerts, how="diagonal_relaxed").sort(ROW, RULE, maintain_order=True))
        return taken.rows.sort(ROW, maintain_order=True).drop(_HIDDEN)

    def alerts(self) -> list[pl.DataFrame]:
        """The alerts since the last call."""
        found, self._alerts = self._alerts, []
        return found

    def snapshot(self) -> Frames:
        """Everything it remembers."""
        return {"front": pl.DataFrame({"front": [self.front]}), **self._line.snapshot("")}

    def restore(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot."""
        if "front" in frames:
            self.front = int(frames["front"].item())
        self._line.restore("", frames)
