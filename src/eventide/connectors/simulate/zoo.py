"""A simulated zoo: animals with tags that report acceleration, weather and battery, and buffer where no gateway hears
them.

Law: the same settings and seed give the same rows, in the order of their arrival; no wall clock is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from eventide.connectors.simulate.draws import normal, uniform, whole
from eventide.flow import ARRIVAL, INSTANT
from eventide.instants import Instant
from eventide.semantics.schema import Schema, field, schema

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_GRAVITY = 9.81
_RESET_ROWS = 12

ZOO: Schema = schema(
    {
        "time": field(Instant, unit="ms", nullable=False),
        "readable_time": str,
        "acceleration": float,
        "acceleration_x": float,
        "acceleration_y": float,
        "acceleration_z": float,
        "battery": int,
        "humidity": float,
        "pressure": float,
        "temperature": float,
        "dev-id": field(str, nullable=False),
    }
)
"""A row of a tag: `time` in milliseconds, accelerations in m/s², `battery` in mV, `humidity` in percent, `pressure` in
hPa, `temperature` in °C."""


@dataclass(frozen=True, slots=True)
class Zoo:
    """The settings of a simulated zoo.

    A tag reports every `interval_us`. In a stretch of 20 minutes out of range (`buffered_share` of them) it keeps its
    rows and sends them at the stretch's end. Every seventh tag has a weak battery; tag 1 begins with its clock at 1970.
    """

    tags: int = 12
    start_us: int = 1_767_225_600 * _SECOND
    duration_us: int = 6 * _HOUR
    seed: int = 7
    interval_us: int = 15 * _SECOND
    buffered_share: float = 0.06
    stretch_us: int = 20 * _MINUTE
    copied_share: float = 0.003
    rain_share: float = 0.3

    def __post_init__(self) -> None:
        if self.tags < 1:
            raise ValueError(f"tags={self.tags} must be at least 1")
        for name in ("buffered_share", "copied_share", "rain_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie between 0 and 1")


def zoo_rows(zoo: Zoo) -> pl.DataFrame:
    """All rows in the order of their arrival, with the hidden column of arrival times."""
    reports = zoo.duration_us // zoo.interval_us
    row = pl.int_range(zoo.tags * reports, dtype=pl.Int64, eager=True).alias("row").to_frame()
    row = row.with_columns((pl.col("row") % zoo.tags).alias("tag"), (pl.col("row") // zoo.tags).alias("n"))
    passed = pl.col("n") * zoo.interval_us + whole(pl.col("row"), zoo.seed, 1, zoo.interval_us // 2_000) * 1_000
    row = row.with_columns(passed.alias("passed"))
    row = row.with_columns((zoo.start_us + pl.col("passed")).alias("happened"))
    row = _weather(zoo, row)
    row = _moving(zoo, row)
    row = _arriving(zoo, row)
    copies = row.filter(uniform(pl.col("row"), zoo.seed, 30) < zoo.copied_share)
    both = pl.concat([row, copies.with_columns(pl.col("arrived") + 400_000)]).sort("arrived", "row")
    return both.select(_columns())


def _weather(zoo: Zoo, row: pl.DataFrame) -> pl.DataFrame:
    """Weather that all tags share, each with an error of its own; it rains for whole hours."""
    hour = pl.col("happened") // _HOUR
    of_day = (pl.col("happened") % (24 * _HOUR)) / _HOUR
    rains = uniform(hour, zoo.seed, 2) < zoo.rain_share
    warm = 23.0 + 5.0 * (2 * math.pi * (of_day - 9.0) / 24.0).sin() - pl.when(rains).then(3.0).otherwise(0.0)
    temperature = warm + 0.3 * normal(pl.col("row"), zoo.seed, 3)
    humidity = 55.0 - 1.5 * (warm - 23.0) + pl.when(rains).then(32.0).otherwise(0.0)
    pressure = 1013.0 - pl.when(rains).then(7.0).otherwise(0.0) + 0.2 * normal(pl.col("row"), zoo.seed, 5)
    return row.with_columns(
        temperature.round(1).alias("temperature"),
        (humidity + normal(pl.col("row"), zoo.seed, 4)).clip(5.0, 100.0).round(1).alias("humidity"),
        pressure.round(1).alias("pressure"),
    )


def _moving(zoo: Zoo, row: pl.DataFrame) -> pl.DataFrame:
    """Animals that rest or move for ten minutes at a time, and batteries that fall."""
    bout = pl.col("tag") * 1_000_003 + pl.col("passed") // (10 * _MINUTE)
    effort = pl.when(uniform(bout, zoo.seed, 6) < 0.35).then(3.5).otherwise(0.3)
    axes = {
        f"acceleration_{axis}": (rest + effort * normal(pl.col("row"), zoo.seed, 7 + place)).round(2)
        for place, (axis, rest) in enumerate((("x", 0.0), ("y", 0.0), ("z", _GRAVITY)))
    }
    weak = pl.col("tag") % 7 == 3
    full = 3_950 + whole(pl.col("tag"), zoo.seed, 10, 180) - pl.when(weak).then(480).otherwise(0)
    loss = pl.when(weak).then(45.0).otherwise(3.0) * pl.col("passed") / _HOUR
    noise = 4.0 * normal(pl.col("row"), zoo.seed, 11)
    row = row.with_columns(**axes, battery=(full - loss + noise).round(0).cast(pl.Int64))
    squares = [pl.col(name) ** 2 for name in axes]
    return row.with_columns(pl.sum_horizontal(squares).sqrt().round(2).alias("acceleration"))


def _arriving(zoo: Zoo, row: pl.DataFrame) -> pl.DataFrame:
    """When rows arrive: after a second or so, or at the end of a stretch out of range."""
    stretch = pl.col("passed") // zoo.stretch_us
    away = uniform(pl.col("tag") * 7_919 + stretch, zoo.seed, 20) < zoo.buffered_share
    soon = pl.col("happened") + 200_000 + whole(pl.col("row"), zoo.seed, 21, 2_800) * 1_000
    back = zoo.start_us + (stretch + 1) * zoo.stretch_us + pl.col("tag") * 1_000
    reset = (pl.col("tag") == 1) & (pl.col("n") < _RESET_ROWS)
    return row.with_columns(
        pl.when(away).then(pl.max_horizontal(back, soon)).otherwise(soon).alias("arrived"),
        pl.when(reset).then(pl.col("passed")).otherwise(pl.col("happened")).alias("shown"),
    )


def _columns() -> list[pl.Expr]:
    shown = pl.col("shown")
    return [
        (shown // 1_000).alias("time"),
        shown.cast(INSTANT).dt.strftime("%Y-%m-%d %H:%M:%S").alias("readable_time"),
        *(pl.col(name) for name in ZOO.names[2:-1]),
        pl.format("tag-{}", pl.col("tag").cast(pl.String).str.zfill(2)).alias("dev-id"),
        pl.col("arrived").cast(INSTANT).alias(ARRIVAL),
    ]
