"""`eventide simulate`: write the readings of a simulated radiation network to a file.

Law: the same seed writes the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventide.connectors.simulate import simulate as simulated
from eventide.connectors.simulate import write_simulated


def simulate(
    output: Annotated[Path, typer.Argument(help="A .csv, .ndjson or .parquet file to write.", show_default=False)],
    devices: Annotated[int, typer.Option(min=1, help="How many devices.")] = 30,
    duration: Annotated[str, typer.Option(help="How long they measure: 6h, 1d, 4w.")] = "1d",
    seed: Annotated[int, typer.Option(help="The same seed writes the same file.")] = 7,
) -> None:
    """Write the readings of a simulated network: buffered uploads, wrong clocks, duplicates, silence, a hot site."""
    rows = write_simulated(simulated(devices=devices, duration=duration, seed=seed), output)
    typer.echo(f"{rows:,} readings of {devices} devices over {duration} written to {output}")
