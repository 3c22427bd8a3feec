"""Printing and parsing are each other's inverse, and engines get text that means the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlglot

from eventide.errors import ExpressionError
from eventide.expressions import (
    Expr,
    coalesce,
    col,
    least,
    lit,
    parse_expression,
    same,
    to_sql,
    when,
)
from eventide.instants import Instant


@pytest.mark.parametrize(
    ("tree", "sql"),
    [
        ((col("a") > 1) & (col("b") < 2), "a > 1 AND b < 2"),
        (~(col("a") & col("b")), "NOT (a AND b)"),
        ((col("a") | col("b")) & col("c"), "(a OR b) AND c"),
        (col("a") - (col("b") - col("c")), "a - (b - c)"),
        (col("a") - col("b") - col("c"), "a - b - c"),
        (col("a") // 2 ** col("b") % 3, "(a // 2 ** b) % 3"),
        (col("it's") == "it's", "\"it's\" = 'it''s'"),
        (col("a").is_not_null(), "a IS NOT NULL"),
        (~col("a").is_null(), "NOT (a IS NULL)"),
        (lit(-1), "-1"),
        (-lit(1), "-(1)"),
        (col("a").cast(Instant), "CAST(a AS TIMESTAMP)"),
        (col("at") < datetime(2020, 2, 29, 12, tzinfo=UTC), "at < instant('2020-02-29T12:00:00Z')"),
        (col("at") + timedelta(minutes=90), "at + duration('1h30m')"),
        (when(col("a") > 1).then("x").otherwise(None), "CASE WHEN a > 1 THEN 'x' ELSE NULL END"),
        (coalesce(col("a"), 0), "coalesce(a, 0)"),
    ],
)
def test_the_text_is_the_one_a_person_would_write(tree: Expr, sql: str) -> None:
    assert to_sql(tree) == sql
    assert same(parse_expression(sql), tree)


def test_settings_with_their_default_are_left_out() -> None:
    assert to_sql(col("x").std()) == "std(x)"
    assert to_sql(col("x").std(ddof=0)) == "std(x, ddof => 0)"
    assert to_sql(col("x").histogram([0, 1, 10])) == "histogram(x, edges => [0.0, 1.0, 10.0])"


@pytest.mark.parametrize(
    ("tree", "dialect", "sql"),
    [
        (col("a") == "it's", "flink", "`a` = 'it''s'"),
        (col("a") == "it's", "spark", "`a` = 'it\\'s'"),
        (col("a") > 2.5, "flink", "`a` > 2.5E0"),
        (col("a`b") > 1, "spark", "`a``b` > 1"),
        (col("a") % 3, "flink", "(`a` % NULLIF(3, 0) + NULLIF(3, 0)) % NULLIF(3, 0)"),
        (least(col("a"), col("b")), "flink", "LEAST(COALESCE(`a`, `b`), COALESCE(`b`, `a`))"),
        (col("a").matches("^x"), "spark", "`a` RLIKE '^x'"),
        (col("a").cast(float), "spark", "TRY_CAST(`a` AS DOUBLE)"),
        (col("t") > datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "flink", "`t` > TO_TIMESTAMP_LTZ(1000, 3)"),
    ],
)
def test_engines_get_their_own_words(tree: Expr, dialect: str, sql: str) -> None:
    assert to_sql(tree, dialect) == sql  # type: ignore[arg-type]


def test_spark_reads_what_is_printed_for_it() -> None:
    x, y = col("x"), col("y")
    for tree in [
        x / y,
        x.log(),
        x.clip(0, 1),
        x.strip(),
        x.weekday(),
        x.is_in([1, None]),
        when(x > y).then(x).otherwise(y),
    ]:
        sqlglot.parse_one(to_sql(tree, "spark"), read="spark")


@pytest.mark.parametrize("dialect", ["flink", "spark"])
def test_what_an_engine_cannot_say_is_refused_with_the_reason(dialect: str) -> None:
    with pytest.raises(ExpressionError, match=f"floordiv cannot be said in {dialect}: its result depends on"):
        to_sql(col("a") // 2, dialect)  # type: ignore[arg-type]
    with pytest.raises(ExpressionError, match="aggregations are printed for eventide only"):
        to_sql(col("a").sum(), dialect)  # type: ignore[arg-type]


def test_flink_is_told_no_finer_instant_than_it_can_hold() -> None:
    with pytest.raises(ExpressionError, match="whole milliseconds"):
        to_sql(col("t") > datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "flink")


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(ExpressionError, match="use eventide, flink or spark"):
        to_sql(col("a"), "oracle")  # type: ignore[arg-type]
