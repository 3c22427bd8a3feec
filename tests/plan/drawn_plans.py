"""Plans as Hypothesis strategies: joins of joins, captures as sides, side inputs, detection, branches, sinks."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import polars as pl
from hypothesis import strategies as st
from tests.expressions.test_laws import aggregations, trees

import eventide as et
from eventide.expressions import Aggregation, Expr, OwnAggregate, col, own_aggregate
from eventide.plan import AsofJoin, Derived, Enrich, Input, IntervalJoin, Merge, Plan, WindowedAggregate, Write
from eventide.plan.detection import Absent, Alert, AlertRate, Anomaly, Peaks, Trend
from eventide.plan.nodes import Branch, Deduplicate, Filter, Select, Step, WithColumns
from eventide.semantics.eventtime import (
    Adaptive,
    Ascending,
    Bounded,
    Clock,
    EventTime,
    KeyClock,
    LogClock,
    Perfect,
    Punctuated,
    Strategy,
)
from eventide.semantics.lateness import Early, EveryChange, EveryInterval, Lateness
from eventide.semantics.windows import Calendar, Count, Global, Session, Sliding, Window

SCHEMA = {"key": str, "at": et.Instant, "x": float, "n": int}
lengths = st.integers(1, 10**13)
"""Microseconds of every size: their text may be 5m, 1d or 7us."""

names = st.sampled_from(["key", "at", "x", "n", "x_right", "a b", "on", "yes", "1", "~", "é: {}"])
"""Columns that there are, and names that text may take for something else."""

columns = st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)
keys = st.lists(st.sampled_from(["key", "n"]), min_size=1, max_size=2, unique=True).map(tuple)
words = st.sampled_from(["hot", "no", "a: b", "#1", "null"])
severities = st.sampled_from(["info", "warning", "critical"])
numbers = st.floats(0.001, 1e9)
ordinary: st.SearchStrategy[Expr] = st.sampled_from([col("x") > 1, col("n") + 1, col("x").is_null(), col("key") == "q"])
expressions = st.one_of(ordinary, ordinary, trees)
named_expressions = st.dictionaries(names, expressions, min_size=1, max_size=3).map(lambda made: tuple(made.items()))
own: st.SearchStrategy[OwnAggregate] = st.sampled_from(["x", "n"]).map(
    lambda name: own_aggregate(
        col(name),
        partial=lambda x: {"sum": (x * 2).sum(), "seen": x.count()},
        merge=lambda part: {"sum": part["sum"].sum(), "seen": part["seen"].sum()},
        result=lambda part: part["sum"] / part["seen"],
    )
)
methods = st.sampled_from(
    [et.zscore(9), et.hampel(30, 3.5), et.ewma(0.1), et.seasonal("1w", "30m", cycles=4), et.half_space_trees(0, 50)]
)
row_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Filter, expressions), st.builds(Select, named_expressions), st.builds(WithColumns, named_expressions)
)
ordered_steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Alert, words, expressions, st.none() | expressions, severities, st.just(0) | lengths, keys),
    st.builds(Absent, words, lengths, severities, keys, st.sampled_from(["event", "processing"])),
    st.builds(Anomaly, st.sampled_from(["x", "n"]), methods, keys, words),
    st.builds(Peaks, st.just("x"), numbers, lengths, keys, words),
    st.builds(Trend, st.just("x"), numbers, st.integers(3, 10_000), keys, words),
)
strategies: st.SearchStrategy[Strategy] = st.one_of(
    st.just(Ascending()),
    st.just(Perfect()),
    st.integers(0, 10**9).map(Bounded),
    names.map(Punctuated),
    st.builds(Adaptive, st.floats(0.001, 0.5), st.just(0) | st.integers(1, 10**6), st.integers(10**6, 10**9)),
)
clocks: st.SearchStrategy[Clock] = st.just(LogClock()) | st.builds(KeyClock, names, st.integers(10**9, 10**12))
event_times = st.builds(
    EventTime,
    st.just("at"),
    strategies,
    clocks,
    st.none() | st.just(0) | lengths,
    st.none() | lengths,
    st.none() | lengths,
    st.booleans(),
)
earlies: st.SearchStrategy[Early | None] = st.none() | st.just(EveryChange()) | st.builds(EveryInterval, lengths)


@st.composite
def _sliding(draw: st.DrawFn) -> Sliding:
    slide = draw(lengths)
    return Sliding(slide * draw(st.integers(1, 5)), slide, draw(st.just(0) | st.integers(0, slide - 1)))


windows: st.SearchStrategy[Window] = st.one_of(
    _sliding(),
    st.builds(Session, lengths),
    st.builds(Count, st.integers(1, 10**6), st.none() | lengths),
    st.just(Global()),
    st.builds(Calendar, st.sampled_from(["1d", "1w", "1mo", "1q", "1y"]), st.sampled_from(["UTC", "Europe/Vienna"])),
)
lateness = st.just(Lateness()) | st.just(Lateness("drop", 0)) | lengths.map(lambda us: Lateness("update", us))
aggregates = st.dictionaries(names, aggregations() | own, min_size=1, max_size=3).map(lambda made: tuple(made.items()))
windowed = st.builds(
    WindowedAggregate,
    st.just(()) | keys,
    windows,
    aggregates,
    lateness,
    earlies,
    st.booleans(),
    st.booleans(),
)


@st.composite
def _inputs(draw: st.DrawFn, most: int = 2) -> tuple[Input, ...]:
    made = []
    for number in range(draw(st.integers(1, most))):
        name = f"{draw(st.integers(0, 999))}-{number}"
        source = draw(
            st.sampled_from(
                [
                    et.read_csv(f"{name}.csv", schema=SCHEMA),
                    et.read_ndjson(f"{name}.ndjson", schema=SCHEMA),
                    et.read_parquet(f"{name}.parquet", schema=SCHEMA),
                ]
            )
        )
        made.append(Input(source.plan.inputs[0].source, tuple(draw(st.lists(row_steps, max_size=1)))))
    return tuple(made)


@st.composite
def _enrich(draw: st.DrawFn) -> Enrich:
    side = Plan(draw(_inputs(1)), tuple(draw(st.lists(row_steps, max_size=1))))
    misses, version = draw(st.none() | words), draw(st.none() | names)
    return Enrich(side, draw(_pairs()), misses, draw(earlies), version, draw(_suffixes))


_suffixes = st.sampled_from(["_right", "_2", ""])


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[tuple[str, str], ...]:
    """Columns of the left with those of the right; a column of the left stands once."""
    return tuple((left, draw(st.just(left) | names)) for left in draw(columns))


def _row_steps_behind_the_door() -> st.SearchStrategy[tuple[Step, ...]]:
    compared = st.builds(Deduplicate, columns, lengths)
    return st.lists(st.one_of(row_steps, compared, _enrich()), max_size=2).map(tuple)


@st.composite
def _read(draw: st.DrawFn) -> Plan:
    """A stream with a door."""
    before = tuple(draw(st.lists(row_steps, max_size=1)))
    return Plan(draw(_inputs()), before, draw(event_times), draw(_row_steps_behind_the_door()))


@st.composite
def _derived(draw: st.DrawFn, sides: st.SearchStrategy[Plan]) -> Plan:
    left, right, by = draw(sides), draw(sides), draw(columns)
    lower = draw(st.integers(-(10**12), 10**12))
    upper = lower + draw(st.just(0) | lengths)
    kinds: list[st.SearchStrategy[Derived]] = [
        st.builds(Merge, st.just(left), st.just(by), lengths),
        st.builds(
            IntervalJoin,
            st.just(left),
            st.just(right),
            _pairs(),
            st.just(lower),
            st.just(upper),
            st.sampled_from(["inner", "left", "outer"]),
            _suffixes,
        ),
        st.builds(
            AsofJoin,
            st.just(left),
            st.just(right),
            _pairs(),
            st.none() | st.just(0) | lengths,
            st.sampled_from(["left", "inner"]),
            _suffixes,
        ),
    ]
    spec = draw(st.one_of(kinds))
    inputs = tuple(one for side in spec.sides for one in side.inputs)
    return Plan(inputs, after=draw(_row_steps_behind_the_door()), derived=spec)


streams = st.recursive(_read(), _derived, max_leaves=5)
"""Streams with doors, and what is made of them, one within another."""


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A whole plan: a stream, detection, windows, results, further outputs and sinks."""
    made = draw(streams)
    ordered = () if made.derived is not None else tuple(draw(st.lists(ordered_steps, max_size=2)))
    finish = tuple(draw(st.lists(st.one_of(row_steps, ordered_steps), max_size=2)))
    aggregate = draw(st.none() | windowed)
    branches = tuple(
        Branch(name, tuple(draw(st.lists(row_steps, max_size=2))))
        for name in draw(st.lists(words, max_size=2, unique=True))
    )
    sinks = st.sampled_from([et.write_csv("out.csv"), et.write_parquet("parts"), et.console()])
    outputs = st.sampled_from(["results", "late", "dead_letters", *(branch.name for branch in branches)])
    writes = tuple(draw(st.lists(st.builds(Write, outputs, sinks), max_size=2)))
    rates = st.builds(AlertRate, words, st.integers(1, 99), lengths, severities, st.lists(words, max_size=2).map(tuple))
    return Plan(
        made.inputs,
        made.before,
        made.event_time,
        (*made.after, *ordered),
        aggregate,
        finish if aggregate is not None else (),
        branches,
        writes,
        made.derived,
        tuple(draw(st.lists(rates, max_size=1))),
    )


def structure(value: Any) -> object:
    """All that a plan holds, as plain values that can be compared: expressions build one when asked whether equal."""
    if isinstance(value, Expr | Aggregation | OwnAggregate):
        return repr(value.key)  # as text, in which NaN is itself, and 1 is not 1.0
    if isinstance(value, tuple | list):
        return [structure(one) for one in value]
    if isinstance(value, dict):
        return [(name, structure(one)) for name, one in value.items()]
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value).__name__, [(part.name, structure(getattr(value, part.name))) for part in fields(value)])
    return str(value) if isinstance(value, pl.DataType) else repr(value)
