"""Laws over generated trees of any shape, value and name: printing and parsing meet what nobody would write."""

from __future__ import annotations

from datetime import UTC, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventide.expressions import (
    Aggregation,
    Call,
    Column,
    Expr,
    Literal,
    aggregation,
    parse_aggregation,
    parse_expression,
    same,
    to_sql,
)
from eventide.expressions.settings import OF_EVENTS, SETTINGS
from eventide.expressions.signatures import SIGNATURES

_ODD_NAMES = ["dose", "a b", 'say "x"', "select", "null", "Timestamp", "é", "a.b", "--"]
names = st.one_of(st.sampled_from(_ODD_NAMES), st.text(min_size=1))
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(timedelta(microseconds=-(2**60)), timedelta(microseconds=2**60)),
)
leaves: st.SearchStrategy[Expr] = st.one_of(names.map(Column), values.map(Literal))
_COUNTS = {"when": (3, 5)}
_FIXED: dict[str, st.SearchStrategy[Any]] = {
    "matches": st.text(),
    "replace": st.text(min_size=1),
    "round": st.integers(0, 15),
}


@st.composite
def _calls(draw: st.DrawFn, inner: st.SearchStrategy[Expr]) -> Expr:
    function = draw(st.sampled_from(sorted(SIGNATURES)))
    signature = SIGNATURES[function]
    counts = _COUNTS.get(function) or range(signature.least, (signature.most or signature.least + 2) + 1)
    arguments = [draw(inner) for _ in range(draw(st.sampled_from(counts)))]
    if function in _FIXED:
        arguments[1:] = [Literal(draw(_FIXED[function])) for _ in arguments[1:]]
    return Call(function, tuple(arguments))


trees: st.SearchStrategy[Expr] = st.recursive(leaves, _calls, max_leaves=12)

_lengths = st.integers(1, 2**60).map(lambda us: timedelta(microseconds=us))
_edges = st.lists(st.floats(allow_nan=False), min_size=2, max_size=5, unique=True).map(sorted)
_SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "ahead": _lengths,
    "ddof": st.sampled_from([0, 1]),
    "edges": _edges.filter(lambda edges: all(left < right for left, right in pairwise(edges))),
    "exact_up_to": st.integers(1, 10_000),
    "k": st.integers(1, 100),
    "limit": st.integers(1, 10_000),
    "per": _lengths,
    "q": st.floats(0, 1),
}


@st.composite
def aggregations(draw: st.DrawFn) -> Aggregation:
    function = draw(st.sampled_from(sorted(SETTINGS)))
    of = draw(st.none() | trees) if function in OF_EVENTS else draw(trees)
    return aggregation(function, of, **{name: draw(_SETTINGS[name]) for name in SETTINGS[function]})


@settings(max_examples=300, deadline=None)
@given(trees)
def test_every_printed_tree_is_read_back_the_same(tree: Expr) -> None:
    assert same(parse_expression(to_sql(tree)), tree)


@settings(max_examples=150, deadline=None)
@given(aggregations())
def test_every_printed_aggregation_is_read_back_the_same(wanted: Aggregation) -> None:
    assert parse_aggregation(to_sql(wanted)) == wanted


@settings(max_examples=200, deadline=None)
@given(trees, trees)
def test_different_trees_are_written_differently(left: Expr, right: Expr) -> None:
    assert (repr(left) == repr(right)) == same(left, right)
