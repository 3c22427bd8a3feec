"""Where the watermark reaches an instant, found by search and by going along, and texts asked for a few at a time."""

from __future__ import annotations

import polars as pl

from eventide.engine.clocks import CommonProgress
from eventide.engine.texts import Texts

STEPS = pl.Series([10, 10, 20, 20, 20, 35, 35], dtype=pl.Int64)
EXPECTED = {4: -1, 5: -1, 6: 0, 10: 0, 11: 2, 20: 2, 21: 5, 35: 5, 36: None}
"""The first place whose step is at or above the instant; -1 at or below 5, where the watermark was before."""


def test_an_instant_is_reached_at_the_first_step_that_is_not_below_it() -> None:
    progress = CommonProgress(5, STEPS)
    instants = pl.Series([*EXPECTED], dtype=pl.Int64)
    codes = instants * 0
    backwards = progress.place(codes, instants.reverse())
    in_order = progress.place(codes, instants.sort())
    assert in_order.to_list() == [*EXPECTED.values()]
    assert backwards.reverse().to_list() == [*EXPECTED.values()]


def test_a_few_texts_have_the_numbers_that_many_have() -> None:
    texts = Texts()
    many = [f"sensor-{number}" for number in range(20)]
    first = texts.numbers(pl.Series(many[:3]))
    assert first.to_list() == [1, 2, 3]
    assert texts.numbers(pl.Series(many)).to_list() == list(range(1, 21))
    assert texts.numbers(pl.Series([many[19], None, many[0]])).to_list() == [20, 0, 1]
    assert texts.numbers(pl.Series([many[19], "new", many[0], "new"])).to_list() == [20, 21, 1, 21]
