"""Types are found before rows are read, and every fault is told with its remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eventide.errors import ExpressionError
from eventide.expressions import (
    Aggregation,
    Call,
    Expr,
    coalesce,
    col,
    columns_of,
    count,
    lit,
    own_aggregate,
    rate,
    result_type,
    type_of,
    when,
)
from eventide.expressions.infer import _AGGREGATED
from eventide.expressions.settings import SETTINGS
from eventide.instants import Instant

COLUMNS = {"i": "integer", "f": "float", "s": "string", "b": "boolean", "t": "instant", "l": "list", "r": "record"}
i, f, s, b, t = map(col, "ifsbt")


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (i + 1, "integer"),
        (i + 1.5, "float"),
        (i / 2, "float"),
        (i**2, "float"),
        (i // 2, "integer"),
        (i % f, "float"),
        (-i, "integer"),
        (i > 2.5, "boolean"),
        (t - t, "duration"),
        (t + timedelta(seconds=1), "instant"),
        ((t - t) / timedelta(seconds=1), "float"),
        ((t - t) * 2, "duration"),
        (t > datetime(2020, 1, 1, tzinfo=UTC), "boolean"),
        (coalesce(i, f), "float"),
        (coalesce(None, s), "string"),
        (when(b).then(1).otherwise(None), "integer"),
        (s.cast(Instant).hour(), "integer"),
        (i.is_in([1, None, 2.5]), "boolean"),
        (col("l").is_null(), "boolean"),
        (lit(None), "null"),
    ],
)
def test_the_type_of_an_expression(expression: Expr, wanted: str) -> None:
    assert type_of(expression, COLUMNS) == wanted


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (s > 5, "integer and string do not fit together; cast them to one type"),
        (s + 1, "integer or float is needed here, not string"),
        (~i, "boolean is needed here, not integer; compare it with something"),
        (i & b, "boolean is needed here, not integer"),
        (i.lower(), r"string is needed here, not integer; cast it with .cast\(str\)"),
        (t + t, "integer or float is needed here, not instant"),
        (b > ~b, "true and false have no order"),
        (col("l") == col("l"), "a list cannot be compared"),
        (when(i).then(1).otherwise(2), "boolean is needed here, not integer"),
        (when(b).then(1).otherwise("x"), "integer and string do not fit together"),
        (Call("round", (f, i)), "round needs a plain number as argument 2"),
        (f.cast(Instant), "needed here, not float"),
        (col("sens") > 1, "there is no column 'sens': there are 'i'"),
    ],
)
def test_what_does_not_fit_is_refused(expression: Expr, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        type_of(expression, COLUMNS)


def test_a_mistyped_column_is_guessed() -> None:
    with pytest.raises(ExpressionError, match="there is no column 'sensro': did you mean 'sensor'"):
        type_of(col("sensro"), {"sensor": "string", "dose": "float"})


def test_every_fault_is_told_once() -> None:
    with pytest.raises(ExpressionError) as caught:
        type_of((s > 5) & (col("nope") > 1) & (col("nope") > 2) & ~i, COLUMNS)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("aggregate", "wanted"),
    [
        (count(), "integer"),
        (rate(), "float"),
        (s.count(), "integer"),
        (i.sum(), "integer"),
        (f.sum(), "float"),
        (i.mean(), "float"),
        (s.max(), "string"),
        (t.last(), "instant"),
        (i.range(), "integer"),
        (s.top_k(3), "list"),
        (f.histogram([0, 1]), "list"),
        ((i > 1).any(), "boolean"),
        (f.collect(), "list"),
    ],
)
def test_the_type_of_a_result(aggregate: Aggregation, wanted: str) -> None:
    assert result_type(aggregate, COLUMNS) == wanted


@pytest.mark.parametrize("aggregate", [s.mean(), s.sum(), b.std(), i.any(), t.quantile(0.5), col("r").top_k(1)])
def test_an_aggregation_of_the_wrong_type_is_refused(aggregate: Aggregation) -> None:
    with pytest.raises(ExpressionError, match=f"{aggregate.function} is made of .*, not of"):
        result_type(aggregate, COLUMNS)


def test_every_aggregation_has_a_type() -> None:
    assert set(_AGGREGATED) == set(SETTINGS)


def test_the_type_of_an_own_aggregate_is_that_of_its_result() -> None:
    own = own_aggregate(
        f, partial=lambda x: {"n": x.count()}, merge=lambda p: {"n": p["n"].sum()}, result=lambda p: p["n"] > 3
    )
    assert result_type(own, COLUMNS) == "boolean"


def test_the_columns_that_are_read() -> None:
    assert columns_of(when(col("a") > 1).then(col("b")).otherwise(0)) == {"a", "b"}
    assert columns_of((col("a") + col("c")).sum()) == {"a", "c"}
    assert columns_of(count()) == frozenset()
