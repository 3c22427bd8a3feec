"""The outcome of a run: every output as a frame, and the accounting.

Law: an output that went to a sink is not kept in memory unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.accounting import Accounting
from eventide.engine.monitor import Measured
from eventide.errors import EventideError
from eventide.instants import duration_text, instant_text
from eventide.plan import DEAD_LETTERS, LATE, RESULTS


@dataclass(frozen=True)
class Outcome:
    """What a run gave: outputs by name, accounting by log, and where it stood at its end.

    `finished` is false when the run was stopped before its input ended. `watermark_us` is the instant that the stream
    had reached, `elapsed_us` the wall time of the run; both in microseconds. `received_before` is how many events the
    accounting has from earlier runs with the same state.
    """

    outputs: Mapping[str, pl.DataFrame]
    accounting: Accounting
    finished: bool
    watermark_us: int | None
    elapsed_us: int
    watched: Callable[[], Measured | None] = field(default=lambda: None, repr=False, compare=False)
    received_before: int = 0

    @property
    def results(self) -> pl.DataFrame:
        """The result rows in the order in which they came out."""
        return self[RESULTS]

    @property
    def late(self) -> pl.DataFrame:
        """Every late event with the reason why it is late."""
        return self[LATE]

    @property
    def dead_letters(self) -> pl.DataFrame:
        """Every refused row with reason, field, log, offset and raw text."""
        return self[DEAD_LETTERS]

    @property
    def lateness(self) -> Measured | None:
        """How far events came behind, by log and by key, as measured at the door; None without event time."""
        return self.watched()

    def final(self) -> pl.DataFrame:
        """The last row of each window: results without the revisions that later rows replaced, and without retracted
        rows.
        """
        rows = self.results
        identity = [name for name in rows.columns if name in self._identity]
        last = rows.unique(identity, keep="last", maintain_order=True)
        return last.filter(pl.col("op") == "upsert") if "op" in last.columns else last

    @property
    def _identity(self) -> tuple[str, ...]:
        columns = self.results.columns
        keys = columns[: columns.index("window_start")] if "window_start" in columns else columns
        return (*keys, "window_start", "log", "window_number")

    def __getitem__(self, output: str) -> pl.DataFrame:
        try:
            return self.outputs[output]
        except KeyError:
            raise EventideError(
                f"output {output!r} was not kept: it went to a sink, or the plan does not have it. "
                f"Kept: {', '.join(self.outputs)}. "
                f'Run with keep=["{output}"] to have it here too'
            ) from None

    def __str__(self) -> str:
        total = self.accounting.total
        rate = (total.received - self.received_before) / max(self.elapsed_us / 1e6, 1e-6)
        state = "finished" if self.finished else "stopped"
        at = "" if self.watermark_us is None else f", watermark {instant_text(self.watermark_us)}"
        took = duration_text(self.elapsed_us // 1000 * 1000)
        return f"{total}\n{state} after {took} ({rate:,.0f} rows/s){at}"
