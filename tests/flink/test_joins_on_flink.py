"""Joins by the job's operators: another engine's cases, and drawn streams against the embedded engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.flink.player import Player

import eventide as et
from eventide.expressions import col, count
from eventide.flow import INSTANT
from eventide.instants import END_OF_TIME
from eventide.plan import DEAD_LETTERS, LATE, RESULTS, Input, IntervalJoin, Plan, WindowedAggregate
from eventide.runners.flink import gaps_of
from eventide.semantics.eventtime import EventTime, punctuated
from eventide.semantics.windows import Calendar, Global, Session, Sliding, Window
from eventide.testing import pair_laws, streams
from eventide.testing.laws import Columns, Manner, bits, rows_of
from eventide.testing.reference import Entry, Event, Finished, Heartbeat, Idle

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
CASES: list[dict[str, Any]] = json.loads((SHARED / "interval_join.json").read_text())["cases"]
LOGS = (("a1", "a2"), ("b1", "b2"))
ALL = tuple(log for logs in LOGS for log in logs)
SIDES = ("left", "right")
QUIET = settings(
    max_examples=examples(16),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@pytest.mark.parametrize("restored", [False, True], ids=["stands", "restored"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_joins_answer_as_flink_does(player: Player, case: dict[str, Any], restored: bool) -> None:
    join = case["join"]
    schema = {"key": pl.String(), "at": INSTANT, "marker": INSTANT}
    told = EventTime("at", punctuated("marker"), max_future_us=None)
    left, right = (Plan((Input(Columns(schema, name)),), event_time=told) for name in SIDES)
    lower = int(join["lower"]) + (0 if join.get("lower_inclusive", True) else 1)
    upper = int(join["upper"]) - (0 if join.get("upper_inclusive", True) else 1)
    plan = Plan((*left.inputs, *right.inputs), derived=IntervalJoin(left, right, (("key", "key"),), lower, upper))
    entries = list(_entries(case["steps"]))
    restarts = [(place, 1 + place % 3) for place in range(len(entries))] if restored else []
    answer = player.play_join(plan, entries, [["left"], ["right"]], restarts=restarts)
    wanted = [pair for step in case["steps"] if step["op"] == "expect" for pair in step["pairs"]]
    assert Counter((row["at"], row["at_right"]) for row in answer["results"]) == Counter(map(tuple, wanted))
    if "expect_late" in case:
        times = {(one.log, one.offset): one.row["at"] for one in entries if isinstance(one, Event)}
        late = Counter((one["log"], times[one["log"], one["offset"]]) for one in answer["late"])
        assert late == Counter((one["side"], one["ts"]) for one in case["expect_late"])


def _entries(steps: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Their operator knows one watermark, the smaller of both sides: that one is put into both logs."""
    made: list[Entry] = []
    marks = dict.fromkeys(SIDES, -END_OF_TIME)
    for number, step in enumerate(steps):
        if step["op"] == "event":
            made.append(Event(step["side"], number, {"key": step["key"], "at": step["ts"], "marker": None}))
        elif step["op"] == "watermark":
            before = min(marks.values())
            marks[step["side"]] = max(marks[step["side"]], int(step["ts"]))
            if min(marks.values()) > before:
                made += [Heartbeat(side, min(*marks.values(), END_OF_TIME)) for side in SIDES]
    return made


def event_times() -> st.SearchStrategy[EventTime]:
    return st.one_of(streams.close_event_times(), streams.close_event_times(), streams.event_times())


def drawn_entries(marks: bool = True) -> st.SearchStrategy[list[Entry]]:
    close = streams.close_entries(ALL, marks)
    return st.one_of(close, close, close, streams.entries(ALL, marks, most=8)).map(pair_laws.named)


@st.composite
def joins(draw: st.DrawFn) -> IntervalJoin:
    left, right = (pair_laws.side(streams.COLUMNS, draw(event_times()), name) for name in ("a", "b"))
    lower = draw(st.integers(-5, 5))
    how: Literal["inner", "left", "outer"] = draw(st.sampled_from(["inner", "left", "outer"]))
    on = draw(st.sampled_from([(("key", "key"),), (("key", "key"), ("flag", "flag"))]))
    return IntervalJoin(left, right, on, lower, lower + draw(st.integers(0, 5)), how)


@st.composite
def windowed(draw: st.DrawFn) -> Plan:
    kinds: list[Window] = [Sliding(4, 4), Sliding(6, 2), Sliding(5, 3), Session(2), Calendar("1d", "UTC"), Global()]
    window = draw(st.sampled_from(kinds))
    aggregates = {
        "n": count(),
        "last": col("id").last(),
        "first": col("id_right").first(),
        "some": col("id").collect(3),
        "x": col("x").mean(),
        "sum": col("n_right").sum(),
    }
    keys = draw(st.sampled_from([("key",), (), ("key", "n_right")]))
    query = WindowedAggregate(keys, window, tuple(aggregates.items()))
    return replace(pair_laws.derived_plan(draw(joins())), aggregate=query)


