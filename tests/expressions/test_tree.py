"""Trees are values: immutable, hashable, told apart by structure, and readable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone

import pytest

from eventide import expressions
from eventide.errors import ExpressionError
from eventide.expressions import Expr, col, concat, count, greatest, least, lit, rate, same, when
from eventide.instants import Instant


def test_equal_trees_are_the_same_and_hash_alike() -> None:
    assert same((col("a") + 1) * 2, (col("a") + 1) * 2)
    assert hash(col("a") + 1) == hash(col("a") + 1)
    assert not same(col("a") - col("b"), col("b") - col("a"))


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (1, True), (0.0, -0.0), ("1", 1), (None, "None")])
def test_values_that_python_finds_equal_are_told_apart(left: object, right: object) -> None:
    assert not same(lit(left), lit(right))  # type: ignore[arg-type]


def test_not_a_number_is_the_same_as_itself() -> None:
    assert same(lit(float("nan")), lit(float("nan")))


def test_equals_builds_a_comparison() -> None:
    assert repr(col("a") == 1) == 'col("a") == 1'
    assert repr(col("a") != "x") == 'col("a") != "x"'


def test_an_expression_has_no_truth() -> None:
    with pytest.raises(ExpressionError, match=r"combine conditions with & \| ~"):
        bool(col("a") > 1)


def test_nodes_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        col("a").name = "b"  # type: ignore[misc]


def test_instants_are_held_in_utc() -> None:
    helsinki = datetime(2020, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert same(lit(helsinki), lit(datetime(2020, 1, 1, tzinfo=UTC)))
    assert same(lit(datetime(2020, 1, 1)), lit(datetime(2020, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("value", [2**63, [1], b"x", object(), timedelta.max])
def test_values_that_no_column_holds_are_refused(value: object) -> None:
    with pytest.raises(ExpressionError, match=r"64-bit|cannot stand in an expression"):
        col("a") + value  # type: ignore[operator]


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (col("dose") > 2.5, 'col("dose") > 2.5'),
        ((col("a") > 1) & ~col("b"), '(col("a") > 1) & (~col("b"))'),
        ((~col("a")).is_null(), '(~col("a")).is_null()'),
        (~col("a").is_null(), '~col("a").is_null()'),
        (~(col("a") & col("b")), '~(col("a") & col("b"))'),
        (2 ** col("a") // 3 % 5, '((2 ** col("a")) // 3) % 5'),
        (1 // col("a") + 7 % col("b"), '(1 // col("a")) + (7 % col("b"))'),
        (col("a").cast(Instant).hour(), 'col("a").cast(Instant).hour()'),
        (col("a").is_in([1, None]), 'col("a").is_in([1, None])'),
        (when(col("a") > 1).then("x").otherwise(None), 'when(col("a") > 1).then("x").otherwise(None)'),
        (concat(col('a"b'), "x"), 'concat(col("a\\"b"), "x")'),
    ],
)
def test_a_tree_is_written_as_the_user_would_write_it(tree: Expr, text: str) -> None:
    assert repr(tree) == text


def test_signs_and_methods_are_not_confused_when_written() -> None:
    assert repr((-col("a")).abs()) != repr(-(col("a").abs()))


def test_unfit_arguments_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="a column has a name"):
        col("")
    with pytest.raises(ValueError, match="would compare with each letter"):
        col("a").is_in("abc")
    with pytest.raises(ValueError, match="give at least one value"):
        col("a").is_in([])
    with pytest.raises(ValueError, match="digits must be a whole number"):
        col("a").round(-1)
    with pytest.raises(ValueError, match="give at least one letter"):
        col("a").replace("", "x")
    with pytest.raises(ExpressionError, match=r"use str, int, float, bool or et\.Instant"):
        col("a").cast(list)
    for several in (least, greatest, concat):
        with pytest.raises(ValueError, match="give at least one value"):
            several()


def test_aggregations_are_values() -> None:
    assert col("a").sum() == col("a").sum()
    assert col("a").sum() != col("b").sum()
    assert len({col("a").sum(), col("a").sum(), count(), count()}) == 2
    assert repr(col("a").quantile(0.5)) == 'col("a").quantile(q=0.5)'


def test_durations_of_settings_are_held_in_microseconds() -> None:
    assert col("a").slope(per="1h").argument("per") == 3_600_000_000
    assert col("a").projection(ahead=timedelta(seconds=2)).argument("ahead") == 2_000_000
    assert rate().arguments == (("per", 1_000_000),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.quantile(1.5), r"q=1.5\): q must lie between 0 and 1"),
        (lambda x: x.quantile(float("nan")), "q must lie between 0 and 1"),
        (lambda x: x.quantile(True), "q must lie between 0 and 1"),
        (lambda x: x.top_k(0), r"k=0\): k must be a whole number of at least 1"),
        (lambda x: x.collect(2.5), "limit must be a whole number"),
        (lambda x: x.count_distinct(True), "exact_up_to must be a whole number"),
        (lambda x: x.std(ddof=2), r"ddof must be 1 \(sample\) or 0"),
        (lambda x: x.rate(per="0s"), "per='0s' must be longer than zero"),
        (lambda x: x.slope(per=5), "per=5 is not a duration"),
        (lambda x: x.histogram([1]), "at least two numbers"),
        (lambda x: x.histogram([1, 1]), "must ascend"),
        (lambda x: x.histogram([0, float("nan")]), "none of them NaN"),
        (lambda x: x.histogram("ab"), "must be a list of numbers"),
    ],
)
def test_unfit_settings_are_refused_at_once(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(col("x"))  # type: ignore[operator]


def test_public_names_are_sorted_and_there() -> None:
    assert expressions.__all__ == sorted(expressions.__all__)
    assert all(hasattr(expressions, name) for name in expressions.__all__)
