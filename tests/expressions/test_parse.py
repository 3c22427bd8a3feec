"""Text that is not of the language is refused with what is wrong and what is allowed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventide.errors import ExpressionError
from eventide.expressions import coalesce, col, parse_aggregation, parse_expression, same


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "an expression is a text such as"),
        ("a >", "cannot be understood"),
        ("a = 'x", "a quote is opened and not closed"),
        ("SELECT a FROM b", "cannot be understood"),
        ("a; b", "not part of the expression language"),
        ("a b", "not part of the expression language"),
        ("x[1]", "not part of the expression language"),
        ("@x", "not part of the expression language"),
        ("a.b", "a name with a dot stands in double quotes"),
        ("system('rm')", "'system' is not a function of rows; use one of abs"),
        ("mean(a) > 1", "'mean' is not a function of rows.*aggregations stand in agg"),
        ("lower(a, b)", r"lower takes 1 argument\(s\), not 2"),
        ("coalesce()", r"coalesce takes at least 1 argument\(s\), not 0"),
        ("round(a, b)", "round needs a plain number"),
        ("matches(a, b)", "matches needs a plain text as argument 2"),
        ("replace(a, 'x', NULL)", "replace needs a plain text as argument 3"),
        ("replace(a, '', 'x')", "replace has nothing to look for"),
        ("a IS TRUE", "only IS NULL and IS NOT NULL"),
        ("a IN ()", "no values to choose from"),
        ("CASE a WHEN 1 THEN 2 END", "write CASE WHEN"),
        ("CAST(a AS TINYINT)", "cannot be understood|is not a type"),
        ("99999999999999999999", "not a 64-bit integer"),
        ("1e999", "too large for a float"),
        ("instant('yesterday')", "is not a time"),
        ("duration(5)", "takes one text in single quotes"),
        ("(" * 3000 + "a" + ")" * 3000, "nested too deeply"),
        ("a" * 20_001, "20001 characters"),
    ],
)
def test_what_is_not_an_expression_is_refused(sql: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        parse_expression(sql)


def test_the_place_of_the_fault_is_told() -> None:
    with pytest.raises(ExpressionError, match=r"near '\)' \(line 1, column 6\)"):
        parse_expression("a + b) > 1")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("dose", "'dose' is not an aggregation; use one of all, any"),
        ("average(dose)", "'average.dose.' is not an aggregation"),
        ("mean()", "mean needs an expression"),
        ("mean(a, b)", "mean takes an expression and the settings none"),
        ("quantile(a)", "quantile needs the setting q"),
        ("quantile(a, 2)", "q must lie between 0 and 1"),
        ("quantile(a, 0.5, q => 0.5)", "quantile takes|q twice"),
        ("std(a, 1, ddof => 1)", "std is given ddof twice"),
        ("std(a, q => 1)", "std has no setting 'q'"),
        ("slope(a, b)", "'b' cannot be a setting"),
        ("slope(a, 'soon')", "per='soon' is not a duration"),
        ("slope(a, 5)", "per=5 is not a duration"),
        ("histogram(a, [2, 1])", "must ascend"),
    ],
)
def test_what_is_not_an_aggregation_is_refused(sql: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        parse_aggregation(sql)


def test_settings_may_stand_by_name_or_by_place() -> None:
    assert parse_aggregation("slope(level, '1h')") == parse_aggregation("slope(level, per => '1h')")
    assert parse_aggregation("slope(level, '1h')") == col("level").slope(per="1h")
    assert parse_aggregation("histogram(x, [0, 1])") == col("x").histogram([0, 1])


def test_events_are_counted_without_an_expression() -> None:
    assert parse_aggregation("count()").of is None
    assert parse_aggregation("count(*)") == parse_aggregation("count()")
    assert parse_aggregation("rate(per => '1m')").argument("per") == 60_000_000


def test_words_of_sql_may_be_names_of_columns() -> None:
    assert same(parse_expression("first + values"), col("first") + col("values"))
    assert same(parse_expression("timestamp > 3"), col("timestamp") > 3)


def test_null_may_be_tested_and_replaced() -> None:
    assert same(parse_expression("a NOT IN (1)"), ~col("a").is_in([1]))
    assert same(parse_expression("a BETWEEN 1 AND b"), col("a").is_between(1, col("b")))
    assert same(parse_expression("COALESCE(a, 0)"), coalesce(col("a"), 0))


def test_sqlglot_is_loaded_only_when_text_is_read() -> None:
    program = "import sys, eventide.expressions; print('sqlglot' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "False"
