"""`eventide simulate`: write the rows of a simulated network to a file.

Law: the same seed writes the same file.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eventide.cli.pipeline import length
from eventide.connectors.simulate import simulate as simulated
from eventide.connectors.simulate import simulate_stations, simulate_zoo, write_simulated


class Kind(StrEnum):
    """The networks that can be simulated."""

    RADIATION = "radiation"
    ZOO = "zoo"
    STATIONS = "stations"


def simulate(
    output: Annotated[Path, typer.Argument(help="A .csv, .ndjson or .parquet file to write.", show_default=False)],
    network: Annotated[
        Kind, typer.Option(help="Radiation tubes, tags of zoo animals, or base stations with alarms.")
    ] = Kind.RADIATION,
    devices: Annotated[int, typer.Option(min=1, help="How many devices, tags or stations.")] = 30,
    duration: Annotated[str, typer.Option(callback=length, help="How long they measure: 6h, 1d, 4w.")] = "1d",
    seed: Annotated[int, typer.Option(help="The same seed writes the same file.")] = 7,
) -> None:
    """Write the rows of a simulated network: buffered uploads, wrong clocks, copies, silence, malformed rows."""
    if output.suffix not in (".csv", ".ndjson", ".parquet"):
        raise typer.BadParameter(f"{output} ends with {output.suffix!r}: give a .csv, .ndjson or .parquet file")
    match network:
        case Kind.RADIATION:
            rows = write_simulated(simulated(devices=devices, duration=duration, seed=seed), output)
            what = f"readings of {devices} devices"
        case Kind.ZOO:
            rows = write_simulated(simulate_zoo(tags=devices, duration=duration, seed=seed), output)
            what = f"rows of {devices} tags"
        case Kind.STATIONS:
            rows = write_simulated(simulate_stations(stations=devices, duration=duration, seed=seed), output)
            what = f"alarms of {devices} stations"
    typer.echo(f"{rows:,} {what} over {duration} written to {output}")
