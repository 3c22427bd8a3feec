"""What expressions compute, worked out by hand, with nulls in every column."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from eventide.errors import ExpressionError
from eventide.expressions import Call, Expr, coalesce, col, concat, greatest, least, lit, to_polars, when
from eventide.expressions.polars import _FUNCTIONS
from eventide.expressions.signatures import SIGNATURES
from eventide.instants import Instant

NOON = datetime(2020, 2, 29, 12, 30, tzinfo=UTC)  # a Saturday
ROWS = pl.DataFrame(
    {
        "a": [7, -7, None, 5],
        "z": [2, 0, 2, -2],
        "f": [2.5, -1.5, math.nan, None],
        "g": [True, False, None, True],
        "s": [" Ab\t", "b.c", None, "xx"],
        "t": [NOON, NOON + timedelta(hours=12), None, NOON],
        "w": ["2020-02-29 12:30:00", "2020-02-29T14:30:00+02:00", "2020-02-29", "soon"],
        "n": ["12", "1.5", "yes", "FALSE"],
    },
    schema_overrides={"t": pl.Datetime("us", "UTC")},
)
a, z, f, g, s, t, w, n = map(col, "azfgstwn")
INF, NAN = math.inf, math.nan

CASES: list[tuple[Expr, list[object]]] = [
    (a + z, [9, -7, None, 3]),
    (a / z, [3.5, -INF, None, -2.5]),
    (a // z, [3, None, None, -3]),
    (a % z, [1, None, None, -1]),
    (a % -2, [-1, -1, None, -1]),
    (f // z, [1.0, None, NAN, None]),
    (f % z, [0.5, None, NAN, None]),
    (a**-1, [1 / 7, -1 / 7, None, 0.2]),
    (2**z, [4.0, 1.0, 4.0, 0.25]),
    (-a, [-7, 7, None, -5]),
    (a.abs(), [7, 7, None, 5]),
    (f.round(), [3.0, -2.0, NAN, None]),
    (f.floor(), [2.0, -2.0, NAN, None]),
    (f.ceil(), [3.0, -1.0, NAN, None]),
    (f.sign(), [1.0, -1.0, NAN, None]),
    (z.sqrt() * 0 + 1, [1.0, 1.0, 1.0, NAN]),
    (lit(1).exp() + a * 0, [math.e, math.e, None, math.e]),
    (lit(100).log10() + a * 0, [2.0, 2.0, None, 2.0]),
    (lit(math.e).log() + a * 0, [1.0, 1.0, None, 1.0]),
    (a.clip(0, 6.5), [6.5, 0.0, None, 5.0]),
    (f.clip(0, 1), [1.0, 0.0, NAN, None]),
    (a > 5, [True, False, None, False]),
    (a == a + 0, [True, True, None, True]),
    (f > 1, [True, False, True, None]),
    (~g, [False, True, None, False]),
    (g & None, [None, False, None, None]),
    (g | None, [True, None, None, True]),
    (a.is_null(), [False, False, True, False]),
    (f.is_not_null(), [True, True, True, False]),
    (a.is_in([7, 5.0]), [True, False, None, True]),
    (a.is_in([7, None]), [True, None, None, None]),
    (s.is_in(["xx", "y"]), [False, False, None, True]),
    (a.is_between(5, 7), [True, False, None, True]),
    (a.fill_null(0), [7, -7, 0, 5]),
    (coalesce(f, a, 0), [2.5, -1.5, NAN, 5.0]),
    (least(a, z), [2, -7, 2, -2]),
    (greatest(a, z), [7, 0, 2, 5]),
    (when(a > 5).then("big").when(a < 0).then("low").otherwise("mid"), ["big", "low", "mid", "mid"]),
    (s.strip(), ["Ab", "b.c", None, "xx"]),
    (s.lower(), [" ab\t", "b.c", None, "xx"]),
    (s.upper(), [" AB\t", "B.C", None, "XX"]),
    (s.length(), [4, 3, None, 2]),
    (s.contains("."), [False, True, None, False]),
    (s.starts_with("b"), [False, True, None, False]),
    (s.ends_with("x"), [False, False, None, True]),
    (s.matches("^[bx].?"), [False, True, None, True]),
    (s.replace("x", "$1"), [" Ab\t", "b.c", None, "$1$1"]),
    (concat(s, "|", n), [" Ab\t|12", "b.c|1.5", None, "xx|FALSE"]),
    (t.hour(), [12, 0, None, 12]),
    (t.minute(), [30, 30, None, 30]),
    (t.weekday(), [6, 7, None, 6]),
    (t > NOON, [False, True, None, False]),
    (t - NOON, [timedelta(0), timedelta(hours=12), None, timedelta(0)]),
    (t - timedelta(minutes=30) == NOON - timedelta(minutes=30), [True, False, None, True]),
    (n.cast(int), [12, None, None, None]),
    (n.cast(float), [12.0, 1.5, None, None]),
    (n.cast(bool), [None, None, True, False]),
    (a.cast(bool), [True, True, None, True]),
    (f.cast(int), [2, -1, None, None]),
    (g.cast(int), [1, 0, None, 1]),
    (z.cast(str), ["2", "0", "2", "-2"]),
    (t.cast(str), ["2020-02-29T12:30:00.000000Z", "2020-03-01T00:30:00.000000Z", None, "2020-02-29T12:30:00.000000Z"]),
    (w.cast(Instant), [NOON, NOON, NOON.replace(hour=0, minute=0), None]),
    (z.cast(Instant).cast(int), [2, 0, 2, -2]),
]


@pytest.mark.parametrize(("expression", "wanted"), CASES, ids=lambda case: repr(case) if isinstance(case, Expr) else "")
def test_an_expression_computes(expression: Expr, wanted: list[object]) -> None:
    found = ROWS.select(to_polars(expression).alias("x")).to_series().to_list()
    assert len(found) == len(wanted)
    for value, expected in zip(found, wanted, strict=True):
        if isinstance(expected, float):
            assert value == pytest.approx(expected, nan_ok=True)
        else:
            assert value == expected
            assert isinstance(value, bool) == isinstance(expected, bool)


def test_every_function_is_computed_by_a_case() -> None:
    def functions(node: object) -> set[str]:
        inner = [functions(one) for one in getattr(node, "arguments", ())]
        return {getattr(node, "function", ""), *(name for names in inner for name in names)}

    seen = set().union(*(functions(expression) for expression, _ in CASES))
    assert set(SIGNATURES) <= seen | {"le", "lt", "ge", "ne", "mul"}
    assert set(SIGNATURES) == {*_FUNCTIONS, "is_in"}


def test_the_rest_of_the_comparisons() -> None:
    made = ROWS.select(le=to_polars(a <= 5), ge=to_polars(a >= 5), ne=to_polars(a != 5), mul=to_polars(a * 2))
    assert made.row(0) == (False, True, True, 14)
    assert made.row(3) == (True, True, False, 10)


@pytest.mark.parametrize(
    "function", sorted(set(SIGNATURES) - {"is_null", "is_not_null", "when", "round", "matches", "replace"})
)
def test_nothing_but_null_is_null(function: str) -> None:
    nothing = Call(function, (lit(None),) * SIGNATURES[function].least)
    assert ROWS.select(x=to_polars(nothing)).to_series().to_list()[0] is None


def test_a_condition_that_is_null_is_not_true() -> None:
    assert pl.select(to_polars(when(lit(None)).then(1).otherwise(2))).item() == 2


def test_integers_have_64_bits_whatever_their_size() -> None:
    assert pl.select(to_polars(lit(2_000_000_000) + 2_000_000_000)).item() == 4_000_000_000
    assert pl.select(to_polars(lit(1))).to_series().dtype == pl.Int64


def test_batches_of_no_row_keep_their_types() -> None:
    empty = ROWS.clear().select(x=to_polars(w.cast(Instant)), y=to_polars(n.cast(bool)))
    assert empty.schema == pl.Schema({"x": pl.Datetime("us", "UTC"), "y": pl.Boolean()})


def test_a_pattern_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ExpressionError, match="not a regular expression without look-around"):
        to_polars(s.matches("(?=x)"))
