"""The recorded streams as the docs judge them: each one log in order of arrival, with guards that a user would set."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

import eventide as et
from eventide.flow import INSTANT

SAFECAST = et.schema(
    {
        "uploaded": et.field(et.Instant, path="service_uploaded", formats="%b %d, %Y @ %H:%M:%S%.f"),
        "time": et.field(et.Instant, path="when_captured"),
        "device": et.field(str, path="device_urn"),
    }
)
PHONES = et.schema(
    {
        "time": et.field(et.Instant, path="S.Client.Detection.Time", unit="ms"),
        "received": et.field(et.Instant, path="S.Message.received.time.ms", unit="ms"),
        "device": et.field(str, path="S.Device.ID"),
    }
)
SECOND = 1_000_000


def safecast(shared: Path, order: Any = "reversed") -> et.Stream:
    """Safecast's February without the device whose clock rolled over."""
    path = shared / "data" / "safecast" / "solarcast-2020-02.csv"
    return timed(et.read_csv(path, schema=SAFECAST, arrival="uploaded", order=order), "365d")


def phones(shared: Path, name: str) -> et.Stream:
    """Phones over UMTS, as received."""
    path = shared / "data" / "ooo_joanneum" / name
    return timed(et.read_csv(path, schema=PHONES, arrival="received", separator=";"), None)


def gateways(shared: Path) -> et.Stream:
    """Every reception of every gateway in both LoRaWAN recordings, merged by arrival; one gateway is 936 days behind and
    refused by the guard.
    """
    rows = [row for path in sorted((shared / "data" / "campusiot").glob("*.gz")) for row in _receptions(path)]
    frame = pl.DataFrame(rows, schema={"time": pl.Int64(), "arrived": pl.Int64(), "device": pl.String()}, orient="row")
    frame = frame.with_columns(pl.col("time", "arrived").cast(INSTANT))
    return timed(et.from_frame(frame, arrival="arrived", order=et.by_arrival(), name="gateways"), "30d")


def _receptions(path: Path) -> Iterator[tuple[int, int, str]]:
    with gzip.open(path, "rt") as lines:
        for row in map(json.loads, lines):
            arrived = int(row["_timestamp"]) * 1_000
            for hotspot in row.get("hotspots", ()):
                if hotspot.get("reported_at"):
                    yield int(hotspot["reported_at"]) * 1_000, arrived, hotspot["id"]
            for gateway in row.get("rxInfo", ()):
                if gateway.get("time"):
                    time = pl.Series([gateway["time"]]).str.to_datetime(time_zone="UTC", time_unit="us")
                    yield int(time.cast(pl.Int64)[0]), arrived, gateway["gatewayID"]


def simulated(kind: str, events: int = 120_000) -> et.Stream:
    """Simulated streams whose disorder changes: `regimes` (mean delay 1 s and 8 s in turn), `drift` (the mean delay swings
    between 0.14 s and 7.4 s), `outages` (now and then one device in ten holds its events back for up to 30 s).
    """
    draw = random.Random(2)
    behind = {"regimes": _regimes, "drift": _drift, "outages": _outages}[kind]
    rows = []
    for number in range(events):
        arrived = number * 100_000 + 100 * SECOND
        rows.append((arrived - int(behind(number, events, draw)), arrived, f"d{number % 10}"))
    frame = pl.DataFrame(rows, schema={"time": pl.Int64(), "arrived": pl.Int64(), "device": pl.String()}, orient="row")
    return timed(et.from_frame(frame.with_columns(pl.col("time", "arrived").cast(INSTANT)), arrival="arrived"), None)


def _regimes(number: int, events: int, draw: random.Random) -> float:
    mean_us = SECOND if number // 10_000 % 2 == 0 else 8 * SECOND
    return draw.expovariate(1 / mean_us) if draw.random() < 0.3 else 0.0


def _drift(number: int, events: int, draw: random.Random) -> float:
    from math import exp, pi, sin

    mean_us = SECOND * exp(2 * sin(number / events * 4 * pi))
    return draw.expovariate(1 / mean_us) if draw.random() < 0.5 else 0.0


def _outages(number: int, events: int, draw: random.Random) -> float:
    usual = draw.expovariate(1 / SECOND) if draw.random() < 0.3 else 0.0
    out = number >= 8_000 and number % 8_000 < 300 and number % 10 == 0
    return usual + (draw.random() * 30 * SECOND if out else 0.0)


def timed(stream: et.Stream, max_age: str | None) -> et.Stream:
    return stream.event_time("time", et.bounded("0s"), max_age=max_age)


STREAMS: dict[str, Callable[[Path], et.Stream]] = {
    "safecast, reversed": safecast,
    "safecast, by upload": lambda shared: safecast(shared, et.by_arrival("time")),
    "phones d-1": lambda shared: phones(shared, "d-1.csv"),
    "phones d-2": lambda shared: phones(shared, "d-2.csv"),
    "gateways": gateways,
    "simulated regimes": lambda shared: simulated("regimes"),
    "simulated drift": lambda shared: simulated("drift"),
    "simulated outages": lambda shared: simulated("outages"),
}
