"""Logarithmic scales: durations counted in buckets whose edges grow by a constant ratio.

Law: bucket b > 0 holds the lengths in (ratio^(b-1), ratio^b] microseconds, bucket -b the same below zero, bucket 0
what is within one microsecond of zero; counts of equal buckets add up, so histograms merge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

FINE = 1.02
"""The ratio of histograms of a log: quantiles are right within 2 %."""

COARSE = 1.25
"""The ratio of histograms of a key: quantiles are right within 25 %."""

_LARGEST_US = 2.0**62


def bucket(length_us: pl.Expr, ratio: float) -> pl.Expr:
    """The bucket of a length in microseconds, `Int32`; null stays null."""
    size = length_us.abs().cast(pl.Float64)
    grade = (size.log() / math.log(ratio)).ceil()
    return pl.when(size > 1).then(grade * length_us.sign()).when(size.is_not_null()).then(0.0).cast(pl.Int32)


def upper_us(buckets: pl.Expr, ratio: float) -> pl.Expr:
    """The largest length of a bucket in microseconds, `Int64`."""
    grade = pl.when(buckets > 0).then(buckets).otherwise(-buckets - 1).clip(lower_bound=0).cast(pl.Float64)
    edge = (grade * math.log(ratio)).exp().clip(upper_bound=_LARGEST_US).ceil().cast(pl.Int64)
    return pl.when(buckets > 0).then(edge).when(buckets < 0).then(-edge).otherwise(0)


def quantiles(counts: pl.DataFrame, by: Sequence[str], shares: Sequence[float], ratio: float) -> pl.DataFrame:
    """For each group, the length that each share of its events does not exceed: columns `p50`, `p99`, ... as durations.

    `counts` has the group's columns, `bucket` and `n`.
    """
    ordered = counts.sort("bucket").with_columns(
        (pl.col("n").cum_sum().over(by) / pl.col("n").sum().over(by)).alias("share")
    )
    wanted = [
        upper_us(pl.col("bucket").filter(pl.col("share") >= share - 1e-12).first(), ratio)
        .cast(pl.Duration("us"))
        .alias(f"p{share * 100:g}")
        for share in shares
    ]
    return ordered.group_by(by, maintain_order=True).agg(wanted)
