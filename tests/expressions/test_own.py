"""Own aggregates fit together or are refused, and travel as text."""

from __future__ import annotations

from typing import Any

import pytest

from eventide.errors import ExpressionError
from eventide.expressions import OwnAggregate, col, columns_of, own_aggregate, own_from_mapping, own_to_mapping, same


def geometric_mean() -> OwnAggregate:
    return own_aggregate(
        col("x"),
        partial=lambda x: {"logs": x.log().sum(), "n": x.count()},
        merge=lambda parts: {"n": parts["n"].sum(), "logs": parts["logs"].sum()},
        result=lambda parts: (parts["logs"] / parts["n"]).exp(),
    )


def test_the_functions_become_trees() -> None:
    own = geometric_mean()
    assert own.parts == (("logs", col("x").log().sum()), ("n", col("x").count()))
    assert own.merges == (("logs", col("logs").sum()), ("n", col("n").sum()))
    assert same(own.result, (col("logs") / col("n")).exp())
    assert columns_of(own) == {"x"}


def test_it_is_a_value() -> None:
    assert geometric_mean() == geometric_mean()
    assert hash(geometric_mean()) == hash(geometric_mean())


def test_several_expressions_may_be_taken() -> None:
    own = own_aggregate(
        col("x"),
        col("w"),
        partial=lambda x, w: {"xw": (x * w).sum(), "w": w.sum()},
        merge=lambda p: {"xw": p["xw"].sum(), "w": p["w"].sum()},
        result=lambda p: p["xw"] / p["w"],
    )
    assert columns_of(own) == {"x", "w"}


FITTING: dict[str, Any] = {
    "partial": lambda x: {"n": x.count()},
    "merge": lambda p: {"n": p["n"].sum()},
    "result": lambda p: p["n"],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partial": lambda x: {}, "merge": lambda p: {}, "result": lambda p: col("n")}, "partial makes no part"),
        ({"merge": lambda p: {}}, r"partial makes \['n'\] but merge makes \[\]"),
        ({"merge": lambda p: {"n": p["n"].sum(), "m": p["n"].sum()}}, "both must name the same parts"),
        ({"partial": lambda x: {"n": x.mean()}}, "part 'n' is mean: make parts of sum, count, min or max"),
        ({"merge": lambda p: {"n": p["n"].max()}}, r"part 'n' is count, so merge it by parts\['n'\].sum\(\)"),
        ({"merge": lambda p: {"n": (p["n"] + 1).sum()}}, r"merge it by parts\['n'\].sum\(\)"),
        ({"result": lambda p: p["n"] / col("x")}, r"result uses \['x'\], which partial does not make"),
        ({"result": lambda p: p["m"]}, "'m' is not a part that partial makes"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own_aggregate(col("x"), **{**FITTING, **change})


def test_it_travels_as_text() -> None:
    text = own_to_mapping(geometric_mean())
    assert text == {
        "partial": {"logs": "sum(log(x))", "n": "count(x)"},
        "merge": {"logs": "sum(logs)", "n": "sum(n)"},
        "result": "exp(logs / n)",
    }
    assert own_from_mapping(text) == geometric_mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"result": 5}, "result: 5 is not an expression"),
        ({"partial": "count(x)"}, "partial: 'count.x.' is not a mapping"),
        ({"partial": {"n": "mean(x)"}}, "part 'n' is mean"),
        ({"extra": 1}, "an own aggregate has partial, merge, result"),
    ],
)
def test_a_mapping_that_is_none_is_refused(change: dict[str, Any], message: str) -> None:
    fitting = {"partial": {"n": "count(x)"}, "merge": {"n": "sum(n)"}, "result": "n"}
    with pytest.raises(ExpressionError, match=message):
        own_from_mapping({**fitting, **change})
