"""A simulated volunteer radiation network: devices that report online, devices that buffer and upload in batches, and
their faults.

Law: the same settings and seed give the same rows; no wall clock is read. The defaults are what was measured on a
real network in February 2020: median lateness about 7 minutes, 99 % within 72 minutes, clocks up to 34 s ahead, one
device 1,024 weeks behind, one copied row in 280, one hot site.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import polars as pl

from eventide.flow import INSTANT

ROLLOVER_US = 1_024 * 7 * 86_400_000_000
"""A GPS receiver counts 1,024 weeks and begins again."""

_SECOND = 1_000_000
_HOT = 1_350.0
"""The usual level at the hot site, in counts a minute."""
COLUMNS = {
    "device": pl.String(),
    "captured": INSTANT,
    "uploaded": INSTANT,
    "dose": pl.Float64(),
    "battery": pl.Float64(),
}
"""What a reading holds: doses in counts a minute, the battery in volts."""


@dataclass(frozen=True, slots=True)
class Network:
    """The settings of a simulated network."""

    devices: int = 30
    start_us: int = 1_767_225_600 * _SECOND
    duration_us: int = 86_400 * _SECOND
    seed: int = 7
    interval_us: int = 300 * _SECOND
    online_share: float = 0.1
    upload_us: int = 960 * _SECOND
    long_upload_share: float = 0.04
    clock_ahead_us: int = 34 * _SECOND
    duplicate_share: float = 0.0035
    silence_share: float = 0.1
    null_share: float = 0.02
    retry_share: float = 0.01

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"devices={self.devices} must be at least 1")
        for name in (
            "online_share",
            "long_upload_share",
            "duplicate_share",
            "silence_share",
            "null_share",
            "retry_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie between 0 and 1")


Reading = tuple[int, int, str, float | None, float]
"""Uploaded, captured (microseconds), device, dose, battery."""


def readings(network: Network) -> pl.DataFrame:
    """All readings in the order of their arrival; those of one upload in the order of their capture."""
    rows = [reading for number in range(network.devices) for reading in _device(network, number)]
    rows.sort(key=lambda row: (row[0], row[2], row[1]))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    uploaded, captured = (pl.Series(columns[place], dtype=pl.Int64).cast(INSTANT) for place in (0, 1))
    data = {"device": columns[2], "captured": captured, "uploaded": uploaded, "dose": columns[3], "battery": columns[4]}
    return pl.DataFrame(data, schema=COLUMNS)


def _device(network: Network, number: int) -> Iterator[Reading]:
    """The readings of one device. Number 0 is at the hot site; number 1 (if there is one) has lost 1,024 weeks."""
    random = Random(f"{network.seed}/{number}")  # noqa: S311 - a simulation, not a secret
    name = f"tube-{number:03d}"
    online = random.random() < network.online_share and number != 1
    skew_us = random.randrange(network.clock_ahead_us // _SECOND + 1) * _SECOND if random.random() < 0.2 else 0
    rollover_us = ROLLOVER_US if number == 1 else 0
    usual = random.uniform(22, 45) if number else _HOT
    voltage = random.uniform(3.6, 4.1)
    uploads = iter([]) if online else _uploads(network, random)
    upload_us = next(uploads, 0)
    for time_us in _moments(network, random):
        while not online and upload_us < time_us:
            upload_us = next(uploads)
        arrived_us = time_us + random.randrange(1, 9) * _SECOND if online else upload_us
        if random.random() < network.retry_share:
            arrived_us += (
                random.randrange(20, 150) * 60 * _SECOND
            )  # the packet was lost; a later session brings it again
        captured_us = min(time_us + skew_us, arrived_us + network.clock_ahead_us) - rollover_us
        dose = None if random.random() < network.null_share else _dose(random, usual)
        voltage = max(voltage - random.uniform(0, 0.0004), 3.2)
        row = (arrived_us, captured_us, name, dose, round(voltage, 3))
        yield row
        if random.random() < network.duplicate_share:
            yield row


def _moments(network: Network, random: Random) -> Iterator[int]:
    """When a device measures: about every interval, in whole seconds; some fall silent for a while."""
    silent = random.random() < network.silence_share
    quiet_us = int(network.duration_us * random.uniform(0.2, 0.6)) if silent else network.duration_us
    end_us = network.start_us + network.duration_us
    time_us = network.start_us + random.randrange(network.interval_us // _SECOND) * _SECOND
    while time_us < end_us:
        passed_us = time_us - network.start_us
        if not quiet_us <= passed_us < quiet_us + network.duration_us // 4:
            yield time_us
        time_us += network.interval_us + random.randrange(-5, 6) * _SECOND


def _uploads(network: Network, random: Random) -> Iterator[int]:
    """When a buffering device uploads: every quarter of an hour or so, now and then only after an hour or more."""
    time_us = network.start_us
    while True:
        long = random.random() < network.long_upload_share
        factor = random.uniform(3.5, 6.0) if long else random.uniform(0.5, 1.5)
        time_us += int(network.upload_us * factor) // _SECOND * _SECOND
        yield time_us


def _dose(random: Random, usual: float) -> float:
    """Counts in a minute: a Poisson number around the usual level, by its normal approximation."""
    return float(max(0, round(random.gauss(usual, usual**0.5))))
