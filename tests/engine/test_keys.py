"""Keys as integers, and texts in their order as integers."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventide.engine.keys import TextKey, dump_keys, load_keys
from eventide.engine.texts import Texts, ordinals


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text("ab\u00e9\u4e2d-\0", max_size=10)), min_size=1, max_size=8))
def test_ordinals_are_in_the_order_of_the_texts(texts: list[str | None]) -> None:
    keys = pl.DataFrame({"k": pl.Series(texts, dtype=pl.String)})
    numbers = ordinals(keys.to_series())
    if numbers is not None:
        by_number = keys.hstack([numbers.alias("n")]).sort("n").get_column("k").to_list()
        assert by_number == keys.sort("k").get_column("k").to_list()


def test_ordinals_look_behind_the_beginning_that_all_texts_share() -> None:
    names = [f"station-of-the-north-{number}" for number in (10, 9, 1, 100)]
    numbers = ordinals(pl.Series(names))
    assert numbers is not None
    assert numbers.arg_sort().to_list() == [2, 0, 3, 1]


def test_long_texts_have_no_ordinals() -> None:
    assert ordinals(pl.Series(["123456789", "abc"])) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), st.text("ab\u00e9-\0", max_size=6)), min_size=1, max_size=6), max_size=6))
def test_ordinals_of_texts_that_come_in_pieces_are_in_their_order(pieces: list[list[str | None]]) -> None:
    table = Texts()
    for piece in pieces:
        asked = table.numbers(pl.Series(piece, dtype=pl.String)).unique()
        for numbers in (asked, pl.int_range(table.size, dtype=pl.Int64, eager=True)):
            found = table.ordinals(numbers)
            texts = table.texts(numbers).alias("k").to_frame()
            if found is not None:
                by_ordinal = texts.hstack([found.alias("n")]).sort("n").get_column("k").to_list()
                assert by_ordinal == texts.sort("k").get_column("k").to_list()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), st.text("ab\u00e9-\0", max_size=3)), max_size=9), max_size=6))
def test_texts_are_numbered_in_the_order_in_which_they_first_come(pieces: list[list[str | None]]) -> None:
    table = Texts()
    told: list[str | None] = [None]
    for piece in pieces:
        told += [text for text in dict.fromkeys(piece) if text not in told]
        numbers = table.numbers(pl.Series(piece, dtype=pl.String))
        assert numbers.to_list() == [told.index(text) for text in piece]
        assert table.texts(numbers).to_list() == piece
    assert table.size == len(told)


def test_texts_of_one_hash_have_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Series, "hash", lambda self: pl.Series([7], dtype=pl.UInt64).new_from_index(0, self.len()))
    table = Texts()
    for texts in (["a", "b", "c"], ["c", "d", "a"], ["e"], ["b", "e", "d"]):
        assert table.texts(table.numbers(pl.Series(texts))).to_list() == texts
    assert table.size == 6


def test_many_texts_keep_their_numbers_in_a_checkpoint() -> None:
    rows = pl.DataFrame({"k": (pl.int_range(200_000, eager=True).hash(1) % 50_000).cast(pl.String)})
    table, restored = TextKey("k"), TextKey("k")
    codes = table.encode(rows)
    assert table.decode(codes).equals(rows)
    assert codes.unique(maintain_order=True).to_list() == list(range(1, table.size))
    load_keys(restored, dump_keys(table))
    assert restored.encode(rows).equals(codes)
