"""Pictures of an outcome, as `out.plot`: lateness, time, one key's windows, completeness.

Law: each is a pure function of the outcome - its outputs and its sample of events - and returns a matplotlib figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from eventide.engine.steps.grid import grid_of
from eventide.errors import EventideError
from eventide.expressions import Aggregation
from eventide.flow import ARRIVAL, INSTANT, LOG, OFFSET
from eventide.history.pictures import (
    arrival_against_event_time,
    completeness_over_time,
    lateness_histogram,
    windows_of,
)
from eventide.plan import LATE, RESULTS, Plan
from eventide.runners import Outcome
from eventide.semantics.eventtime import KeyClock
from eventide.semantics.windows import Count, Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LATE_DRAWN = 5_000
_COLUMNS_DRAWN = 4


@dataclass(frozen=True)
class Plots:
    """The pictures of an outcome. They need the extra `pictures`; each raises `EventideError` where it has nothing to
    draw from, saying what is missing.
    """

    outcome: Outcome

    def lateness(self) -> Figure:
        """How long sampled events took from happening to arriving, by key (without keys, by log)."""
        events = self._sampled()
        keyed = events["key"].null_count() < events.height
        names = self._plan.aggregate.keys if self._plan.aggregate is not None else ()
        labelled = events if keyed else events.with_columns(pl.col(LOG).alias("key"))
        received = self.outcome.accounting.total.received
        counted = f"events, of a sample of {events.height:,}" if received > 2 * events.height else "events"
        return lateness_histogram(labelled, ", ".join(names) if keyed else "log", counted)

    def time(self) -> Figure:
        """Arrival against event time: sampled events and late ones, with each log's watermark as a line.

        For key clocks the line is the front of the log: every key has a watermark of its own.
        """
        events = self._sampled()
        line = "watermark"
        event_time = self._plan.event_time
        if event_time is not None and isinstance(event_time.clock, KeyClock):
            events = events.with_columns(pl.col("time").cum_max().over(LOG).alias("watermark"))
            line = "front"
        total = self.outcome.accounting.total
        late = self._late()
        drawn = pl.concat([events.join(late, on=[LOG, OFFSET], how="anti"), late], how="diagonal")
        title = f"Of {total.received:,} events {total.late:,} came too late, {total.corrected:,} as corrections"
        if total.received > 2 * events.height:
            title += f" (drawn: a sample of {events.height:,}, and late ones)"
        return arrival_against_event_time(drawn, title, line if events[LOG].n_unique() > 1 else f"{line} of the log")

    def windows(
        self,
        key: object = None,
        columns: str | tuple[str, ...] | None = None,
        *,
        threshold: float | None = None,
        unit: str = "",
    ) -> Figure:
        """One key's results over time, revised windows and late events marked.

        `key` is as in `Outcome.explain`; `columns` are the results to draw (without: the first numeric ones of like
        size, four at most, counts only where there is nothing else). `threshold` is drawn as a line; `unit` is that of
        the columns, written at their axis.
        """
        if threshold is not None and not isinstance(threshold, int | float):
            raise ValueError(f"threshold={threshold!r} is not a number: give one in the unit of the columns")
        asked = self.outcome.inspection.moment
        values = asked.key_of(key)
        rows = asked.rows_of(RESULTS, values)
        if rows is None or "window_start" not in rows.columns or "revision" not in rows.columns:
            raise EventideError('results were not kept with their keys and windows: run with keep=["results"]')
        if "op" in rows.columns:
            rows = rows.filter(pl.col("op").last().over("window_start") == "upsert", pl.col("op") == "upsert")
        if not rows.height:
            whose = ", ".join(f"{name}={value!r}" for name, value in values.items()) or "this stream"
            raise EventideError(f"there is no result of {whose}: out.explain(key=..., at=...) says why")
        late = asked.rows_of(LATE, values)
        times = None if late is None or self._plan.event_time is None else self._times(late)
        name = ", ".join(str(value) for value in values.values())
        chosen = (columns,) if isinstance(columns, str) else tuple(columns or self._numeric(rows))
        unknown = [column for column in chosen if column not in rows.columns or not rows.schema[column].is_numeric()]
        if unknown:
            numbers = ", ".join(column for column, dtype in rows.schema.items() if dtype.is_numeric())
            raise EventideError(f"there is no number {unknown[0]!r} in the results: draw one of {numbers}")
        return windows_of(rows, chosen, times, title=f"{name}: " if name else "", threshold=threshold, unit=unit)

    def completeness(self) -> Figure:
        """How much of each window's final number of events its first result held.

        Where results have a column `completeness`, against what they said. Needs a `count()` among the aggregates.
        """
        counts = [
            name
            for name, one in (self._plan.aggregate.aggregates if self._plan.aggregate is not None else ())
            if isinstance(one, Aggregation) and one.function == "count" and one.of is None
        ]
        results = self.outcome[RESULTS]
        if not counts or counts[0] not in results.columns or "window_start" not in results.columns:
            raise EventideError("completeness is measured by counts: add n=count() to agg, and keep the results")
        rows = results.filter(~pl.col("early")) if "early" in results.columns else results
        if "op" in rows.columns:
            rows = rows.filter(pl.col("op") == "upsert")
        assert self._plan.aggregate is not None
        said = "completeness" in rows.columns
        window = [
            *self._plan.aggregate.keys,
            "window_start",
            *(n for n in ("log", "window_number") if n in rows.columns),
        ]
        share = (pl.col(counts[0]).first() / pl.col(counts[0]).last()).alias("share")
        first = [pl.col("completeness").first()] if said else []
        made = rows.group_by(window, maintain_order=True).agg(share, *first)
        return completeness_over_time(made.filter(pl.col("share").is_finite()), said=said)

    @property
    def _plan(self) -> Plan:
        return self.outcome.inspection.moment.plan

    def _sampled(self) -> pl.DataFrame:
        """The sampled events with what became of them."""
        if self._plan.derived is not None:
            raise EventideError(
                "time and lateness are drawn of one stream of events: draw each one of the join by itself"
            )
        sample = self.outcome.sample.filter(pl.col("arrival").is_not_null())
        if not sample.height:
            raise EventideError("there is nothing to draw: no event with an arrival time was accepted")
        query = self._plan.aggregate
        behind = pl.lit(False)
        if query is not None and not isinstance(query.window, Session | Count):
            grid = grid_of(query.window)
            first = grid.end(grid.first(pl.col("time").cast(pl.Int64)))
            behind = (first <= pl.col("watermark").cast(pl.Int64)).fill_null(False)
        corrects = behind & pl.lit(query is not None and query.lateness.allowed_us > 0)
        fate = pl.when(corrects).then(pl.lit("corrected")).otherwise(pl.lit("on time"))
        return sample.with_columns(fate.alias("class"))

    def _late(self) -> pl.DataFrame:
        """The late events, at most 5,000 of them at equal distances."""
        late = self.outcome.outputs.get(LATE)
        schema = {LOG: pl.String(), OFFSET: pl.Int64(), "arrival": INSTANT, "time": INSTANT, "class": pl.String()}
        if late is None or not late.height:
            return pl.DataFrame(schema=schema)
        step = -(-late.height // _LATE_DRAWN)
        drawn = self._times(late).gather_every(step).filter(pl.col(ARRIVAL).is_not_null())
        return drawn.select(
            LOG, OFFSET, pl.col(ARRIVAL).alias("arrival"), pl.col("time").cast(INSTANT), pl.lit("late").alias("class")
        )

    def _times(self, late: pl.DataFrame) -> pl.DataFrame:
        """Late rows with their event time as `time`."""
        assert self._plan.event_time is not None
        column = self._plan.event_time.column
        return (
            late.with_columns(pl.col(column).alias("time"))
            if column in late.columns
            else late.clear().with_columns(pl.lit(None, dtype=INSTANT).alias("time"))
        )

    def _numeric(self, rows: pl.DataFrame) -> tuple[str, ...]:
        """The first numeric results whose size is within a hundred times that of the first."""
        assert self._plan.aggregate is not None
        aggregates = self._plan.aggregate.aggregates
        counts = [name for name, one in aggregates if isinstance(one, Aggregation) and one.function == "count"]
        named = [name for name, _ in aggregates if name not in counts] + counts[:1]
        found = [name for name in named if name in rows.columns and rows.schema[name].is_numeric()]
        if not found:
            raise EventideError("there is no numeric result to draw: name one with columns=")
        sizes = {name: float(rows.get_column(name).abs().cast(pl.Float64).max() or 0.0) for name in found}  # type: ignore[arg-type]
        least = sizes[found[0]]
        if found[0] not in counts:
            found = [name for name in found if name not in counts]
        alike = [name for name in found if least / 100 <= sizes[name] <= max(least, 1e-9) * 100]
        return tuple(alike[:_COLUMNS_DRAWN])
