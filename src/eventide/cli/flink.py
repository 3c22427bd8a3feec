"""`eventide flink`: a Flink cluster on this machine, started and ended; jobs on a cluster, looked at and stopped.

Law: a cluster that it starts listens on loopback only; what it ends, it started.
"""

from __future__ import annotations

from typing import Annotated

import typer

flink = typer.Typer(help="A Flink cluster on this machine (up, down), and jobs on a cluster.", no_args_is_help=True)

Port = Annotated[int, typer.Option(min=1, max=65535, help="The port of its REST API and page.")]


@flink.command()
def up(
    port: Port = 8081,
    task_managers: Annotated[int, typer.Option(min=1, help="How many TaskManagers to start.")] = 1,
    slots: Annotated[int, typer.Option(min=1, help="How many slots each of them has.")] = 4,
) -> None:
    """Start a Flink cluster on loopback and leave it running. The first time its jars are fetched by Maven."""
    from eventide.runners.flink.local import up as start

    made = start(port=port, task_managers=task_managers, slots=slots)
    names = ", ".join(f"{name} ({pid})" for name, pid in made.processes)
    typer.echo(f"Flink at {made.url}: {names}\nlogs and savepoints: {made.folder}\nend it with: eventide flink down")


@flink.command()
def down(port: Port = 8081) -> None:
    """End a cluster that `eventide flink up` started. Its logs, checkpoints and savepoints stay."""
    from eventide.runners.flink.local import down as stop

    ended = stop(port=port)
    typer.echo(f"Flink at {ended.url} is ended; logs and savepoints: {ended.folder}")
