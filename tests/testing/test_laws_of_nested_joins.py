"""Joins of joins and captures of joins on drawn streams: what the reference says, in every manner and interleaving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.testing.test_laws_of_joins import MANNERS, drawn_entries, event_times, one_after_the_other
from tests.testing.test_laws_of_joins import QUIET as ALL_QUIET

import eventide as et
from eventide.expressions import col, count
from eventide.plan import LATE, RESULTS, AsofJoin, Derived, IntervalJoin, Merge, Plan, WindowedAggregate
from eventide.semantics.windows import Session, Sliding, Window
from eventide.testing import pair_laws, streams
from eventide.testing.laws import rows_of
from eventide.testing.reference.nested import nested_reference

INNER = {"merge": [["a1", "a2"]], "interval": [["a1", "a2"], ["b1"]], "asof": [["a1", "a2"], ["b1"]]}
OUTER = ("merge", "interval of it", "interval with it", "asof of it", "asof with it")
ON = (("key", "key"),)
QUIET = settings(ALL_QUIET, max_examples=examples(5))
NAMES = ("id", "id_right", "id_outer")


def inner_plan(draw: st.DrawFn, kind: str) -> Plan:
    left, right = (pair_laws.side(streams.COLUMNS, draw(event_times()), name) for name in ("a", "b"))
    lower = draw(st.integers(-5, 5))
    kinds: list[Literal["inner", "left", "outer"]] = ["inner", "left", "outer"]
    how = draw(st.sampled_from(kinds))
    specs: dict[str, Derived] = {
        "merge": Merge(left, ("key", "n"), draw(st.integers(1, 3))),
        "interval": IntervalJoin(left, right, ON, lower, lower + 3, how),
        "asof": AsofJoin(left, right, ON, draw(st.one_of(st.none(), st.integers(0, 5))), "left"),
    }
    return pair_laws.derived_plan(specs[kind])


@st.composite
def nested(draw: st.DrawFn, inner: str, outer: str) -> tuple[Derived, int]:
    """An outer stream and the side of it that is derived."""
    made = inner_plan(draw, inner)
    other = pair_laws.side(streams.COLUMNS, draw(event_times()), "c")
    lower = draw(st.integers(-4, 4))
    if outer == "merge":
        return Merge(made, ("key",), draw(st.integers(1, 4))), 0
    number = 0 if outer.endswith("of it") else 1
    left, right = (made, other) if number == 0 else (other, made)
    if outer.startswith("asof"):
        return AsofJoin(left, right, ON, None, draw(st.sampled_from(["left", "inner"])), "_outer"), number
    kinds: list[Literal["inner", "left", "outer"]] = ["inner", "left", "outer"]
    how = draw(st.sampled_from(kinds))
    return IntervalJoin(left, right, ON, lower, lower + 4, how, "_outer"), number


def logs_of(inner: str, outer: str, number: int) -> list[list[list[str]]]:
    """The logs of each side, by its sources."""
    if outer == "merge":
        return [INNER[inner]]
    both = [INNER[inner], [["c1"]]]
    return both if number == 0 else both[::-1]


def flat(logs: list[list[list[str]]]) -> list[list[str]]:
    return [names for one in logs for names in one]


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
@QUIET
@given(st.data())
def test_a_stream_made_of_made_rows_holds_what_the_reference_says(inner: str, outer: str, data: st.DataObject) -> None:
    spec, number = data.draw(nested(inner, outer))
    logs = logs_of(inner, outer, number)
    names = [log for one in flat(logs) for log in one]
    drawn = pair_laws.named(data.draw(drawn_entries(names)))
    wanted, late = nested_reference(spec, number, drawn, logs)
    expected = sorted(str([row.get(name) for name in _names(wanted)]) for row in wanted)
    for manner in MANNERS:
        outputs, account = pair_laws.answer(pair_laws.derived_plan(spec), drawn, flat(logs), manner)
        found = rows_of(outputs.get(RESULTS, []))
        assert sorted(str([row[name] for name in _names(wanted)]) for row in found) == expected
        assert sorted((row["_log"], row["_offset"]) for row in rows_of(outputs.get(LATE, []))) == sorted(late)
        assert account.late == len(late)


def _names(rows: object) -> list[str]:
    """The columns that name rows, of those that the rows have."""
    assert isinstance(rows, list)
    return sorted({name for row in rows for name in row if name.startswith("id")})


@pytest.mark.parametrize("outer", OUTER)
@QUIET
@given(st.data())
def test_windows_over_joins_of_joins_do_not_see_interleaving_cuts_or_restarts(outer: str, data: st.DataObject) -> None:
    inner = data.draw(st.sampled_from(list(INNER)))
    spec, number = data.draw(nested(inner, outer))
    logs = flat(logs_of(inner, outer, number))
    kinds: list[Window] = [Sliding(4, 4), Sliding(6, 2), Session(2)]
    window = data.draw(st.sampled_from(kinds))
    query = WindowedAggregate(("key",), window, (("n", count()), ("last", col("id").last()), ("x", col("x").mean())))
    names = [log for one in logs for log in one]
    drawn = pair_laws.named(data.draw(drawn_entries(names, marks=False)))
    orders = [drawn, *(one_after_the_other(drawn, order) for order in (names, names[::-1]))]
    plan = replace(pair_laws.derived_plan(spec), aggregate=query)
    pair_laws.law_one_answer(plan, orders, logs, MANNERS[:1], exact=True)
    pair_laws.law_one_answer(plan, orders[:1], logs, MANNERS, exact=True)


def timed(name: str, rows: list[dict[str, object]], **columns: type) -> et.Stream:
    schema: dict[str, Any] = {"key": str, "at": et.field(et.Instant, unit="s"), **columns}
    return et.from_rows(rows, schema=schema, name=name).event_time("at", et.bounded("10s"), max_future=None)


def joined_thrice() -> et.Stream:
    a = timed("a", [{"key": "x", "at": at, "p": at} for at in (100, 200, 150)], p=int)
    b = timed("b", [{"key": "x", "at": at, "q": at} for at in (101, 205)], q=int)
    c = timed("c", [{"key": "x", "at": at, "r": at} for at in (99, 203, 120)], r=int)
    both = a.join_interval(b, on="key", lower="0s", upper="10s").filter(col("p") > 0)
    return both.join_asof(c, on="key", suffix="_c")


def test_a_join_of_a_join_is_written_read_checked_explained_and_run() -> None:
    made = joined_thrice()
    made.check()
    assert "join" in made.explain()
    out = made.run(show=False)
    # 100 meets 101, and at 101 the last of c is 99; 200 meets 205, and there it is 203
    assert sorted(out.results.select("p", "q", "r").rows()) == [(100, 101, 99), (200, 205, 203)]
    # 150 and 120 are behind their logs' watermarks, on the left of the left side and on the right one
    assert sorted(out.late.select("p", "r", "_side").rows(), key=str) == [
        (150, None, "left.left"),
        (None, 120, "right"),
    ]
    assert out.accounting.total.closes
    assert out.accounting.total.late == 2


def test_captures_may_be_made_of_a_join_and_joined_again() -> None:
    made = joined_thrice().deduplicate("key", within="10s", merge=True)
    assert sorted(made.run(show=False).results["p"].to_list()) == [100, 200]
    again = made.join_interval(timed("d", [{"key": "x", "at": 101}]), on="key", lower="0s", upper="0s", suffix="_d")
    assert again.run(show=False).results["p"].to_list() == [100]
