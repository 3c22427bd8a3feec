"""Distinct counts: the hashes of Apache DataSketches, and a state that its theta sketches read."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import mmh3
import polars as pl
import pytest
from datasketches import compact_theta_sketch, update_theta_sketch  # type: ignore[import-untyped] # it has no types

import eventide as et
from eventide import CheckpointError
from eventide.engine.aggregates import Aggregates, AggregateState, hashes_of, lower
from eventide.testing.reference.murmur import hash_of

KEPT = Path(__file__).resolve().parents[1] / "state"
WORDS = [0, 1, -1, 7, 2**63 - 1, -(2**63), *(number * 0x9E3779B97F4A7C15 % 2**63 for number in range(50))]
FLOATS = [0.0, -0.0, 1.5, -1.5, 5e-324, 1e308, math.inf, -math.inf, math.nan, math.copysign(math.nan, -1)]
TEXTS = ["", "a", "ä", "\0", *("x" * length for length in (7, 8, 9, 15, 16, 17, 31, 32, 33, 1000))]


def test_numbers_hash_as_their_eight_bytes_do() -> None:
    expected = [mmh3.hash64(struct.pack("<q", word), 9001, signed=False)[0] >> 1 for word in WORDS]
    assert hashes_of(pl.Series(WORDS, dtype=pl.Int64)).to_list() == expected
    unsigned = [word % 2**64 for word in WORDS]
    assert hashes_of(pl.Series(unsigned, dtype=pl.UInt64)).to_list() == expected
    assert hashes_of(pl.Series([7], dtype=pl.Int8)).to_list() == [expected[3]]
    assert hashes_of(pl.Series([7], dtype=pl.Datetime("us", "UTC"))).to_list() == [expected[3]]
    assert hashes_of(pl.Series([False, True, None])).to_list() == [expected[0], expected[1], None]


def test_floats_hash_by_their_value() -> None:
    zero, minus_zero, *_, nan, minus_nan = found = hashes_of(pl.Series(FLOATS)).to_list()
    assert (zero, nan) == (minus_zero, minus_nan)
    assert found == [hash_of(one) for one in FLOATS]
    assert len(set(found)) == len(FLOATS) - 2


@pytest.mark.parametrize("copies", [1, 50], ids=["each text is new", "few are"])
def test_texts_hash_as_their_utf8_does(copies: int) -> None:
    expected = [mmh3.hash64(text.encode(), 9001, signed=False)[0] >> 1 for text in TEXTS]
    found = hashes_of(pl.Series([*TEXTS, None] * copies))
    assert found.to_list() == [*expected, None] * copies


def test_the_reference_hashes_alike() -> None:
    texts = [mmh3.hash64(text.encode(), 9001, signed=False)[0] >> 1 for text in TEXTS]
    assert [hash_of(text) for text in TEXTS] == texts
    assert [hash_of(word) for word in WORDS] == hashes_of(pl.Series(WORDS)).to_list()


def lowered(dtype: pl.DataType, k: int) -> Aggregates:
    return lower([("n", et.col("v").count_distinct(k))], {"v": dtype})[0]


def states_of(state: AggregateState, values: pl.Series, batch: int) -> pl.DataFrame:
    """The state of values that came in batches."""
    rows = pl.DataFrame({"by": pl.Series([0]).new_from_index(0, values.len()), "v": values})
    parts = [
        state.partial(rows.slice(first, batch).select("by", *state.inputs), ["by"])
        for first in range(0, rows.height, batch)
    ]
    return state.merge(pl.concat(parts), ["by"])


def image(hashes: list[int], k: int) -> bytes:
    """The compact theta sketch of a state's hashes, in the form that Apache DataSketches has on the disk."""
    is_estimate = len(hashes) > k
    flags = 2 | 8 | 16  # read only, compact, ordered
    seed = mmh3.hash64(struct.pack("<q", 9001), 0, signed=False)[0] % 2**16
    preamble = struct.pack("<6BHIf", 3 if is_estimate else 2, 3, 3, 0, 0, flags, seed, min(len(hashes), k), 1.0)
    theta = struct.pack("<Q", hashes[k]) if is_estimate else b""
    return preamble + theta + struct.pack(f"<{min(len(hashes), k)}Q", *hashes[:k])


@pytest.mark.parametrize("number", [3, 64, 65, 3_000], ids=["few", "k", "one more than k", "many"])
@pytest.mark.parametrize("kind", ["text", "whole", "float"])
def test_a_state_is_a_theta_sketch(kind: str, number: int) -> None:
    values = pl.Series(range(number)) * 3
    values = {"text": "device " + values.cast(pl.String), "whole": values, "float": values / 8}[kind]
    aggregates = lowered(values.dtype, 64)
    merged = states_of(aggregates.state, pl.concat([values, values]), 700)
    [hashes] = merged.get_column(aggregates.state.terms[-1].name).to_list()
    read = compact_theta_sketch.deserialize(image(hashes, 64))
    assert (read.num_retained, read.is_estimation_mode()) == (min(number, 64), number > 64)
    everything = update_theta_sketch(12)
    for value in values:
        everything.update(value)
    assert hashes == sorted(everything.compact())[:65], "the smallest hashes of what the library itself was given"
    [found] = aggregates.results(merged).get_column("n").to_list()
    assert found == (number if number <= 64 else round(read.get_estimate()))
    assert found == pytest.approx(number, rel=4 / math.sqrt(63))


def test_states_with_hashes_of_polars_are_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(KEPT / "polars-hashes", tmp_path, dirs_exist_ok=True)
    shutil.copyfile(KEPT / "0.1.0" / "readings.csv", tmp_path / "readings.csv")
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    stream = et.Stream.from_yaml(Path("plan.yaml").read_text())
    with pytest.raises(CheckpointError, match="distinct counts by other hashes.*begin anew"):
        stream.run(show=False, state="state")
    assert {path: path.read_bytes() for path in before} == before
    assert stream.run(show=False, state="another").accounting.total.received == 900
    assert stream.run(show=False, state="another").received_before == 900, "states of this version go on"
