"""`eventide run`: run a pipeline until its input ends or Ctrl-C.

Law: Ctrl-C closes in order: what came out is committed, and the run says where it stood.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from eventide.cli.pipeline import Pipeline, load
from eventide.cli.progress import clear, progress
from eventide.instants import instant_text
from eventide.plan import Plan
from eventide.runners import Outcome
from eventide.runners import run as run_plan

STOPPED = 130


def run(
    pipeline: Pipeline,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the accounting.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Spread the keys over so many states.")] = 1,
) -> None:
    """Run a pipeline; windows are printed as they close, then the accounting."""
    stream = load(pipeline)
    outcome = run_until_stopped(stream.plan, show=not quiet, workers=workers)
    if quiet:
        typer.echo(str(outcome))
    if not outcome.finished:
        raise typer.Exit(STOPPED)


def run_until_stopped(plan: Plan, *, show: bool, workers: int = 1, keep: tuple[str, ...] = ()) -> Outcome:
    """Run with progress on the screen; the first Ctrl-C stops in order, the second at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        outcome = run_plan(plan, show=show, workers=workers, keep=keep, stop=stop, observe=progress)
    finally:
        signal.signal(signal.SIGINT, before)
        clear()
    if not outcome.finished:
        typer.echo(
            f"stopped at watermark {instant_text(outcome.watermark_us)}: what came out so far is written", err=True
        )
    return outcome
