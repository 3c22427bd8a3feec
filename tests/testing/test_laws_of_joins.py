"""Copies, captures and joins on drawn streams: what the reference says, in every manner and interleaving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from eventide.expressions import col, count
from eventide.plan import LATE, RESULTS, AsofJoin, Deduplicate, Derived, IntervalJoin, Merge, WindowedAggregate
from eventide.semantics.eventtime import EventTime
from eventide.semantics.windows import Session, Sliding, Window
from eventide.testing import pair_laws, streams
from eventide.testing.laws import Manner, rows_of
from eventide.testing.reference import Entry
from eventide.testing.reference.pairs import copies_reference

LOGS = (("a1", "a2"), ("b1",))
ALL = tuple(log for logs in LOGS for log in logs)
MANNERS = (
    Manner(),
    Manner((1,), 3),
    Manner((2, 5), 1, frozenset({1, 4, 9})),
    Manner((3,), 1, frozenset({2, 7}), memory=1),
)
QUIET = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
SMALL = st.integers(0, 5)


def event_times() -> st.SearchStrategy[EventTime]:
    return st.one_of(streams.close_event_times(), streams.close_event_times(), streams.event_times())


def drawn_entries(logs: Sequence[str], marks: bool = True) -> st.SearchStrategy[list[Entry]]:
    close = streams.close_entries(logs, marks)
    return st.one_of(close, close, close, streams.entries(logs, marks, most=8))


@st.composite
def derived(draw: st.DrawFn, kind: str) -> Derived:
    left, right = (pair_laws.side(streams.COLUMNS, draw(event_times()), name) for name in ("a", "b"))
    on = (("key", "key"),)
    if kind == "merge":
        return Merge(left, draw(st.sampled_from([("key",), ("key", "at")])), draw(st.integers(1, 5)))
    if kind == "asof":
        how: Literal["left", "inner"] = draw(st.sampled_from(["left", "inner"]))
        return AsofJoin(left, right, on, draw(st.one_of(st.none(), SMALL)), how)
    lower = draw(st.integers(-5, 5))
    outer: Literal["inner", "left", "outer"] = draw(st.sampled_from(["inner", "left", "outer"]))
    return IntervalJoin(left, right, on, lower, lower + draw(SMALL), outer)


def logs_of(kind: str) -> Sequence[Sequence[str]]:
    return LOGS[:1] if kind == "merge" else LOGS


KINDS = pytest.mark.parametrize("kind", ["merge", "interval", "asof"])


@KINDS
@QUIET
@given(st.data())
def test_a_derived_stream_is_what_the_reference_says_row_for_row(kind: str, data: st.DataObject) -> None:
    logs = logs_of(kind)
    spec = data.draw(derived(kind))
    drawn = pair_laws.named(data.draw(drawn_entries([log for one in logs for log in one])))
    for manner in MANNERS:
        pair_laws.law_derived(spec, drawn, logs, manner)


@KINDS
@QUIET
@given(st.data())
def test_interleaving_does_not_show_in_a_derived_stream(kind: str, data: st.DataObject) -> None:
    logs = logs_of(kind)
    spec = data.draw(derived(kind))
    names = [log for one in logs for log in one]
    drawn = pair_laws.named(data.draw(drawn_entries(names, marks=False)))
    orders = [drawn, *(one_after_the_other(drawn, order) for order in (names, names[::-1]))]
    pair_laws.law_one_answer(pair_laws.derived_plan(spec), orders, logs, MANNERS[:1], exact=kind == "merge")


@KINDS
@QUIET
@given(st.data())
def test_windows_over_a_derived_stream_do_not_see_interleaving_cuts_or_restarts(kind: str, data: st.DataObject) -> None:
    logs = logs_of(kind)
    spec = data.draw(derived(kind))
    kinds: list[Window] = [Sliding(4, 4), Sliding(6, 2), Session(2)]
    window = data.draw(st.sampled_from(kinds))
    query = WindowedAggregate(("key",), window, (("n", count()), ("last", col("id").last()), ("x", col("x").mean())))
    names = [log for one in logs for log in one]
    drawn = pair_laws.named(data.draw(drawn_entries(names, marks=False)))
    orders = [drawn, *(one_after_the_other(drawn, order) for order in (names, names[::-1]))]
    plan = replace(pair_laws.derived_plan(spec), aggregate=query)
    pair_laws.law_one_answer(plan, orders, logs, MANNERS[:1], exact=True)
    pair_laws.law_one_answer(plan, orders[:1], logs, MANNERS, exact=True)


@QUIET
@given(event_times(), st.integers(1, 9), st.data())
def test_copies_are_what_the_reference_says_and_do_not_see_cuts_or_interleaving(
    event_time: EventTime, within_us: int, data: st.DataObject
) -> None:
    by = data.draw(st.sampled_from([("key",), ("key", "at"), ("key", "n")]))
    step = Deduplicate(by, within_us)
    drawn = pair_laws.named(data.draw(drawn_entries(("a1", "a2"))))
    plan = replace(pair_laws.side(streams.COLUMNS, event_time, "a"), after=(step,))
    wanted = copies_reference(step, event_time, drawn, ("a1", "a2"))
    for manner in MANNERS:
        outputs, account = pair_laws.answer(plan, drawn, (("a1", "a2"),), manner)
        assert [row["id"] for row in rows_of(outputs.get(RESULTS, []))] == [
            f"{name[0]} {name[1]}" for (name,) in wanted.made if name is not None
        ]
        assert [(row["_log"], row["_offset"]) for row in rows_of(outputs.get(LATE, []))] == wanted.late
        assert account.duplicates == len(wanted.copies)
    plain = [one for one in drawn if type(one).__name__ in ("Event", "Finished")]
    orders = [plain, *(one_after_the_other(plain, order) for order in (("a1", "a2"), ("a2", "a1")))]
    pair_laws.law_one_answer(plan, orders, (("a1", "a2"),), MANNERS[:1], exact=False)


def one_after_the_other(entries: Sequence[Entry], logs: Sequence[str]) -> list[Entry]:
    """The same logs, each read when the one before has ended."""
    return [entry for log in logs for entry in entries if entry.log == log]
