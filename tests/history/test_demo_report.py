"""The report of the demo shows what it says it shows."""

from __future__ import annotations

import polars as pl

from eventide.history.demo import _most_corrected

EVENTS = pl.DataFrame(
    {"key": ["a", "a", "a", "b", "c"], "class": ["on time", "on time", "on time", "corrected", "late"]}
)


def test_the_device_shown_is_the_one_whose_results_were_put_right() -> None:
    results = pl.DataFrame({"key": ["a", "b", "c", "c"], "revision": [0, 0, 0, 1]})
    assert _most_corrected(EVENTS, results) == "c"
    assert _most_corrected(EVENTS, results.filter(pl.col("revision") == 0)) == "b"
    assert _most_corrected(EVENTS.filter(pl.col("key") == "a"), results.clear()) == "a"
