"""A simulated network as a source, for demos and tests.

Law: it is a source like any other: one log, in order of arrival, with the arrival times of the simulation.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from eventide.connectors.memory.frame import FrameSource
from eventide.connectors.simulate.network import ROLLOVER_US, Network, readings
from eventide.errors import SinkError
from eventide.instants import Duration, When, instant_us, positive_us

__all__ = ["ROLLOVER_US", "Network", "simulate", "write_simulated"]


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


def write_simulated(source: FrameSource, path: str | PathLike[str]) -> int:
    """Write the readings of a simulated network to a `.csv`, `.ndjson` or `.parquet` file; returns how many there
    are.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    match target.suffix:
        case ".csv":
            source.frame.write_csv(target, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        case ".ndjson":
            source.frame.write_ndjson(target)
        case ".parquet":
            source.frame.write_parquet(target)
        case other:
            raise SinkError(f"{target} ends with {other!r}: give a .csv, .ndjson or .parquet file")
    return source.frame.height
