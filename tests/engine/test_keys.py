"""Keys as integers, and texts in their order as integers."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from eventide.engine.keys import TextKey, ordinals


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.none(), st.text("ab\u00e9\u4e2d-\0", max_size=10)), min_size=1, max_size=8))
def test_ordinals_are_in_the_order_of_the_texts(texts: list[str | None]) -> None:
    keys = pl.DataFrame({"k": pl.Series(texts, dtype=pl.String)})
    numbers = ordinals(keys)
    if numbers is not None:
        by_number = keys.hstack([numbers.alias("n")]).sort("n").get_column("k").to_list()
        assert by_number == keys.sort("k").get_column("k").to_list()


def test_ordinals_look_behind_the_beginning_that_all_texts_share() -> None:
    names = [f"station-of-the-north-{number}" for number in (10, 9, 1, 100)]
    numbers = ordinals(pl.DataFrame({"k": names}))
    assert numbers is not None
    assert numbers.arg_sort().to_list() == [2, 0, 3, 1]


def test_long_texts_and_several_columns_have_no_ordinals() -> None:
    assert ordinals(pl.DataFrame({"k": ["123456789", "abc"]})) is None
    assert ordinals(pl.DataFrame({"k": ["a"], "l": ["b"]})) is None


def test_codes_stay_and_null_is_a_key() -> None:
    table = TextKey("k")
    first = table.encode(pl.DataFrame({"k": ["b", None, "a"]}))
    second = table.encode(pl.DataFrame({"k": pl.Series([None, "a", "c"], dtype=pl.String)}))
    assert (first[1], first[2]) == (second[0], second[1])
    assert table.decode(second).get_column("k").to_list() == [None, "a", "c"]
    assert table.decode(first.filter(first == 0)).get_column("k").to_list() == [None]
