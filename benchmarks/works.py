"""The fixed works: streams of sensors with planned disorder, and what batch Polars does on the same rows.

Law: the same seed makes the same rows; nothing is read from outside.
"""

from __future__ import annotations

import polars as pl

import eventide as et
from eventide import col

START_US = 1_600_000_000_000_000


def readings(events: int, sensors: int = 1_000, apart_us: int = 1_000, seed: int = 1) -> pl.DataFrame:
    """Events `apart_us` apart, 20 % out of order by up to 2 s, 0.1 % late by 10 to 60 s."""
    numbers = pl.int_range(events, dtype=pl.Int64, eager=True)
    disorder = (numbers.hash(seed) % 1_000).cast(pl.Int64)
    short_us = (numbers.hash(seed + 1) % 2_000_000).cast(pl.Int64)
    long_us = 10_000_000 + (numbers.hash(seed + 2) % 50_000_000).cast(pl.Int64)
    sensor = (numbers.hash(seed + 3) % sensors).cast(pl.Int64)
    value = 20.0 + ((numbers.hash(seed + 4) % 1_000_003).cast(pl.Float64) / 1e5)
    frame = pl.DataFrame({"n": numbers, "d": disorder, "s": short_us, "l": long_us, "sensor": sensor, "value": value})
    behind = pl.when(pl.col("d") == 0).then("l").when(pl.col("d") <= 200).then("s").otherwise(0)
    time = (pl.col("n") * apart_us - behind).clip(lower_bound=0) + START_US
    return frame.select(
        pl.format("sensor-{}", "sensor").alias("sensor"), time.cast(pl.Datetime("us", "UTC")).alias("at"), "value"
    )


def windows(stream: et.Stream, window: object) -> et.Stream:
    """Mean, minimum, maximum and count by sensor and window; results are only counted."""
    timed = stream.event_time("at", et.bounded("2s"), max_future=None).group_by("sensor")
    value = col("value")
    made = timed.window(window).agg(mean=value.mean(), low=value.min(), high=value.max(), n=et.count())  # type: ignore[arg-type] # any window
    return made.write(et.call(len))


def tumbling_in_batch(frame: pl.DataFrame) -> pl.DataFrame:
    """Batch Polars: 10 s windows."""
    return frame.group_by(pl.col("at").dt.truncate("10s"), "sensor").agg(_aggregates())


def sliding_in_batch(frame: pl.DataFrame) -> pl.DataFrame:
    """Batch Polars: 60 s windows every 5 s, by explode."""
    time = pl.col("at").cast(pl.Int64)
    starts = pl.int_ranges((time - 60_000_000) // 5_000_000 + 1, time // 5_000_000 + 1)
    return frame.with_columns(starts.alias("w")).explode("w").group_by("w", "sensor").agg(_aggregates())


def sessions_in_batch(frame: pl.DataFrame) -> pl.DataFrame:
    """Batch Polars: sessions with a gap of 5 s."""
    apart = (pl.col("at").diff().over("sensor") > pl.duration(seconds=5)).fill_null(True)
    numbered = frame.sort("sensor", "at").with_columns(apart.cum_sum().alias("w"))
    return numbered.group_by("w").agg(pl.col("sensor").first(), *_aggregates())


def _aggregates() -> list[pl.Expr]:
    value = pl.col("value")
    return [value.mean().alias("mean"), value.min().alias("low"), value.max().alias("high"), pl.len().alias("n")]
