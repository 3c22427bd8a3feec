"""`eventide run`: run a pipeline until its input ends or Ctrl-C.

Law: Ctrl-C closes in order: what came out is committed, and the run says where it stood.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Annotated, Any

import typer

from eventide.cli.pipeline import Pipeline, load
from eventide.cli.pipeline import duration as duration_option
from eventide.cli.progress import clear, progress
from eventide.instants import instant_text
from eventide.plan import Plan
from eventide.runners import Outcome
from eventide.runners import run as run_plan

STOPPED = 130


def run(
    pipeline: Pipeline,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the accounting.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that hold the windows, each those of its keys.")] = 1,
    state: Annotated[
        Path | None, typer.Option(help="A folder for checkpoints: the run goes on where the last one stopped.")
    ] = None,
    checkpoint_every: Annotated[
        str, typer.Option(callback=duration_option, help="How often to write a checkpoint.")
    ] = "10s",
    start_from: Annotated[
        Path | None, typer.Option("--from", help="Begin at this savepoint, with an empty state folder.")
    ] = None,
) -> None:
    """Run a pipeline; windows are printed as they close, then the accounting. With --state it can be stopped or killed
    at any time and goes on by itself when it is run again.
    """
    if start_from is not None and state is None:
        raise typer.BadParameter("it needs a state folder of its own: give --state too", param_hint="--from")
    stream = load(pipeline)
    keeping = {"state": state, "checkpoint_every": checkpoint_every, "start_from": start_from}
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
