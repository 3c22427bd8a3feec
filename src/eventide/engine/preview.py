"""The preview: a bounded input read once beforehand, for the strategy `perfect`.

Law: the watermark after an event is the smallest event time still to come in its log, so nothing is late.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from eventide.engine.pipeline import Pipeline
from eventide.flow import Batch, Position, ReadContext
from eventide.instants import END_OF_TIME
from eventide.plan import Plan
from eventide.semantics.eventtime import EventTime, Perfect

_ROWS = 524_288
_WAIT_US = 50_000


def preview(
    plan: Plan, pipeline: Pipeline, context: ReadContext, starts: Mapping[int, Mapping[str, Position]] | None = None
) -> None:
    """Give the clocks of a pipeline what they must know beforehand; only a plan with `perfect` needs it. `starts` are
    the positions at which the run itself will begin.
    """
    if not any(_is_perfect(stream.event_time) for stream in plan.read):
        return
    times: dict[str, list[pl.Series]] = {}
    for number, one in enumerate(plan.inputs):
        logs = one.source.open(context, (starts or {}).get(number, {}))
        for reader in logs.discover():
            pipeline.add_log(reader.log, number)
            if not _is_perfect(pipeline.event_time_of(reader.log)):
                continue
            times[reader.log] = []
            while not reader.finished:
                context.wake.clear()
                batch: Batch | None = reader.read(_ROWS)
                if batch is not None:
                    times[reader.log].append(pipeline.times_of(batch, number))
                elif not reader.finished:
                    context.clock.wait(context.wake, _WAIT_US)
        logs.close()
    assert pipeline.clocks is not None
    for log, parts in times.items():
        whole = pl.concat(parts) if parts else pl.Series([], dtype=pl.Int64)
        pipeline.clocks.logs[log].preview = whole.reverse().cum_min().reverse().shift(-1, fill_value=END_OF_TIME - 1)


def _is_perfect(settings: EventTime | None) -> bool:
    return settings is not None and isinstance(settings.strategy, Perfect)
