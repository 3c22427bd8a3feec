"""What rests on tables and learning, in the job and embedded: many values of all sizes, long logs, many zones."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from tests.flink.player import Player

from eventide.expressions import Aggregation, col, count
from eventide.plan import LATE, RESULTS, Input, Plan, WindowedAggregate
from eventide.semantics.eventtime import Adaptive, Ascending, EventTime, KeyClock, LogClock
from eventide.semantics.windows import Calendar, Sliding
from eventide.testing.laws import Columns, Manner, bits, plan_answer, rows_of
from eventide.testing.reference import Entry, Event, Finished
from eventide.testing.streams import COLUMNS

_STRANGE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Floats that JSON has no numbers for, as the job's answer writes them."""


def event(offset: int, at: int, x: float | None, key: str = "a") -> Event:
    return Event("one", offset, {"key": key, "at": at, "x": x, "n": None, "flag": None})


def plan_of(event_time: EventTime, window: Sliding | Calendar, **aggregates: Aggregation) -> Plan:
    query = WindowedAggregate(("key",), window, tuple(aggregates.items()))
    return Plan((Input(Columns(COLUMNS)),), event_time=event_time, aggregate=query)


def both(player: Player, plan: Plan, entries: Sequence[Entry], **manner: Any) -> tuple[list[str], list[str]]:
    """The result rows of both engines, in one order; late rows are compared here."""
    outputs = plan_answer(plan, entries, COLUMNS, ["one"], Manner())
    answer = player.play(plan, entries, ["one"], **manner)
    late = sorted((row["_offset"], row["watermark"]) for row in rows_of(outputs.get(LATE, [])))
    assert sorted((row["offset"], row["watermark"]) for row in answer["late"]) == late
    embedded = rows_of(outputs.get(RESULTS, []))
    names = list(embedded[0])
    shown = [{name: _STRANGE.get(str(row[name]), row[name]) for name in names} for row in answer["results"]]
    return sorted(map(bits, embedded)), sorted(map(bits, shown))


def test_quantiles_of_values_of_all_sizes_are_the_same_to_the_last_bit(player: Player) -> None:
    draw = random.Random(5)
    edges = [(101 / 99) ** order for order in range(-60, 60)]  # where a logarithm alone may err by one bucket
    near = [x for edge in edges for x in (edge, math.nextafter(edge, 0), math.nextafter(edge, math.inf))]
    sizes = [draw.choice([-1, 1]) * math.ldexp(draw.random(), draw.randrange(-1080, 1024)) for _ in range(400)]
    strange = [0.0, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, None]
    values = [*near, *sizes, *strange]
    draw.shuffle(values)
    entries = [event(place, place, x) for place, x in enumerate(values)]
    aggregates = {f"q{q}": col("x").quantile(q / 100) for q in (1, 10, 50, 90, 99, 100)}
    plan = plan_of(EventTime("at", Ascending()), Sliding(7, 7, 0), median=col("x").median(), **aggregates)
    embedded, flink = both(player, plan, [*entries, Finished("one")])
    assert embedded == flink
    assert len(embedded) == math.ceil(len(values) / 7)


def test_sums_and_ranges_end_alike_where_numbers_do(player: Player) -> None:
    """Windows of four values at the ends of floats and of whole numbers."""
    draw = random.Random(4)
    floats = [1e308, -1e308, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**970, 2.0**1019, 0.1, -0.0, math.inf]
    wholes = [2**63 - 1, -(2**63), 1, -1, 0, None]
    entries: list[Entry] = []
    for place in range(1_600):
        row = {
            "key": "a",
            "at": place,
            "x": draw.choice(floats[: 8 + place % 2]),
            "n": draw.choice(wholes),
            "flag": None,
        }
        entries.append(Event("one", place, row))
    x, n = col("x"), col("n")
    plan = plan_of(
        EventTime("at", Ascending()),
        Sliding(4, 4, 0),
        **{"sum": x.sum(), "mean": x.mean(), "range": x.range(), "median": x.median(), "n sum": n.sum()},
        **{"n range": n.range(), "n mean": n.mean()},
    )
    embedded, flink = both(player, plan, [*entries, Finished("one")])
    assert embedded == flink
    assert len(embedded) == 400


@pytest.mark.parametrize("column", ["key", "at", "x", "n", "flag"])
def test_distinct_counts_are_the_same_below_and_above_what_is_exact(player: Player, column: str) -> None:
    """Texts of one to sixty characters, of one byte and of four; numbers of all sizes."""
    draw = random.Random(11)
    entries: list[Entry] = []
    for place in range(1_500):
        text = draw.choice("aé€\U0001f600") * draw.randrange(60) + str(draw.randrange(40))
        x = draw.choice([0.0, -0.0, math.nan, math.inf, None, math.ldexp(draw.random(), draw.randrange(-99, 99))])
        n = draw.choice([None, draw.randrange(-(2**63), 2**63), draw.randrange(9)])
        row = {"key": text, "at": place, "x": x, "n": n, "flag": draw.choice([True, False, None])}
        entries.append(Event("one", place, row))
    numbers = {f"up to {k}": col(column).count_distinct(k) for k in (1, 2, 16, 1_024)}
    query = WindowedAggregate((), Sliding(500, 250, 0), tuple(numbers.items()))
    plan = Plan((Input(Columns(COLUMNS)),), event_time=EventTime("at", Ascending()), aggregate=query)
    embedded, flink = both(player, plan, [*entries, Finished("one")], restarts=[(333, 1), (900, 1)])
    assert embedded == flink
    assert len(embedded) == 7


@pytest.mark.parametrize("clock", [LogClock(), KeyClock("key", 1_000_000)], ids=["log", "key"])
@pytest.mark.parametrize("rate", [0.001, 0.05])
def test_an_adaptive_bound_is_learnt_to_the_microsecond(
    player: Player, clock: LogClock | KeyClock, rate: float
) -> None:
    draw = random.Random(9)
    entries: list[Entry] = []
    for place in range(6_000):
        usual = 300 if place < 3_000 else 30_000  # the network gets worse in the middle
        at = 1_000_000 + place * 100 - int(draw.expovariate(1 / usual))
        entries.append(event(place, at, 1.0, draw.choice("ab")))
    plan = plan_of(EventTime("at", Adaptive(rate, 10, 200_000), clock), Sliding(5_000, 5_000, 0), n=count())
    embedded, flink = both(player, plan, [*entries, Finished("one")], restarts=[(1_050, 2), (4_321, 1)])
    assert embedded == flink
    assert len(embedded) > 100


ZONES = ["UTC", "Europe/Helsinki", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe"]


@pytest.mark.parametrize("unit", ["1d", "1w", "1mo", "1q", "1y"])
def test_calendar_windows_have_the_bounds_of_their_zone(player: Player, unit: str) -> None:
    """Sao Paulo and Cairo have jumped over midnight, Lord Howe moves its clocks by half an hour."""
    draw = random.Random(3)
    times = sorted(draw.randrange(0, 1_790_000_000) * 1_000_000 for _ in range(400))
    entries: list[Entry] = [*(event(place, at, 1.0) for place, at in enumerate(times)), Finished("one")]
    for zone in ZONES:
        plan = plan_of(EventTime("at", Ascending(), max_future_us=None), Calendar(unit, zone), n=count())  # type: ignore[arg-type] # a unit that is parametrised
        embedded, flink = both(player, plan, entries)
        assert embedded == flink, zone
