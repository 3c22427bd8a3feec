"""Simulated base stations: alarms with values and thresholds, flapping links, stored late, some rows malformed.

Law: the same settings and seed give the same rows, in the order in which they were stored; no wall clock is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from eventide.connectors.simulate.draws import normal, uniform, whole
from eventide.flow import ARRIVAL, INSTANT
from eventide.instants import Instant
from eventide.semantics.schema import Schema, field, schema

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
NO_THRESHOLD = 999_999
"""The value of `valueThreshold` that means: this alarm has none."""

_DATAPOINTS = ("rectifier", "battery", "radio", "door")
_THRESHOLDS = (56.0, 44.0, 85.0, float(NO_THRESHOLD))
_FORMAT = "%Y-%m-%dT%H:%M:%S%.3fZ"

ALARMS: Schema = schema(
    {
        "station_id": field(str, nullable=False, pattern=r"BS-\d{4}"),
        "datapoint_id": field(str, nullable=False),
        "alarm_id": field(int, nullable=False, minimum=1),
        "event_time": field(Instant, nullable=False),
        "value": float,
        "valueThreshold": float,
        "isActive": field(bool, nullable=False),
        "storedtime": field(Instant, nullable=False),
    }
)
"""A row of an alarm: `event_time` is when it happened, `storedtime` when it was stored, `isActive` is true where it was
raised and false where it was cleared."""


@dataclass(frozen=True, slots=True)
class Stations:
    """The settings of simulated base stations.

    `rate` is alarms a minute of one station; station 0 flaps and has ten times as many. A station's link fails for
    whole stretches of `stretch_us` (`cut_share` of them); its alarms are stored when the stretch ends.
    """

    stations: int = 20
    start_us: int = 1_767_225_600 * _SECOND
    duration_us: int = 60 * _MINUTE
    seed: int = 7
    rate: float = 4.0
    cut_share: float = 0.03
    stretch_us: int = 3 * _MINUTE
    malformed_share: float = 0.01

    def __post_init__(self) -> None:
        if self.stations < 1:
            raise ValueError(f"stations={self.stations} must be at least 1")
        for name in ("cut_share", "malformed_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie between 0 and 1")


def alarm_rows(net: Stations) -> pl.DataFrame:
    """All rows as text, as they stand in a file, in the order in which they were stored; with the hidden column of
    arrival times, which a malformed row has too.
    """
    every = round(net.rate * net.duration_us / _MINUTE * (net.stations + 9))
    row = pl.int_range(every, dtype=pl.Int64, eager=True).alias("row").to_frame()
    drawn = whole(pl.col("row"), net.seed, 1, net.stations + 9)
    row = row.with_columns(
        pl.when(drawn < net.stations).then(drawn).otherwise(0).alias("station"),
        whole(pl.col("row"), net.seed, 2, len(_DATAPOINTS)).alias("point"),
        whole(pl.col("row"), net.seed, 3, 3).alias("kind"),
        (whole(pl.col("row"), net.seed, 4, net.duration_us // 1_000) * 1_000).alias("passed"),
    )
    row = row.sort("passed", "row").with_columns(
        (pl.int_range(pl.len()).over("station", "point", "kind") % 2 == 0).alias("raised")
    )
    row = _stored(net, row.with_columns(_threshold().alias("threshold"))).sort("stored", "row")
    return _malformed(net, row.select("row", *_columns(net)))


def _threshold() -> pl.Expr:
    named = pl.Series("threshold", _THRESHOLDS)
    return pl.lit(named).gather(pl.col("point"))


def _stored(net: Stations, row: pl.DataFrame) -> pl.DataFrame:
    """When rows are stored: within some seconds, or when the station's link is back."""
    stretch = pl.col("passed") // net.stretch_us
    cut = uniform(pl.col("station") * 7_919 + stretch, net.seed, 10) < net.cut_share
    soon = pl.col("passed") + 150_000 + (uniform(pl.col("row"), net.seed, 11) ** 3 * 6e6).cast(pl.Int64)
    back = (stretch + 1) * net.stretch_us + whole(pl.col("row"), net.seed, 12, 2_000) * 1_000
    return row.with_columns(pl.when(cut).then(back).otherwise(soon).alias("stored"))


def _columns(net: Stations) -> list[pl.Expr]:
    has_none = pl.col("threshold") == NO_THRESHOLD
    usual = pl.when(has_none).then(1.0).otherwise(pl.col("threshold"))
    over = pl.when("raised").then(1.05).otherwise(0.93)
    value = usual * over + 0.01 * usual * normal(pl.col("row"), net.seed, 20)
    points = pl.lit(pl.Series(_DATAPOINTS)).gather(pl.col("point"))
    return [
        pl.format("BS-{}", (pl.col("station") + 1).cast(pl.String).str.zfill(4)).alias("station_id"),
        points.alias("datapoint_id"),
        (pl.col("kind") + 1 + pl.col("point") * 10).cast(pl.String).alias("alarm_id"),
        (net.start_us + pl.col("passed")).cast(INSTANT).dt.strftime(_FORMAT).alias("event_time"),
        value.round(2).cast(pl.String).alias("value"),
        pl.when(has_none)
        .then(pl.lit(str(NO_THRESHOLD)))
        .otherwise(pl.col("threshold").cast(pl.String))
        .alias("valueThreshold"),
        pl.when("raised").then(pl.lit("true")).otherwise(pl.lit("false")).alias("isActive"),
        (net.start_us + pl.col("stored")).cast(INSTANT).dt.strftime(_FORMAT).alias("storedtime"),
        (net.start_us + pl.col("stored")).cast(INSTANT).alias(ARRIVAL),
    ]


def _malformed(net: Stations, row: pl.DataFrame) -> pl.DataFrame:
    """Break a share of the rows, each in one of five ways that such files have."""
    broken = uniform(pl.col("row"), net.seed, 30) < net.malformed_share
    way = pl.when(broken).then(whole(pl.col("row"), net.seed, 31, 5)).otherwise(-1)
    faults: dict[str, tuple[int, str | None]] = {
        "value": (0, "n/a V"),
        "station_id": (1, "unknown"),
        "event_time": (2, "0000-00-00 00:00:00"),
        "alarm_id": (3, None),
        "isActive": (4, "maybe"),
    }
    return row.with_columns(
        pl.when(way == number).then(pl.lit(text, dtype=pl.String)).otherwise(pl.col(name)).alias(name)
        for name, (number, text) in faults.items()
    ).drop("row")
