"""The job's operators against the embedded engine: the same rows, the same late and refused events, the same account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.flink.player import Player

from eventide.expressions import col, count, rate
from eventide.plan import DEAD_LETTERS, LATE, RESULTS, Input, Plan, WindowedAggregate
from eventide.semantics.eventtime import Ascending, EventTime, KeyClock
from eventide.semantics.lateness import Early, Lateness
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding
from eventide.testing.laws import Columns, Manner, bits, final_content, law_final_once, plan_answer, rows_of
from eventide.testing.reference import Entry, Idle, Query
from eventide.testing.streams import COLUMNS, earlies, entries, event_times, latenesses, silent_entries, windows

AGGREGATES = {
    "rows": count(),
    "sum": col("x").sum(),
    "whole": col("n").sum(),
    "mean": col("x").mean(),
    "whole_mean": col("n").mean(),
    "least": col("x").min(),
    "most": col("n").max(),
    "range": col("x").range(),
    "var": col("x").var(),
    "std": col("n").std(0),
    "first": col("x").first(),
    "last": col("flag").last(),
    "any": col("flag").any(),
    "all": col("flag").all(),
    "slope": col("x").slope("1us"),
    "top": col("n").top_k(2),
    "bins": col("x").histogram([-10.0, 0.0, 10.0]),
    "some": col("n").collect(3),
    "median": col("x").median(),
    "high": col("n").quantile(0.9),
    "different": col("x").count_distinct(),
    "nearly": col("n").count_distinct(2),
}
OF_TIME = {"rate": rate("1us"), "then": col("x").projection("2us"), "held": col("x").time_weighted_mean()}


@st.composite
def queries(draw: st.DrawFn) -> Query:
    window = draw(windows())
    aggregates = AGGREGATES | ({} if isinstance(window, Global) else OF_TIME)
    lateness, early = draw(latenesses()), draw(earlies())
    if isinstance(window, Count):
        lateness, early = replace(lateness, policy="side", allowed_us=0), None
    if isinstance(window, Session) and early is not None and hasattr(early, "period_us"):
        early = None
    keys = draw(st.sampled_from([("key",), (), ("key", "flag")]))
    fixed = isinstance(window, Sliding | Calendar) and not lateness.allowed_us and early is None
    fill_empty = fixed and draw(st.booleans())
    return Query(draw(event_times()), keys, window, tuple(aggregates.items()), lateness, early, fill_empty)


def plan_of(query: Query, idle: bool) -> Plan:
    aggregate = WindowedAggregate(
        query.keys, query.window, query.aggregates, query.lateness, query.early, query.fill_empty
    )
    event_time = replace(query.event_time, idle_after_us=10**15) if idle else query.event_time
    return Plan((Input(Columns(COLUMNS)),), event_time=event_time, aggregate=aggregate)


def told(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Counter[str]:
    return Counter(bits({name: row[name] for name in names}) for row in rows)


def refused(rows: Sequence[Mapping[str, Any]], log: str, offset: str, why: str) -> Counter[tuple[object, ...]]:
    return Counter((row[log], row[offset], row[why]) for row in rows)


def compare(player: Player, query: Query, given: Sequence[Entry], logs: Sequence[str], **manner: Any) -> dict[str, Any]:
    plan = plan_of(query, any(isinstance(one, Idle) for one in given))
    outputs = plan_answer(plan, given, COLUMNS, logs, Manner())
    answer = player.play(plan, given, logs, **manner)
    late = rows_of(outputs.get(LATE, []))
    assert refused(answer["late"], "log", "offset", "watermark") == refused(late, "_log", "_offset", "watermark")
    dead = rows_of(outputs.get(DEAD_LETTERS, []))
    assert refused(answer["dead_letters"], "log", "offset", "reason") == refused(dead, "_log", "_offset", "reason")
    account = answer["accounting"]
    assert account["received"] == sum(number for name, number in account.items() if name != "received")
    assert account["dead_letters"] == len(dead)
    return {"embedded": rows_of(outputs.get(RESULTS, [])), "flink": answer["results"]}


SETTINGS = settings(
    max_examples=examples(16),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


ONE_LOG = (queries(), entries(("one",)), st.integers(1, 3))
ONE_DOOR = (queries(), entries(("one", "two", "three")))
DOORS = (queries(), entries(("one", "two", "three"), marks=False), st.integers(2, 4))
RESTARTS = (
    queries(),
    entries(("one", "two"), marks=False),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), min_size=1, max_size=4),
)


@SETTINGS
@given(*ONE_LOG)
def test_one_log_gives_the_same_rows_to_the_last_bit(
    player: Player, query: Query, given: list[Entry], parallelism: int
) -> None:
    found = compare(player, query, given, ["one"], parallelism=parallelism)
    if _has_key_clock(query) and query.keys != ("key",):
        _same_in_the_end(query, found)  # several groups share a clock: each hears of it with its own next event
    else:
        _same(found)


@SETTINGS
@given(*ONE_DOOR)
def test_several_logs_behind_one_door_give_the_same_rows(player: Player, query: Query, given: list[Entry]) -> None:
    found = compare(player, query, given, ["one", "two", "three"])
    if _has_key_clock(query):
        _same_in_the_end(query, found)  # what other logs do to a key's clock is heard of with its own next event
    else:
        _same(found)


@SETTINGS
@given(*DOORS)
def test_several_doors_give_the_same_windows_in_the_end(
    player: Player, query: Query, given: list[Entry], parallelism: int
) -> None:
    found = compare(player, query, given, ["one", "two", "three"], parallelism=parallelism)
    _same_in_the_end(query, found)


@SETTINGS
@given(*RESTARTS)
def test_a_restart_at_any_parallelism_shows_nowhere(
    player: Player, query: Query, given: list[Entry], restarts: list[tuple[int, int]]
) -> None:
    assume(len(given) > 2)
    at = {place % (len(given) - 2): parallelism for place, parallelism in restarts}
    found = compare(player, query, given, ["one", "two"], restarts=sorted(at.items()))
    _same_in_the_end(query, found)


@SETTINGS
@given(
    st.integers(1, 6),
    st.integers(3, 12),
    st.sampled_from([("key",), ("key", "flag"), ()]),
    latenesses(),
    earlies(),
    silent_entries(("one", "two", "three")),
    st.sets(st.integers(0, 30), max_size=4),
    st.booleans(),
)
def test_logs_that_fall_silent_together_come_back_as_in_the_embedded_engine(
    player: Player,
    size: int,
    cap: int,
    keys: tuple[str, ...],
    lateness: Lateness,
    early: Early | None,
    given: list[Entry],
    restarts: set[int],
    closes: bool,
) -> None:
    event_time = EventTime("at", Ascending(), KeyClock("key", cap), max_future_us=None, close_when_idle=closes)
    aggregates = (("rows", count()), ("sum", col("x").sum()))
    query = Query(event_time, keys, Sliding(size, size, 0), aggregates, lateness, early)
    at = [(place, 1) for place in sorted(restarts) if place < len(given) - 3]
    found = compare(player, query, given, ["one", "two", "three"], restarts=at)
    _same_in_the_end(query, found)
    for rows in found.values():
        law_final_once(query, rows)


@SETTINGS
@given(queries(), silent_entries(("one", "two")), st.sets(st.integers(0, 20), max_size=2))
def test_windows_of_every_kind_close_while_all_logs_are_silent(
    player: Player, query: Query, given: list[Entry], restarts: set[int]
) -> None:
    closing = replace(query, event_time=replace(query.event_time, close_when_idle=True))
    at = [(place, 1) for place in sorted(restarts) if place < len(given) - 2]
    found = compare(player, closing, given, ["one", "two"], restarts=at)
    _same_in_the_end(query, found)


def _has_key_clock(query: Query) -> bool:
    return isinstance(query.event_time.clock, KeyClock) and query.event_time.clock.key in query.keys


def _same_in_the_end(query: Query, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    assert final_content(query, found["embedded"]) == final_content(query, found["flink"])


def _same(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    embedded, flink = found["embedded"], found["flink"]
    names = list(embedded[0]) if embedded else []
    left, right = told(embedded, names), told(flink, names)
    if left != right:
        raise AssertionError(f"embedded only: {list(left - right)}\nflink only: {list(right - left)}")
