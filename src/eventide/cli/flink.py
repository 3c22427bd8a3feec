"""`eventide flink`: a Flink cluster on this machine, started and ended; jobs on a cluster, looked at and stopped.

Law: a cluster that it starts listens on loopback only; what it ends, it started.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from eventide.runners.flink.accounts import accounting_of
from eventide.runners.flink.remote import LOGS_SHOWN, Job
from eventide.runners.flink.remote import jobs as jobs_of
from eventide.runners.flink.remote import logs as logs_of
from eventide.runners.flink.rest import DEFAULT_URL, Rest

DEFAULT_PORT = 8081

flink = typer.Typer(help="A Flink cluster on this machine (up, down), and jobs on a cluster.", no_args_is_help=True)

Url = Annotated[str, typer.Option("--flink-url", help="The address of the cluster.")]
JobId = Annotated[str, typer.Argument(help="The job's number, as `eventide flink jobs` shows it.", show_default=False)]
Folder = Annotated[
    Path | None, typer.Option(help="Its folder; by default one for each port below the cache.", show_default=False)
]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port of its REST API and page.")]


@flink.command()
def up(
    port: Port = DEFAULT_PORT,
    task_managers: Annotated[int, typer.Option(min=1, help="How many TaskManagers to start.")] = 1,
    slots: Annotated[int, typer.Option(min=1, help="How many slots each of them has.")] = 4,
    folder: Folder = None,
) -> None:
    """Start a Flink cluster on loopback and leave it running. The first time its jars are fetched by Maven."""
    from eventide.runners.flink.local import up as start

    made = start(port=port, task_managers=task_managers, slots=slots, folder=folder)
    names = ", ".join(f"{name} ({pid})" for name, pid in made.processes)
    typer.echo(f"Flink at {made.url}: {names}")
    if not made.began:
        has = int(Rest(made.url).get("/overview")["slots-total"])
        typer.echo(f"it runs already, with {has} slots in all, and stays so: end it first for another size")
    typer.echo(f"logs and savepoints: {made.folder}\nend it with: {shlex.join(_down(port, folder))}")


def _down(port: int, folder: Path | None) -> list[str]:
    """The command that ends what `up` started with these options."""
    words = ["eventide", "flink", "down"]
    words += [] if port == DEFAULT_PORT else ["--port", str(port)]
    return words + ([] if folder is None else ["--folder", str(folder.absolute())])


@flink.command()
def down(port: Port = DEFAULT_PORT, folder: Folder = None) -> None:
    """End a cluster that `eventide flink up` started. Its logs, checkpoints and savepoints stay."""
    from eventide.runners.flink.local import down as stop

    ended = stop(port=port, folder=folder)
    typer.echo(f"Flink at {ended.url} is ended; logs and savepoints: {ended.folder}")


@flink.command()
def jobs(url: Url = DEFAULT_URL) -> None:
    """The jobs that a cluster knows, newest first."""
    for one in jobs_of(Rest(url)):
        typer.echo(f"{one['jid']}  {one['state']:<10}  {one['name']}")


@flink.command()
def status(job: JobId, url: Url = DEFAULT_URL) -> None:
    """A job's state, its accounting so far, and why it failed or restarted the last time."""
    found = Job(Rest(url), job)
    typer.echo(f"{found.state()}, {found.checkpoints()} checkpoints: {found.link}")
    typer.echo(str(accounting_of(found.counters()).total))
    failure = found.failure()
    if failure is not None:
        typer.echo(f"failed: {failure}")


@flink.command()
def stop(
    job: JobId,
    url: Url = DEFAULT_URL,
    savepoint: Annotated[str | None, typer.Option(help="A folder or URI to put the savepoint in.")] = None,
) -> None:
    """Stop a job in order and say where its savepoint is; `eventide run --on flink --from SAVEPOINT` goes on, at any
    parallelism.
    """
    typer.echo(Job(Rest(url), job).stop(savepoint))


@flink.command()
def cancel(job: JobId, url: Url = DEFAULT_URL) -> None:
    """End a job without a savepoint."""
    Job(Rest(url), job).cancel()
    typer.echo(f"job {job} is cancelled")


@flink.command()
def logs(
    lines: Annotated[int, typer.Option(min=1, help="How many lines of each.")] = LOGS_SHOWN,
    url: Url = DEFAULT_URL,
) -> None:
    """The last lines of the logs of a cluster's JobManager and of each TaskManager."""
    typer.echo(logs_of(Rest(url), lines))
