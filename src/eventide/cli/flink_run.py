"""`eventide run --on flink`: a pipeline handed to a Flink cluster, watched until it ends or Ctrl-C.

Law: Ctrl-C stops the job in order, with a savepoint to go on from; a job handed over with --detach is left alone.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import typer

from eventide.plan import Plan

if TYPE_CHECKING:
    from eventide.runners import Outcome

STOPPED = 130


@dataclass(frozen=True, slots=True)
class FlinkSettings:
    """The options of a run on Flink."""

    url: str
    parallelism: int
    checkpoint_every: str
    start_from: str | None


def run_on_flink(plan: Plan, settings: FlinkSettings, *, quiet: bool, detach: bool, name: str) -> int:
    """Hand the plan over, wait for its end, print what came back; the exit code of the command."""
    from eventide.runners.flink.run import submit

    with stopped_by_ctrl_c() as stop:
        run = submit(
            plan,
            flink_url=settings.url,
            parallelism=settings.parallelism,
            checkpoint_every=settings.checkpoint_every,
            start_from=settings.start_from,
            name=name,
        )
        typer.echo(f"job {run.job.id}: {run.link}", err=True)
        if detach:
            return 0
        if not run.job.wait_until(run.ended, stop):
            savepoint = run.stop()
            _print(run.wait(), quiet=quiet)
            typer.echo(f"stopped; go on with: --from {savepoint}", err=True)
            return STOPPED
    _print(run.wait(), quiet=quiet)
    return 0


def _print(outcome: Outcome, *, quiet: bool) -> None:
    from eventide.runners.show import Show

    if quiet:
        typer.echo(str(outcome))
        return
    shown = Show()
    for output, frame in outcome.outputs.items():
        shown.frame(output, frame)
    shown.end(outcome)


@contextmanager
def stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one ends the program at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
