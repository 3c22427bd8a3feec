"""A recording: every event of a bounded stream that its guards admit, with the fronts that it met.

Law: events stand in the order of their logs; the fronts are those of semantics, section 2, so any bound can be judged
afterwards without reading again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from eventide.engine.clocks import Clocks, clocks_for
from eventide.engine.columns import rows_schema
from eventide.engine.monitor import Measured, monitor_for
from eventide.engine.steps.door import Door
from eventide.engine.steps.grid import grid_of
from eventide.engine.steps.shape import shape
from eventide.errors import PlanError
from eventide.flow import ARRIVAL, LOG, OFFSET, Batch, LogSet, ReadContext
from eventide.instants import NO_WATERMARK
from eventide.plan import Plan
from eventide.plan.check import check
from eventide.semantics.eventtime import Ascending, EventTime, KeyClock, LogClock
from eventide.semantics.windows import Calendar, Sliding

_ROWS = 524_288


@dataclass(frozen=True)
class Recording:
    """The admitted events of a stream.

    `events` has `_log`, `_offset`, the key (`key`, null where the stream has none), `t`, `end` (the end of the event's
    last window; without windows the instant behind `t`), `arrival`, and the fronts before the event: `log_front` of its
    log, `key_front` of its key in that log (null: none yet). All instants are microseconds.
    """

    settings: EventTime
    key: str | None
    events: pl.DataFrame
    refused: int
    measured: Measured

    @property
    def by_log(self) -> Iterator[pl.DataFrame]:
        """The events of each log, in order."""
        yield from self.events.partition_by(LOG, maintain_order=True)


def record(plan: Plan, key: str | None = None) -> Recording:
    """Read a plan's sources once, to their end. `key` names the devices; without it the clock's key or the windows'
    first key is taken.

    Raises `PlanError` where the plan is wrong, has no event time, or a source never ends.
    """
    check(plan)
    if plan.event_time is None:
        raise PlanError.of("advise", "the stream has no event time", 'Call .event_time("column", et.bounded("2s"))')
    if not all(one.source.bounded for one in plan.inputs):
        raise PlanError.of("advise", "a source never ends", "Give it recorded arrivals: files or frames")
    schema = rows_schema(plan)
    name = key or _key_of(plan, schema)
    if name is not None and name not in schema:
        raise PlanError.of("advise", f"there is no column {name!r}", f"Columns are {', '.join(_shown(schema))}")
    settings = replace(plan.event_time, strategy=Ascending(), clock=LogClock())
    monitor = monitor_for(settings, () if name is None else (name,), schema)
    clocks = clocks_for(settings, None, ())
    door = Door(settings, clocks, 1, monitor)
    parts: list[pl.DataFrame] = []
    refused = 0
    for number, batch in _batches(plan, clocks):
        rows = shape(shape(batch.rows, plan.inputs[number].steps), plan.before)
        admitted, bad = door.admit(batch.log, rows, batch.heartbeat)
        refused += bad.height + batch.refused.height
        kept = admitted.rows.select(
            pl.lit(batch.log).alias(LOG),
            OFFSET,
            (pl.lit(None, dtype=pl.String) if name is None else pl.col(name)).alias("key"),
            admitted.times.alias("t"),
            pl.col(ARRIVAL).cast(pl.Int64).alias("arrival"),
        )
        parts.append(kept)
    if not parts or not any(part.height for part in parts):
        raise PlanError.of("advise", f"no event was admitted ({refused:,} refused)", "Check the schema and the guards")
    events = with_fronts(pl.concat(parts)).with_columns(_end(plan).alias("end"))
    return Recording(plan.event_time, name, events, refused, monitor.measured(door.clocks))


def with_fronts(events: pl.DataFrame) -> pl.DataFrame:
    """Events (`_log`, `key`, `t`, each log in order) with the fronts before each."""
    return events.with_columns(
        pl.col("t").cum_max().shift(1).over(LOG).alias("log_front"),
        pl.col("t").cum_max().shift(1).over(LOG, "key").alias("key_front"),
    )


def _batches(plan: Plan, clocks: Clocks) -> Iterator[tuple[int, Batch]]:
    """All logs, one behind the other; the clocks know all of them first, so none begins where another has ended."""
    context, opened = ReadContext(), list[LogSet]()
    try:
        opened.extend(one.source.open(context, {}) for one in plan.inputs)
        readers = [(number, reader) for number, logs in enumerate(opened) for reader in logs.discover()]
        for _, reader in readers:
            clocks.add(reader.log)
        for number, reader in readers:
            while not reader.finished:
                batch = reader.read(_ROWS)
                if batch is not None:
                    yield number, batch
    finally:
        for logs in opened:
            logs.close()


def _key_of(plan: Plan, schema: dict[str, pl.DataType]) -> str | None:
    assert plan.event_time is not None
    if isinstance(plan.event_time.clock, KeyClock):
        return plan.event_time.clock.key
    keys = plan.aggregate.keys if plan.aggregate is not None else ()
    return next((name for name in keys if name in schema), None)


def _shown(schema: dict[str, pl.DataType]) -> list[str]:
    return [name for name in schema if not name.startswith("_")]


def _end(plan: Plan) -> pl.Expr:
    """The end of an event's last window; sessions, counts and streams without windows: the instant behind it."""
    window = plan.aggregate.window if plan.aggregate is not None else None
    if isinstance(window, Sliding | Calendar):
        grid = grid_of(window)
        return grid.end(grid.last(pl.col("t")))
    return pl.col("t") + 1


def is_known(instants: pl.Expr) -> pl.Expr:
    """True where an instant of a clock is one."""
    return instants > NO_WATERMARK
