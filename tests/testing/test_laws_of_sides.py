"""Side inputs and copies on drawn streams: rows, windows and detection behind them are what plain dictionaries say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.testing.test_laws_of_detection import MANNERS, QUIET, alerts, conditions, same, scores, seen, shown

import eventide as et
from eventide.expressions import col, count
from eventide.plan import Absent, Deduplicate, Enrich, Input, OrderedStep, Plan, Step, WindowedAggregate
from eventide.semantics.eventtime import EventTime
from eventide.semantics.windows import Session, Sliding
from eventide.testing import laws, streams
from eventide.testing.reference import Entry, Event, Query, reference
from eventide.testing.reference.detection import detect, on_time
from eventide.testing.reference.pairs import copies_reference

LOGS = ("one", "two")
FEWER = settings(QUIET, max_examples=examples(8))
Side = Mapping[str, int | None]
"""The level of each key; of several rows the last one counts."""


@st.composite
def sides(draw: st.DrawFn) -> tuple[Plan, Side]:
    rows = draw(
        st.lists(st.tuples(st.sampled_from(["a", "b", "z"]), st.one_of(st.none(), st.integers(-9, 9))), min_size=1)
    )
    frame = pl.DataFrame(rows, schema={"key": pl.String(), "level": pl.Int64()}, orient="row")
    return et.from_frame(frame, name="levels").plan, dict(rows)


def plan_of(event_time: EventTime, steps: Sequence[Step]) -> Plan:
    return Plan((Input(laws.Columns(streams.COLUMNS)),), event_time=event_time, after=tuple(steps))


def looked_up(entries: Sequence[Entry], side: Side) -> list[Entry]:
    """The entries with the level of their key; null where the side does not know it."""
    return [
        replace(one, row={**one.row, "level": side.get(str(one.row["key"])) if one.row["key"] else None})
        if isinstance(one, Event)
        else one
        for one in entries
    ]


@FEWER
@given(streams.close_event_times(), sides(), st.sampled_from([None, "unknown"]), st.data())
def test_a_row_gets_the_last_row_of_its_key_or_is_a_miss(
    event_time: EventTime, given_side: tuple[Plan, Side], misses: str | None, data: st.DataObject
) -> None:
    table, side = given_side
    drawn = data.draw(streams.close_entries(LOGS))
    plan = plan_of(event_time, [Enrich(table, (("key", "key"),), misses)])
    rows, _ = on_time(event_time, drawn, list(LOGS))
    known = [row for row in rows if row.values["key"] in side or misses is None]
    wanted = Counter((row.at, row.values["key"], side.get(row.values["key"])) for row in known)
    missed = Counter((row.at, row.values["key"]) for row in rows if row.values["key"] not in side)
    for manner in MANNERS:
        outputs = laws.plan_answer(plan, drawn, streams.COLUMNS, LOGS, manner)
        found = laws.rows_of(outputs.get("results", []))
        assert Counter((row["at"], row["key"], row["level"]) for row in found) == wanted
        if misses is not None:
            assert Counter((row["at"], row["key"]) for row in laws.rows_of(outputs.get(misses, []))) == missed


@FEWER
@given(streams.event_times(), sides(), st.sampled_from([Sliding(8, 8), Sliding(9, 4), Session(3)]), st.data())
def test_windows_over_looked_up_rows_are_those_of_the_reference_under_every_interleaving(
    event_time: EventTime, given_side: tuple[Plan, Side], window: Any, data: st.DataObject
) -> None:
    table, side = given_side
    aggregates = (("n", count()), ("levels", col("level").sum()), ("known", col("level").count()))
    query = Query(event_time, ("key",), window, aggregates)
    windowed = WindowedAggregate(("key",), window, aggregates)
    plan = replace(plan_of(event_time, [Enrich(table, (("key", "key"),))]), aggregate=windowed)
    drawn = data.draw(streams.entries(LOGS, marks=False, most=20))
    wanted = laws.final_content(query, reference(query, looked_up(drawn, side), list(LOGS)).results)
    apart = [entry for log in reversed(LOGS) for entry in drawn if entry.log == log]
    for entries, manner in ((drawn, MANNERS[0]), (drawn, MANNERS[1]), (apart, MANNERS[2])):
        outputs = laws.plan_answer(plan, entries, streams.COLUMNS, LOGS, manner)
        assert laws.final_content(query, laws.rows_of(outputs.get("results", []))) == wanted


@FEWER
@given(streams.event_times(), st.sampled_from([(), ("key",)]), sides(), st.booleans(), st.data())
def test_alerts_and_silence_behind_copies_and_side_inputs_are_those_of_the_reference(
    event_time: EventTime, by: tuple[str, ...], given_side: tuple[Plan, Side], scored: bool, data: st.DataObject
) -> None:
    table, side = given_side
    alert, absent = data.draw(alerts(by)), Absent("absent", data.draw(st.integers(1, 15)), "warning", by)
    ordered: tuple[OrderedStep, ...] = (data.draw(scores("n", by)), alert) if scored else (alert, absent)
    once = Deduplicate(("key", "at"), data.draw(st.integers(1, 9)))
    front: tuple[Step, ...] = (once, Enrich(table, (("key", "key"),)))
    drawn = data.draw(streams.entries(LOGS, most=20))
    plan = plan_of(event_time, (*front, *ordered))
    copies = set(copies_reference(once, event_time, drawn, LOGS).copies)
    rows, came = on_time(event_time, drawn, list(LOGS))
    rows = [row for row in rows if (row.log, row.offset) not in copies]
    for row in rows:
        row.values["level"] = side.get(row.values["key"])
    wanted = detect(rows, ordered, {alert.name: conditions(alert)}, came)
    outputs = laws.plan_answer(plan, drawn, streams.COLUMNS, LOGS, laws.Manner((3, 1)))
    assert seen(outputs, by, ["score", alert.name] if scored else [alert.name, "absent"]) == wanted.alerts
    results = laws.rows_of(outputs.get("results", []))
    given_rows = Counter((row.at, row.values["key"], row.values["level"]) for row in wanted.rows)
    assert Counter((row["at"], row["key"], row["level"]) for row in results) == given_rows
    first = shown(plan, drawn, LOGS, laws.Manner())
    same(plan, drawn, LOGS, first, MANNERS)


@FEWER
@given(streams.event_times(), st.data())
def test_windows_behind_alerts_count_no_copy(event_time: EventTime, data: st.DataObject) -> None:
    once, alert = Deduplicate(("key", "at"), 5), data.draw(alerts(("key",)))
    query = WindowedAggregate(("key",), Sliding(8, 8), (("n", count()),))
    drawn = data.draw(streams.entries(LOGS, most=20))
    alone = replace(plan_of(event_time, (once,)), aggregate=query)
    watched = replace(plan_of(event_time, (once, alert)), aggregate=query)
    wanted = shown(alone, drawn, LOGS, laws.Manner((2,)))
    for manner in MANNERS:
        got = shown(watched, drawn, LOGS, manner)
        assert {name: got.get(name) for name in ("results", "late")} == {
            name: wanted.get(name) for name in ("results", "late")
        }


TABLE = [{"key": "x", "level": 1}]


def test_copies_and_side_inputs_stand_in_front_of_what_is_put_in_order() -> None:
    at = et.field(et.Instant, unit="s")
    rows = [{"key": "x", "at": 1, "v": 9}, {"key": "x", "at": 1, "v": 9}, {"key": "y", "at": 2, "v": 9}]
    stream = et.from_rows(rows, schema={"key": str, "at": at, "v": int}).event_time(
        "at", et.bounded("1s"), max_future=None
    )
    table = et.from_rows(TABLE, schema={"key": str, "level": int}, name="levels")
    once = stream.deduplicate("key", "at", within="1m").enrich(table, on="key", misses="unknown")
    out = once.alert(col("v") > col("level"), name="high", by="key", cooldown="1s").run(show=False)
    assert out["alerts"]["key"].to_list() == ["x"]
    assert out["unknown"]["key"].to_list() == ["y"]
    total = out.accounting.total
    assert (total.on_time, total.duplicates, total.filtered) == (1, 1, 1)
    with pytest.raises(et.PlanError, match="Call deduplicate and enrich in front of it"):
        stream.alert(col("v") > 1, name="high", by="key").deduplicate("key", within="1m").check()
    with pytest.raises(et.PlanError, match="Call output behind them"):
        stream.output("raw", lambda s: s.filter(col("v") > 0)).deduplicate("key", within="1m").alert(
            col("v") > 1, name="high", by="key"
        ).check()
