"""How complete a window is when its row goes out.

Law: it is told by how far the watermark that makes the row due is past the window's end, and by what windows like it
held up to that place in the log; early results, which no watermark makes due, and retractions say nothing.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.clocks import Progress
from eventide.engine.completeness import Shares
from eventide.engine.completeness.shares import class_of
from eventide.engine.keys import CODE
from eventide.engine.steps.judged import PLACE
from eventide.engine.steps.results import EARLY, FIRST, RETRACTION
from eventide.instants import END_OF_TIME

_LONGEST_US = 2**61


def how_complete(
    due: pl.DataFrame,
    number: str,
    progress: Progress,
    shares: Shares,
    rows: pl.DataFrame | None,
    *,
    own_places: bool = True,
) -> pl.Series:
    """The column `completeness` of windows that are due; `number` is the column with how many events they hold. `rows`
    are those of the batch; None: not a row made them due but a heartbeat, silence or the end. `own_places`: the places
    of what is due are those of the progress.
    """
    last = 0 if rows is None else shares.rows
    codes, phase = due.get_column(CODE), due.get_column("phase")
    # windows that share one watermark come in order of their ends and need no place of their own: it is found here
    reached_at = progress.place(codes, due.get_column("window_end")).alias("at")
    given = pl.DataFrame([due.get_column("place").cast(pl.Int64), phase, reached_at])
    # an empty window may show later than its end was reached: where a key becomes known from it on
    at = pl.max_horizontal("at", "place") if own_places else pl.col("at")
    first = pl.when(pl.col("phase") == FIRST).then(at)
    places = given.select(pl.coalesce(first, "place").clip(lower_bound=0)).to_series()
    shown = progress.before_rows(codes, (places + 1).clip(upper_bound=last))
    least = pl.when(pl.lit(places) >= last).then(pl.lit(progress.least, dtype=pl.Int64))
    silent = pl.col("phase").is_in([EARLY, RETRACTION])
    if "early" in due.columns:
        silent = silent | pl.col("early").fill_null(False)
    # what is due has been reached, whatever the place in front of it showed
    reached = pl.max_horizontal(pl.lit(shown), "window_end", least)
    end = pl.col("window_end").clip(upper_bound=_LONGEST_US)
    length = (end - pl.col("window_start").clip(lower_bound=-_LONGEST_US)).clip(lower_bound=1)
    slack = reached.clip(upper_bound=2 * _LONGEST_US) - end
    asked = due.select(
        CODE,
        "window_start",
        "window_end",
        pl.when(~silent).then(class_of(slack, length, pl.col("phase") == FIRST)).alias("class"),
        pl.col(number).fill_null(0).cast(pl.Int64).alias("present"),
        pl.lit(places).alias(PLACE),
        over=(reached >= END_OF_TIME) & ~silent,
    )
    told = shares.tell(asked) if rows is None else shares.take(asked, rows)
    return told.set(asked.get_column("over"), 1.0).alias("completeness")
