"""Simulated networks as sources, for demos and tests: radiation, a zoo's tags, base stations.

Law: each is a source like any other: one log, in order of arrival, with the arrival times of the simulation.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import polars as pl

from eventide.connectors.memory.frame import FrameSource
from eventide.connectors.memory.rows import Rows
from eventide.connectors.simulate.network import ROLLOVER_US, Network, readings
from eventide.connectors.simulate.stations import ALARMS, NO_THRESHOLD, Stations, alarm_rows
from eventide.connectors.simulate.zoo import ZOO, Zoo, zoo_rows
from eventide.errors import SinkError
from eventide.instants import Duration, When, instant_us, positive_us

__all__ = [
    "ALARMS",
    "NO_THRESHOLD",
    "ROLLOVER_US",
    "ZOO",
    "Network",
    "Stations",
    "Zoo",
    "simulate",
    "simulate_stations",
    "simulate_zoo",
    "write_simulated",
]


def simulate(
    *,
    devices: int = 30,
    duration: Duration = "1d",
    seed: int = 7,
    start: When = "2026-01-01",
    network: Network | None = None,
) -> FrameSource:
    """A source of the readings of a radiation network; `network` gives every setting at once.

    Columns: `device`, `captured` (event time), `uploaded` (arrival), `dose` in counts a minute, `battery` in volts.

    >>> simulate(devices=2, duration="1h").frame.columns
    ['device', 'captured', 'uploaded', 'dose', 'battery']
    """
    settings = network or Network(devices, instant_us(start, "start"), positive_us(duration, "duration"), seed)
    return FrameSource(readings(settings), "simulate", "uploaded")


def simulate_zoo(
    *, tags: int = 12, duration: Duration = "6h", seed: int = 7, start: When = "2026-01-01", zoo: Zoo | None = None
) -> Rows:
    """A source of the rows of a zoo's tags, with the columns of `ZOO`; `zoo` gives every setting at once.

    >>> list(simulate_zoo(tags=2, duration="1h").columns)[:3]
    ['time', 'readable_time', 'acceleration']
    """
    settings = zoo or Zoo(tags, instant_us(start, "start"), positive_us(duration, "duration"), seed)
    return Rows([zoo_rows(settings)], ZOO, None, "zoo")


def simulate_stations(
    *,
    stations: int = 20,
    duration: Duration = "1h",
    seed: int = 7,
    start: When = "2026-01-01",
    net: Stations | None = None,
) -> Rows:
    """A source of alarms of base stations, with the columns of `ALARMS`; some rows are malformed. `net` gives every
    setting at once.

    >>> list(simulate_stations(stations=2, duration="10m").columns)[:3]
    ['station_id', 'datapoint_id', 'alarm_id']
    """
    settings = net or Stations(stations, instant_us(start, "start"), positive_us(duration, "duration"), seed)
    return Rows([alarm_rows(settings)], ALARMS, "storedtime", "stations")


def write_simulated(source: FrameSource | Rows, path: str | PathLike[str]) -> int:
    """Write the rows of a simulated network to a `.csv`, `.ndjson` or `.parquet` file; returns how many there are."""
    frame = source.frame if isinstance(source, FrameSource) else _frame(source)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    match target.suffix:
        case ".csv":
            frame.write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        case ".ndjson":
            frame.write_ndjson(target)
        case ".parquet":
            frame.write_parquet(target)
        case other:
            raise SinkError(f"{target} ends with {other!r}: give a .csv, .ndjson or .parquet file")
    return frame.height


def _frame(source: Rows) -> pl.DataFrame:
    """The rows as they stand in a file: without hidden columns."""
    frames = [item for item in source.items if isinstance(item, pl.DataFrame)]
    return pl.concat(frames).select(pl.exclude("^_.*$"))
