"""The adaptive strategy on logs long enough to learn, event by event against the reference."""

from __future__ import annotations

import random

import polars as pl
import pytest

from eventide.engine.clocks import clocks_for, dump_clocks, load_clocks
from eventide.engine.keys import key_table
from eventide.semantics.eventtime import Adaptive, Clock, EventTime, KeyClock, LogClock
from eventide.testing.reference.clocks import Clocks as Reference

KEY = KeyClock("key", 50_000_000)


def log(events: int) -> pl.DataFrame:
    """Events a millisecond apart, three in ten behind by 30 ms on average, four times as far in every other stretch."""
    draw = random.Random(3)
    mean = (30_000, 120_000)
    times = [
        number * 1_000 - int(draw.expovariate(1 / mean[number // 4_000 % 2])) * (draw.random() < 0.3)
        for number in range(events)
    ]
    return pl.DataFrame({"t": times, "key": [draw.choice("abc") for _ in times]})


@pytest.mark.parametrize(
    ("rate", "clock", "events", "size"),
    [
        (0.05, LogClock(), 9_000, 777),
        (0.001, LogClock(), 51_700, 5_003),
        (0.01, KEY, 9_000, 1_250),
        (0.3, KEY, 1_300, 1),
    ],
)
def test_every_watermark_is_that_of_the_reference_however_the_log_is_cut(
    rate: float, clock: Clock, events: int, size: int
) -> None:
    settings = EventTime("t", Adaptive(rate, 2_000, 10_000_000), clock)
    rows = log(events)
    reference = Reference(settings, ["one"], ("key",))
    expected = []
    for row in rows.iter_rows(named=True):
        expected.append(reference.before("one", row))
        reference.observe("one", row, row["t"])
    keys = key_table(("key",), {"key": pl.String()}) if isinstance(clock, KeyClock) else None
    clocks = clocks_for(settings, keys, ("key",))
    found: list[int] = []
    for start in range(0, events, size):
        part = rows.slice(start, size)
        found += clocks.observe("one", part, part.get_column("t")).before.to_list()
        if start // size == 3:
            saved = dump_clocks(clocks)
            clocks = clocks_for(settings, keys, ("key",))
            load_clocks(clocks, *saved)
    assert found == expected
