"""`eventide demo`: the radiation network from readings to a report.

Law: it runs the same job on simulated readings and on a real file, and leaves results, late readings, dead letters
and a report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventide.cli.flink_run import STOPPED
from eventide.cli.pipeline import duration as duration_option
from eventide.cli.run import run_until_stopped
from eventide.radiation import Settings, doses, safecast, simulated


def demo(
    input: Annotated[
        Path | None, typer.Option(help="A Safecast CSV file; without it the network is simulated.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for results and report.")] = Path("out/demo"),
    bound: Annotated[
        str, typer.Option(callback=duration_option, help="How far a reading may run behind its device's newest one.")
    ] = "5m",
    lateness: Annotated[
        str, typer.Option(callback=duration_option, help="For how long a window takes corrections.")
    ] = "1h",
    threshold: Annotated[float, typer.Option(help="Alert above this many counts a minute.")] = 100.0,
    seed: Annotated[int, typer.Option(help="The seed of the simulated network.")] = 7,
) -> None:
    """5-minute doses of a radiation network, alerts above a threshold, late readings kept, and a report with
    pictures.
    """
    from eventide.connectors.simulate import simulate
    from eventide.history.demo import report

    if input is not None and not input.exists():
        raise typer.BadParameter(f"there is no file {input}", param_hint="--input")
    settings = Settings(bound, lateness, threshold=threshold)
    readings = safecast(input) if input is not None else simulated(simulate(seed=seed))
    job = doses(readings, settings, output)
    typer.echo(job.explain() + "\n")
    outcome = run_until_stopped(job.plan, show=True, keep=("results", "late", "dead_letters", "alerts"))
    page = report(readings, outcome, settings, output / "report.html")
    typer.echo(f"\nresults in {output}, report in {page}")
    if not outcome.finished:
        raise typer.Exit(STOPPED)
