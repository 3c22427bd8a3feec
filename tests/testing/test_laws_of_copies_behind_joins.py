"""Copies among the rows of joins and captures: what the reference says, in every manner, interleaving and window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.testing.test_laws_of_joins import MANNERS, drawn_entries, one_after_the_other
from tests.testing.test_laws_of_nested_joins import INNER, ON, QUIET, inner_plan, timed

import eventide as et
from eventide.expressions import col, count
from eventide.plan import RESULTS, AsofJoin, Deduplicate, Plan, WindowedAggregate
from eventide.semantics.eventtime import EventTime
from eventide.semantics.windows import Sliding
from eventide.testing import pair_laws, streams
from eventide.testing.laws import rows_of
from eventide.testing.reference.entries import Row
from eventide.testing.reference.nested import made_rows


def first_ones(rows: list[Row], by: tuple[str, ...], within: int) -> list[Row]:
    """The rows of one log, in its order, without those that have an earlier one of the same values near in time."""
    kept: list[Row] = []
    for number, row in enumerate(rows):
        same = [one for one in rows[:number] if all(one.get(name) == row.get(name) for name in by)]
        if not any(abs(time_of(one) - time_of(row)) <= within for one in same):
            kept.append(row)
    return kept


def time_of(row: Row) -> int:
    time = row["_made_at"]
    assert isinstance(time, int)
    return time


def names_of(rows: Sequence[Row]) -> list[str]:
    return [str([row.get("id"), row.get("id_right")]) for row in rows]


@st.composite
def copied(draw: st.DrawFn, kind: str) -> Plan:
    by = draw(st.sampled_from([("key",), ("key", "n")]))
    return replace(inner_plan(draw, kind), after=(Deduplicate(by, draw(st.integers(1, 6))),))


@pytest.mark.parametrize("kind", INNER)
@QUIET
@given(st.data())
def test_the_first_row_in_event_time_stays_under_every_interleaving(kind: str, data: st.DataObject) -> None:
    plan, logs = data.draw(copied(kind)), INNER[kind]
    names = [log for one in logs for log in one]
    drawn = pair_laws.named(data.draw(drawn_entries(names)))
    (step,) = plan.after
    assert isinstance(step, Deduplicate)
    assert plan.derived is not None
    made, _ = made_rows(plan.derived, drawn, logs)
    expected = names_of(first_ones(made, step.by, step.within_us))
    for manner in MANNERS:
        outputs, account = pair_laws.answer(plan, drawn, logs, manner)
        assert names_of(rows_of(outputs.get(RESULTS, []))) == expected
        assert account.closes
    orders = [drawn, *(one_after_the_other(drawn, order) for order in (names, names[::-1]))]
    pair_laws.law_one_answer(plan, orders, logs, MANNERS[:1], exact=True)
    query = WindowedAggregate(("key",), Sliding(6, 2), (("n", count()), ("last", col("id").last())))
    pair_laws.law_one_answer(replace(plan, aggregate=query), orders, logs, MANNERS[:2], exact=True)


@QUIET
@given(st.data())
def test_a_join_without_copies_may_be_joined_again(data: st.DataObject) -> None:
    inner = data.draw(copied("interval"))
    plan = pair_laws.derived_plan(
        AsofJoin(inner, pair_laws.side(streams.COLUMNS, ascending(), "c"), ON, None, "left", "_c")
    )
    logs = [*INNER["interval"], ["c1"]]
    drawn = pair_laws.named(data.draw(drawn_entries([log for one in logs for log in one])))
    (step,) = inner.after
    assert isinstance(step, Deduplicate)
    assert inner.derived is not None
    made, _ = made_rows(inner.derived, [one for one in drawn if one.log != "c1"], INNER["interval"])
    expected = sorted(names_of(first_ones(made, step.by, step.within_us)))
    for manner in MANNERS:
        outputs, _ = pair_laws.answer(plan, drawn, logs, manner)
        assert sorted(names_of(rows_of(outputs.get(RESULTS, [])))) == expected


def ascending() -> EventTime:
    return EventTime("at", et.ascending(), max_future_us=None)


def test_one_alarm_of_many_matches_goes_on() -> None:
    doors = timed("doors", [{"key": "x", "at": 100}, {"key": "x", "at": 200}])
    steps = timed("steps", [{"key": "x", "at": at} for at in (100, 101, 104, 203, 300)])
    met = doors.join_interval(steps, on="key", lower="0s", upper="10s", suffix="_step").deduplicate("key", within="5s")
    met.check()
    out = met.run(show=False)
    # matches at 100, 101 and 104 are within 5 s of one before them
    assert out.results["at_step"].dt.epoch("s").to_list() == [100, 203]
    times = out.results["at_step"].to_list()
    assert all(one < two for one, two in pairwise(times))
    assert out.accounting.total.closes
