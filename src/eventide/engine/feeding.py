"""Feeding windows: what they need of rows, and how rows that detection has put in order reach them.

Law: behind the order there is one log without disorder: every row is on time, and windows close as far as it has come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, TIME
from eventide.engine.clocks import CommonProgress, Progress
from eventide.engine.detection import AT, Released, earlier
from eventide.engine.few import select
from eventide.engine.keys import CODE, KeyTable
from eventide.engine.solid import solid
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.shape import shape
from eventide.engine.steps.windows import Shown, WindowStep
from eventide.instants import END_OF_TIME
from eventide.plan import OrderedStep, Step


def narrow(windows: WindowStep, keys: KeyTable, rows: pl.DataFrame, log: pl.Expr) -> pl.DataFrame:
    """What windows need of rows that have their times, watermarks and places."""
    needed = (pl.col(TIME, BEFORE, PLACE, ROW_OFFSET), *windows.inputs, log.alias(LOG_NAME))
    named = select(solid(rows), needed)
    return named.hstack([keys.encode(rows).alias(CODE)])


def feed_ordered(
    windows: WindowStep, keys: KeyTable, released: Released, shown: Shown | None = None
) -> Iterable[pl.DataFrame]:
    """Results that come due with rows in order; `shown` tells how complete they are.

    Windows stay one microsecond behind: an event at the very end of a session joins it, and is among the next ones
    released, whatever the cuts.
    """
    before, reached = earlier(released.before, 1), earlier(released.reached, 1)
    rows = released.rows.with_columns(
        pl.col(AT).alias(TIME),
        pl.lit(before, dtype=pl.Int64).alias(BEFORE),
        pl.int_range(pl.len(), dtype=pl.Int64).alias(PLACE),
    )
    steps = pl.Series([before], dtype=pl.Int64).new_from_index(0, rows.height)
    progress = CommonProgress(before, pl.concat([steps, pl.Series([reached], dtype=pl.Int64)]))
    return windows.on_batch("all", narrow(windows, keys, rows, pl.col(LOG_NAME)), progress, shown).results


def shown_at(progress: Progress, delay_us: int) -> CommonProgress:
    """How far windows behind the order have come, `delay_us` behind the door."""
    assert isinstance(progress, CommonProgress)
    steps = progress.steps
    return CommonProgress(earlier(progress.before, delay_us), (steps - delay_us).set(steps == END_OF_TIME, END_OF_TIME))


def late_of(keys: KeyTable, rows: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
    """The rows that came behind their watermark, with their keys' codes: those that the row-wise `steps` let pass. All
    rows are coded, in the order in which they came, so that codes do not depend on cuts.
    """
    kept = shape(rows, [step for step in steps if not isinstance(step, OrderedStep)])
    coded = kept.select(TIME, BEFORE, PLACE).hstack([keys.encode(kept).alias(CODE)])
    return coded.filter(pl.col(TIME) < pl.col(BEFORE))
