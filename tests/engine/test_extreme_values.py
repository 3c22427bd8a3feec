"""Aggregates at the ends of what numbers can hold; the answers are those of whole numbers without bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from eventide.engine.aggregates import lower
from eventide.expressions import Aggregation, col

MOST, LEAST = 2**63 - 1, -(2**63)
LARGEST = 1.7976931348623157e308


def answer(aggregation: Aggregation, values: Sequence[Any], dtype: pl.DataType, cut: int) -> Any:
    """The aggregate over one group, its values in batches of `cut`."""
    lowered, _ = lower([("y", aggregation)], {"x": dtype})
    rows = pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).with_columns(g=pl.lit(0)).with_row_index("_offset")
    state = lowered.state
    parts = [state.partial(batch.select("g", "_offset", *state.inputs), ["g"]) for batch in rows.iter_slices(cut)]
    merged = state.merge(pl.concat(parts, how="diagonal"), ["g"])
    return lowered.results(merged)["y"].item()


@pytest.mark.parametrize("cut", [1, 2, 100])
@pytest.mark.parametrize(
    ("values", "expected"),
    [([MOST, LEAST], MOST), ([MOST, -1], MOST), ([MOST, 0], MOST), ([LEAST, LEAST], 0), ([5, None, -7], 12)],
)
def test_a_range_of_whole_numbers_saturates(values: list[int | None], expected: int, cut: int) -> None:
    assert answer(col("x").range(), values, pl.Int64(), cut) == expected


@pytest.mark.parametrize("cut", [1, 2, 100])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e308, 1e308], math.inf),
        ([-1e308, -1e308, 3.0], -math.inf),
        ([LARGEST, 2.0**969], LARGEST),
        ([LARGEST, 2.0**970], math.inf),
        ([1e308, 1e308, -1e308], 1e308),
        ([1e308, 1e308, -1e308, -1e308, 0.1], 0.1),
        ([2.0**1023, 2.0**1023, *[-(2.0**1019)] * 16, -(2.0**1023), 0.5], 0.5),
        ([math.inf, 1e308, 1e308], math.inf),
    ],
)
def test_a_sum_beyond_the_largest_float_is_infinite_and_may_come_back(
    values: list[float], expected: float, cut: int
) -> None:
    assert answer(col("x").sum(), values, pl.Float64(), cut) == expected


@pytest.mark.parametrize("cut", [1, 100])
def test_quantiles_count_infinities_and_pass_over_nan(cut: int) -> None:
    values = [1.0, math.inf, math.nan, math.inf, -math.inf, None]
    ranks = {0.0: -math.inf, 0.25: -math.inf, 0.5: 1.0, 0.75: math.inf, 1.0: math.inf}
    for q, expected in ranks.items():
        assert answer(col("x").quantile(q), values, pl.Float64(), cut) == pytest.approx(expected, rel=0.0101)
    assert answer(col("x").median(), [math.nan, None], pl.Float64(), cut) is None
