"""The report of the demo shows what it says it shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from eventide.history.demo import _most_corrected
from eventide.history.pictures import windows_of

EVENTS = pl.DataFrame(
    {"key": ["a", "a", "a", "b", "c"], "class": ["on time", "on time", "on time", "corrected", "late"]}
)


def test_the_device_shown_is_the_one_whose_results_were_put_right() -> None:
    results = pl.DataFrame({"key": ["a", "b", "c", "c"], "revision": [0, 0, 0, 1]})
    assert _most_corrected(EVENTS, results) == "c"
    assert _most_corrected(EVENTS, results.filter(pl.col("revision") == 0)) == "b"
    assert _most_corrected(EVENTS.filter(pl.col("key") == "a"), results.clear()) == "a"


def test_a_window_that_began_with_a_late_reading_is_marked_as_corrected() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    starts = [start + timedelta(minutes=minute) for minute in (0, 5, 15)]
    results = pl.DataFrame({"window_start": starts, "mean": [1.0, 2.0, 3.0], "revision": [0, 0, 0]}).with_columns(
        window_end=pl.col("window_start") + timedelta(minutes=5)
    )
    behind = pl.DataFrame({"time": [start + timedelta(minutes=minute) for minute in (6, 7, 12, 20)]})
    drawn = windows_of(results, ["mean"], corrected=behind)  # the last two lie in no window
    assert drawn.axes[0].get_title("left") == "3 windows, 1 put right by later events"
    assert windows_of(results, ["mean"]).axes[0].get_title("left") == "3 windows, 0 put right by later events"
