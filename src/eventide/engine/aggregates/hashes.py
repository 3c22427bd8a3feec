"""The hashes by which different values are counted: those of the theta sketches of Apache DataSketches.

Law: the same value has the same hash in every version, on every machine and in both engines (decision 0034): the first
half of MurmurHash3_x64_128 with seed 9001, shifted right by one bit, over the eight bytes of a number, lowest first,
or over the UTF-8 of a text.
"""

from __future__ import annotations

import math

import polars as pl
from mmh3 import mmh3_x64_128_digest

_SEED = 9001
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
_SEED_AND_LENGTH = _SEED ^ 8
_FEW = 4
"""Different texts are hashed once each where at most one row in so many has a new one; else finding them costs more."""


def hashes_of(values: pl.Series) -> pl.Series:
    """The hash of each value, from 0 to below 2^63; null where there is no value."""
    words = _words(values)
    if words is not None:
        return _of_words(words)
    texts = values if isinstance(values.dtype, pl.Binary) else values.cast(pl.String)
    if texts.to_frame("t").select(pl.col("t").approx_n_unique() * _FEW > pl.len()).item():
        return _of_texts(texts)
    known = texts.unique().drop_nulls()
    return texts.replace_strict(known, _of_texts(known), default=None, return_dtype=pl.UInt64)


def _words(values: pl.Series) -> pl.Series | None:
    """Numbers, truth values and times as words of 64 bits; None for what is hashed as text."""
    dtype = values.dtype
    if dtype.is_float() or dtype.is_decimal():
        floats = values.cast(pl.Float64)
        floats = floats.set((floats == 0.0).fill_null(False), 0.0)  # -0.0 among them
        return floats.set(floats.is_nan().fill_null(False), math.nan).reinterpret(dtype=pl.UInt64)
    if isinstance(dtype, pl.Boolean | pl.UInt64 | pl.Null):
        return values.cast(pl.UInt64)
    if dtype.is_temporal():
        return values.to_physical().cast(pl.Int64).reinterpret(dtype=pl.UInt64)
    if dtype.is_integer() and not isinstance(dtype, pl.Int128 | pl.UInt128):
        return values.cast(pl.Int64).reinterpret(dtype=pl.UInt64)
    return None


def _of_words(words: pl.Series) -> pl.Series:
    """MurmurHash3 of eight bytes, which are less than a block: its arithmetic on whole columns, modulo 2^64."""
    h1 = (_rotated_31(words * _C1) * _C2) ^ _one(_SEED_AND_LENGTH)
    h1 = h1 + _SEED_AND_LENGTH
    return (_mixed(h1) + _mixed(h1 + _SEED_AND_LENGTH)) // 2


def _rotated_31(x: pl.Series) -> pl.Series:
    return (x * 2**31) | (x // 2**33)


def _mixed(h: pl.Series) -> pl.Series:
    h = (h ^ (h // 2**33)) * 0xFF51AFD7ED558CCD
    h = (h ^ (h // 2**33)) * 0xC4CEB9FE1A85EC53
    return h ^ (h // 2**33)


def _one(number: int) -> pl.Series:
    return pl.Series([number], dtype=pl.UInt64)


def _of_texts(texts: pl.Series) -> pl.Series:
    digests = [None if one is None else mmh3_x64_128_digest(one, _SEED) for one in texts.cast(pl.Binary).to_list()]
    halves = pl.Series(texts.name, digests, dtype=pl.Binary).bin.slice(0, 8)
    return halves.bin.reinterpret(dtype=pl.UInt64, endianness="little") // 2
