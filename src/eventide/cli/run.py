"""`eventide run`: run a pipeline until its input ends or Ctrl-C.

Law: Ctrl-C closes in order: what came out is committed, and the run says where it stood.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from types import FrameType, MappingProxyType
from typing import Annotated, Any

import typer

from eventide.cli.flink_run import STOPPED, FlinkSettings, run_on_flink
from eventide.cli.pipeline import Pipeline, load
from eventide.cli.pipeline import length as length_option
from eventide.cli.pipeline import size as size_option
from eventide.cli.progress import clear, progress
from eventide.instants import instant_text
from eventide.plan import Plan
from eventide.plan.running import RUNNERS
from eventide.runners import Outcome
from eventide.runners import run as run_plan
from eventide.runners.flink.rest import DEFAULT_URL


def run(  # noqa: PLR0913, PLR0917 - options of a command, each with a default
    pipeline: Pipeline,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the accounting.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that hold the windows, each those of its keys.")] = 1,
    state: Annotated[
        str | None,
        typer.Option(help="A folder, or an address such as s3://bucket/job, for checkpoints: the run goes on from it."),
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(callback=length_option, help="How often to write a checkpoint.")
    ] = "10s",
    memory: Annotated[
        str | None, typer.Option(callback=size_option, help='What windows, copies and keys may take, such as "2GB".')
    ] = None,
    keys_most: Annotated[int | None, typer.Option(min=1, help="How many different keys to know.")] = None,
    spill: Annotated[str | None, typer.Option(help="A folder for what does not fit into --memory.")] = None,
    start_from: Annotated[
        str | None, typer.Option("--from", help="Begin at this savepoint (embedded: with an empty state folder).")
    ] = None,
    on: Annotated[str, typer.Option(help="Where to run it: embedded or flink.")] = "embedded",
    flink_url: Annotated[
        str | None,
        typer.Option(
            help=f"With --on flink: the address of the cluster; by default {DEFAULT_URL}.", show_default=False
        ),
    ] = None,
    parallelism: Annotated[
        int | None,
        typer.Option(
            min=1, max=128, help="With --on flink: how many parts it runs in; by default 1.", show_default=False
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="With --on flink: hand it over and return.")] = False,
) -> None:
    """Run a pipeline; windows are printed as they close, then the accounting. With --state it can be stopped or killed
    at any time and goes on by itself when it is run again. With --on flink it runs on a Flink cluster.
    """
    if on not in RUNNERS:
        raise typer.BadParameter(f"{on!r} is not a runner: use {', '.join(sorted(RUNNERS))}", param_hint="--on")
    if on == "flink":
        if workers != 1 or any(one is not None for one in (state, memory, keys_most, spill)):
            raise typer.BadParameter(
                "Flink keeps its own state: leave out --state, --workers, --memory, --keys-most, --spill; use --from "
                "and --parallelism",
                param_hint="--on",
            )
        settings = FlinkSettings(flink_url or DEFAULT_URL, parallelism or 1, checkpoint_every, start_from)
        raise typer.Exit(run_on_flink(load(pipeline).plan, settings, quiet=quiet, detach=detach, name=pipeline.stem))
    if flink_url is not None or parallelism is not None or detach:
        raise typer.BadParameter(
            "--flink-url, --parallelism and --detach are for a run on Flink: give --on flink too", param_hint="--on"
        )
    if start_from is not None and state is None:
        raise typer.BadParameter("it needs a state folder of its own: give --state too", param_hint="--from")
    if spill is not None and memory is None:
        raise typer.BadParameter("it is where state beyond --memory goes: give that too", param_hint="--spill")
    stream = load(pipeline)
    bounds = {"memory": memory, "keys_most": keys_most, "spill": spill}
    keeping = {"state": state, "checkpoint_every": checkpoint_every, "start_from": start_from, **bounds}
    outcome = run_until_stopped(stream.plan, show=not quiet, workers=workers, keeping=keeping)
    if quiet:
        typer.echo(str(outcome))
    if not outcome.finished:
        raise typer.Exit(STOPPED)


def run_until_stopped(
    plan: Plan,
    *,
    show: bool,
    workers: int = 1,
    keep: tuple[str, ...] = (),
    keeping: Mapping[str, Any] = MappingProxyType({}),
) -> Outcome:
    """Run with progress on the screen; the first Ctrl-C stops in order, the second at once. `keeping` are the settings
    of `eventide.run` for state.
    """
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        outcome = run_plan(plan, show=show, workers=workers, keep=keep, stop=stop, observe=progress, **keeping)
    finally:
        signal.signal(signal.SIGINT, before)
        clear()
    if not outcome.finished:
        rest = "; run it again with the same --state to go on" if keeping.get("state") else ""
        typer.echo(
            f"stopped at watermark {instant_text(outcome.watermark_us)}: what came out so far is written{rest}",
            err=True,
        )
    return outcome
