"""The outcome of a run: every output as a frame, and the accounting.

Law: an output that went to a sink is not kept in memory unless asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import polars as pl

from eventide.engine.accounting import Accounting
from eventide.engine.monitor import Measured
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.errors import EventideError
from eventide.instants import When, duration_text, instant_text
from eventide.plan import DEAD_LETTERS, LATE, RESULTS
from eventide.runners.inspection import Inspection

if TYPE_CHECKING:
    from eventide.engine.explanation import EventExplanation, WindowExplanation

_PLOTS = "eventide.history.plots"
"""Where pictures of an outcome are drawn; found by name, so that a runner does not depend on them."""
_HEAD = 10


@dataclass(frozen=True)
class Outcome:
    """What a run gave: outputs by name, accounting by log, and where it stood at its end.

    `finished` is false when the run was stopped before its input ended. `watermark_us` is the instant that the stream
    had reached, `elapsed_us` the wall time of the run; both in microseconds. `pipeline` is the pipeline at its end.
    `deliveries` counts by target what became of notifications (sent, failed, dropped), `undelivered` holds those that
    did not arrive, with the reason. `received_before` is how many events the accounting has from earlier runs with the
    same state. `notes` are what sources had to tell, such as a new version of their schema.
    """

    outputs: Mapping[str, pl.DataFrame]
    accounting: Accounting
    finished: bool
    watermark_us: int | None
    elapsed_us: int
    pipeline: Pipeline | None = field(default=None, repr=False, compare=False)
    deliveries: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    undelivered: pl.DataFrame = field(default_factory=pl.DataFrame)
    received_before: int = 0
    notes: tuple[str, ...] = ()

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
        return None if self.pipeline is None else self.pipeline.measured()

    @property
    def sides(self) -> pl.DataFrame:
        """The versions of side inputs: which, when read, how many keys, rows looked up and misses."""
        return self._ended.side_versions()

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

    def explain(self, *, key: object = None, at: When, reread: bool = True) -> WindowExplanation:
        """The state of a window at the end of the run. Arguments as in `eventide.Inspection.explain`."""
        return self.inspection.explain(key=key, at=at, reread=reread)

    def explain_event(
        self, *, log: str | None = None, offset: int | None = None, values: Mapping[str, object] | None = None
    ) -> EventExplanation:
        """What became of an event, and why. Arguments as in `eventide.Inspection.explain_event`."""
        return self.inspection.explain_event(log=log, offset=offset, values=values)

    def snapshot(self) -> Snapshot:
        """Everything that the pipeline remembered at the end of the run."""
        return self._ended.snapshot()

    @property
    def sample(self) -> pl.DataFrame:
        """Up to 1,024 accepted events of each log at equal distances: `_log`, `_offset`, `arrival`, `time`, the
        `watermark` of the event's clock in front of it, `key`.
        """
        return self._ended.trace.sample

    @property
    def plot(self) -> Any:
        """Pictures of the outcome: `lateness()`, `time()`, `windows(key)`, `completeness()`; see
        `eventide.history.plots.Plots`.
        """
        return import_module(_PLOTS).Plots(self)

    @property
    def _ended(self) -> Pipeline:
        if self.pipeline is None:
            raise EventideError("this outcome has no pipeline to ask: it was not made by a run in this process")
        return self.pipeline

    @cached_property
    def inspection(self) -> Inspection:
        """The end of the run, to be asked."""
        from eventide.engine.explanation import Moment

        return Inspection(Moment(self._ended.plan, self._ended.snapshot(), self.outputs, over=True))

    def _repr_html_(self) -> str:
        """For notebooks: the accounting, where the run stood, and the first rows of each output that has any."""
        from eventide.plan.html import heading, pairs_or_rows, table

        total = self.accounting.total
        state = "finished" if self.finished else "stopped"
        stood = "" if self.watermark_us is None else f" at watermark {instant_text(self.watermark_us)}"
        parts = [heading(f"{total} ({state}{stood})")]
        if len(self.accounting.logs) > 1:
            names = list(asdict(total))
            rows = [(log, *asdict(one).values()) for log, one in self.accounting.logs.items()]
            parts.append(pairs_or_rows(["log", *names], rows[:_HEAD]))
        for name, frame in self.outputs.items():
            if frame.height:
                parts += [heading(f"{name}: {frame.height:,} rows"), table(frame, _HEAD)]
        return "".join(parts)

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
        told = "".join(f"\nnote: {note}" for note in self.notes[:_HEAD])
        return f"{total}\n{state} after {took} ({rate:,.0f} rows/s){at}{told}"
