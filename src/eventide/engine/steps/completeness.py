"""How complete a window is when its row goes out.

Law: it is told by the watermark that makes the row due and by the shortfall measured up to that place in the log; early
results, which no watermark makes due, say nothing.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.monitor import Shortfall
from eventide.engine.steps.results import EARLY, FIRST


def how_complete(due: pl.DataFrame, progress: Progress, shortfall: Shortfall, behind: bool) -> pl.Series:
    """The column `completeness` of windows that are due. `behind`: not a row made them due but a heartbeat, silence or
    the end.
    """
    last = 0 if behind else shortfall.rows
    codes, phase = due.get_column(CODE), due.get_column("phase")
    # windows that share one watermark come in order of their ends and need no place of their own: it is found here
    reached_at = progress.place(codes, due.get_column("window_end")).alias("at")
    given = pl.DataFrame([due.get_column("place").cast(pl.Int64), phase, reached_at])
    first = pl.when(pl.col("phase") == FIRST).then("at")
    places = given.select(pl.coalesce(first, "place").clip(lower_bound=0)).to_series()
    shown = progress.before_rows(codes, (places + 1).clip(upper_bound=last))
    frame = due.select("window_end", at_last=places >= last).with_columns(shown.alias("shown"))
    least = pl.when("at_last").then(pl.lit(progress.least, dtype=pl.Int64))
    # what is due has been reached, whatever the place in front of it showed
    reached = frame.select(pl.max_horizontal("shown", "window_end", least).cast(pl.Int64)).to_series()
    told = shortfall.completeness(due.with_columns(places.alias("place")), reached, in_batch=not behind)
    early = phase == EARLY
    if "early" in due.columns:
        early = early | due.get_column("early").fill_null(False)
    return told.set(early, None).alias("completeness")