def compare(player: Player, plan: Plan, given: Sequence[Entry], **manner: Any) -> None:
    """Both engines give the same rows, late rows, dead letters and the same account."""
    plan = _with_silence(plan) if any(isinstance(one, Idle) for one in given) else plan
    outputs, account = pair_laws.answer(plan, given, LOGS, Manner())
    answer = player.play_join(plan, given, LOGS, **manner)
    rows = rows_of(outputs.get(RESULTS, []))
    names = list(rows[0]) if rows else []
    shown = Counter(bits({name: row[name] for name in names}) for row in answer["results"])
    told = Counter(map(bits, rows))
    assert shown == told, f"embedded only: {list(told - shown)}\nflink only: {list(shown - told)}"
    late = Counter((row["_log"], row["_offset"], row["watermark"]) for row in rows_of(outputs.get(LATE, [])))
    assert Counter((one["log"], one["offset"], one["watermark"]) for one in answer["late"]) == late
    dead = Counter((row["_log"], row["_offset"], row["reason"]) for row in rows_of(outputs.get(DEAD_LETTERS, [])))
    assert Counter((one["log"], one["offset"], one["reason"]) for one in answer["dead_letters"]) == dead
    assert answer["accounting"] == {name: getattr(account, name) for name in answer["accounting"]}


def _with_silence(plan: Plan) -> Plan:
    """With `idle_after` one door sees all logs of a side, as it has to where they fall silent."""
    derived = plan.derived
    assert isinstance(derived, IntervalJoin)
    sides = []
    for side in derived.sides:
        assert side.event_time is not None
        sides.append(replace(side, event_time=replace(side.event_time, idle_after_us=10**15)))
    return replace(plan, derived=replace(derived, left=sides[0], right=sides[1]))


JOINS = (joins(), drawn_entries(), st.integers(1, 3))
DOORS = (joins(), drawn_entries(marks=False), st.integers(2, 4))
PLACES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=3)
WINDOWED = (windowed(), drawn_entries(marks=False), st.integers(1, 3), PLACES)
RESTARTS = (joins(), drawn_entries(marks=False), st.integers(1, 3), PLACES)


@QUIET
@given(*JOINS)
def test_a_join_gives_the_same_rows_on_both_engines(
    player: Player, join: IntervalJoin, given: list[Entry], parallelism: int
) -> None:
    compare(player, pair_laws.derived_plan(join), given, parallelism=parallelism)


@QUIET
@given(*DOORS)
def test_several_doors_on_each_side_give_the_same_rows(
    player: Player, join: IntervalJoin, given: list[Entry], parallelism: int
) -> None:
    compare(player, pair_laws.derived_plan(join), given, parallelism=parallelism)


@QUIET
@given(*RESTARTS)
def test_a_restart_of_a_join_at_any_parallelism_shows_nowhere(
    player: Player, join: IntervalJoin, given: list[Entry], parallelism: int, places: list[tuple[int, int]]
) -> None:
    restarts = _inside(given, places)
    compare(player, pair_laws.derived_plan(join), given, parallelism=parallelism, restarts=restarts)


@QUIET
@given(*WINDOWED)
def test_windows_behind_a_join_give_the_same_rows_on_both_engines(
    player: Player, plan: Plan, given: list[Entry], parallelism: int, places: list[tuple[int, int]]
) -> None:
    compare(player, plan, given, parallelism=parallelism, restarts=_inside(given, places))


def _inside(given: Sequence[Entry], places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Restarts in front of the end: when all logs have ended the job has ended too."""
    most = next((place for place, one in enumerate(given) if isinstance(one, Finished)), len(given))
    assume(most > 1)
    return sorted({place % (most - 1): parallelism for place, parallelism in places}.items())


def test_what_flink_cannot_do_of_a_join_is_said_before_anything_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("key,at,x\nk,2026-01-01T00:00:01Z,1.5\n")
    schema = {"key": str, "at": et.Instant, "x": float}
    a, b = (
        et.read_csv(tmp_path / f"{name}.csv", schema=schema, name=name).event_time("at", et.bounded("2s"))
        for name in ("a", "b")
    )
    closing = et.read_csv(tmp_path / "a.csv", schema=schema, name="a").event_time(
        "at", et.bounded("2s"), idle_after="1m", close_when_idle=True
    )
    joined = a.join_interval(b, on="key", lower="0s", upper="5s")
    counted = joined.group_by("key")
    n = count()
    assert gaps_of(joined.filter(col("x") > 0).plan) == ()
    assert gaps_of(counted.window(et.session("5s")).agg(n=n).plan) == ()
    wanted = {
        "captures": a.deduplicate("key", within="1s", merge=True),
        "left event_time: close_when_idle": closing.join_interval(b, on="key", lower="0s", upper="5s"),
        "join_asof": a.join_asof(b, on="key"),
        "right side: it is a derived stream": b.join_interval(
            joined, on="key", lower="0s", upper="1s", suffix="_other"
        ),
        "on x: it is a float": a.join_interval(b, on="x", lower="0s", upper="5s"),
        "count windows behind a join": counted.window(et.count_window(3)).agg(n=n),
        "lateness= behind a join": counted.window(et.tumbling("5s"), lateness="1m").agg(n=n),
        "early= behind a join": counted.window(et.tumbling("5s"), early=et.on_change()).agg(n=n),
        'fill="empty" behind a join': counted.window(et.tumbling("5s"), fill="empty").agg(n=n),
        "deduplicate has no form": joined.deduplicate("key", within="5s"),
        "left behind event_time: map_batches": a.map_batches(lambda frame: frame).join_interval(
            b, on="key", lower="0s", upper="5s"
        ),
    }
    for why, stream in wanted.items():
        assert any(why in str(gap) for gap in gaps_of(stream.plan)), (why, [str(gap) for gap in gaps_of(stream.plan)])
