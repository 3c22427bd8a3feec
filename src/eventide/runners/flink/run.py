"""The Flink runner: a plan handed to a cluster, and the handle on what runs there.

Law: a plan that Flink cannot run as it stands is refused with the reasons before anything is sent; what runs there
gives the answer of the embedded engine.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

from eventide.engine.accounting import Accounting
from eventide.engine.pipeline import Pipeline
from eventide.errors import FlinkError, PlanError, Problem
from eventide.instants import Duration, positive_us
from eventide.plan import Plan
from eventide.plan.check import check
from eventide.runners.flink.accounts import accounting_of, watermark_of
from eventide.runners.flink.compile import compile_plan
from eventide.runners.flink.ends import ask_ends
from eventide.runners.flink.jar import jar_path, seal
from eventide.runners.flink.kept import Kept, cleared, is_here, keeping, unkept
from eventide.runners.flink.logs import known_logs
from eventide.runners.flink.remote import ENDED, Job, Start, begin
from eventide.runners.flink.rest import DEFAULT_URL, Rest
from eventide.runners.outcome import Outcome
from eventide.runners.show import Show

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
logger = logging.getLogger("eventide.flink")

MOST_PARALLEL = 128
"""Flink's number of key groups, fixed for the life of a job's state: no rescaling goes beyond it."""


@dataclass(frozen=True)
class FlinkStatus:
    """A job at one moment. `state` is Flink's word; `failure` says why it failed or was restarted the last time;
    `waiting` is how many of its tasks wait for a slot.
    """

    state: str
    accounting: Accounting
    watermark_us: int | None
    checkpoints: int
    restarts: int
    waiting: int
    failure: str | None
    link: str

    def __str__(self) -> str:
        parts = [self.state, str(self.accounting.total), f"{self.checkpoints} checkpoints"]
        parts += [f"{self.restarts} restarts"] if self.restarts else []
        parts += [f"{self.waiting} tasks wait for a slot"] if self.waiting else []
        parts += [f"failed: {self.failure}"] if self.failure else []
        return "; ".join([*parts, self.link])


@dataclass
class FlinkRun:
    """A plan at work on a Flink cluster. The job goes on when this program ends; `job.id` is its number there."""

    plan: Plan
    job: Job
    kept: Kept
    start: Start
    jar: Path = field(default_factory=jar_path)

    @property
    def link(self) -> str:
        """The job's page."""
        return self.job.link

    @property
    def accounting(self) -> Accounting:
        """What became of the events so far; it lags behind the job by seconds while that runs."""
        return accounting_of(self.job.counters())

    def status(self) -> FlinkStatus:
        """The job at this moment."""
        state, counters = self.job.state(), self.job.counters()
        ended = state in ENDED
        counts = (self.job.checkpoints(), 0 if ended else self.job.restarts(), 0 if ended else self.job.waiting())
        return FlinkStatus(
            state, accounting_of(counters), watermark_of(counters), *counts, self.job.failure(), self.job.link
        )

    def ended(self) -> bool:
        """True when the job runs no more, for whatever reason."""
        return self.job.state() in ENDED

    def wait(self, stop: threading.Event | None = None) -> Outcome:
        """Wait until the job has ended (or `stop` is set, which leaves it running) and return its outcome.

        Raises `FlinkError` with the reason when it failed or was cancelled.
        """
        self.job.wait_until(self.ended, stop)
        state = self.job.state()
        if state == "FAILED":
            self.kept.remove()
            raise FlinkError(f"the job failed on Flink: {self.job.failure()}. Its page: {self.job.link}")
        if state == "CANCELED":
            self.kept.remove()
            raise FlinkError(f"the job was cancelled on Flink before its input ended: {self.job.link}")
        return self._outcome(finished=state == "FINISHED")

    def stop(self, savepoint: str | PathLike[str] | None = None) -> str:
        """Stop the job in order and return its savepoint, which `start_from=` goes on from. `savepoint` is a folder
        (or URI) to put it in that the cluster can write; without it the cluster's own.
        """
        return self.job.stop(None if savepoint is None else fspath(savepoint))

    def rescale(self, parallelism: int) -> FlinkRun:
        """Stop with a savepoint and go on from it with another parallelism; the answer does not change."""
        _check_parallelism(parallelism)
        _check_slots(self.job.rest, parallelism, self.job.slots())
        arguments = _arguments(self.plan, parallelism, self.start.settings, self.jar)
        saved = self.job.stop()
        self.start = replace(self.start, arguments=arguments, parallelism=parallelism, savepoint=saved)
        try:
            self.job = begin(self.job.rest, self.jar, self.start)
        except FlinkError as fault:
            raise FlinkError(f"{fault}. The job is stopped; its savepoint, for start_from=: {saved}") from None
        return self

    def cancel(self) -> None:
        """End the job without a savepoint. Its last checkpoint stays on the cluster's disk."""
        self.job.cancel()
        self.kept.remove()

    def logs(self) -> str:
        """The last lines of the logs of the cluster's JobManager and of each TaskManager."""
        return self.job.logs()

    def _outcome(self, *, finished: bool) -> Outcome:
        counters = self.job.counters()
        frames = self.kept.frames()
        self.kept.remove()
        elapsed_us = max(self.job.milliseconds() * 1000, 1)
        return Outcome(frames, accounting_of(counters), finished, watermark_of(counters), elapsed_us)


def submit(  # noqa: PLR0913 - settings of a run, each with a default
    plan: Plan,
    *,
    flink_url: str = DEFAULT_URL,
    parallelism: int = 1,
    checkpoint_every: Duration = "10s",
    start_from: str | PathLike[str] | None = None,
    name: str = "eventide",
    results_folder: str | PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> FlinkRun:
    """Hand a plan to a Flink cluster and return the handle on its job.

    `checkpoint_every` is how often sinks make visible what they got. `start_from` is a savepoint of the same plan, made
    at any parallelism (of files see docs/flink.md). `name` is what the cluster's page calls the job. `settings` are
    settings of Flink for this job, such as `{"state.backend.type": "rocksdb"}`. `results_folder` is a folder that this
    machine and the cluster both see, for outputs without a sink; a cluster on this machine needs none.

    Raises `PlanError` with everything that is wrong with the plan or that Flink cannot run, `FlinkError` when the
    cluster does not answer or refuses.
    """
    check(plan)
    _check_parallelism(parallelism)
    rest = Rest(flink_url)
    every_us = positive_us(checkpoint_every, "checkpoint_every")
    jar = jar_path()
    pipeline = Pipeline.of(plan, 1)
    schemas = {output: pipeline.output_schema(output) for output in plan.outputs}
    kept = keeping(plan, flink_url, schemas, None if results_folder is None else Path(results_folder))
    with cleared(kept):
        for output in unkept(plan, kept):
            logger.warning("the output %s has no sink: its rows are counted and not kept", output)
        whole = kept.added_to(plan)
        saved = None if start_from is None else _savepoint(fspath(start_from), flink_url)
        chosen = _settings(name, every_us) | {name: str(value) for name, value in (settings or {}).items()}
        start = Start(_arguments(whole, parallelism, chosen, jar), parallelism, chosen, saved)
        _check_slots(rest, parallelism)
        ask_ends(plan)
        return FlinkRun(whole, begin(rest, jar, start), kept, start, jar)


def run(  # noqa: PLR0913 - settings of a run, each with a default
    plan: Plan,
    *,
    flink_url: str = DEFAULT_URL,
    parallelism: int = 1,
    checkpoint_every: Duration = "10s",
    start_from: str | PathLike[str] | None = None,
    name: str = "eventide",
    results_folder: str | PathLike[str] | None = None,
    settings: Mapping[str, str] | None = None,
    show: bool = True,
) -> Outcome | FlinkRun:
    """Run a plan on a Flink cluster. Settings as in `submit`; `show` prints results, when they come back, and the
    accounting.

    A plan without sinks is waited for, and its outcome has the outputs as frames. A plan with sinks goes on by itself:
    what comes back is the handle on its job.
    """
    started = submit(
        plan,
        flink_url=flink_url,
        parallelism=parallelism,
        checkpoint_every=checkpoint_every,
        start_from=start_from,
        name=name,
        results_folder=results_folder,
        settings=settings,
    )
    if plan.writes:
        return started
    outcome = started.wait()
    if show:
        shown = Show()
        for output, frame in outcome.outputs.items():
            shown.frame(output, frame)
        shown.end(outcome)
    return outcome


def _arguments(plan: Plan, parallelism: int, settings: Mapping[str, str], jar: Path) -> tuple[str, ...]:
    """The program's arguments: the compiled plan, and which jar it is for. Raises `PlanError` with all that Flink
    cannot run of it.
    """
    compiled = compile_plan(plan, parallelism=parallelism, logs=known_logs(plan))
    if compiled.gaps:
        remedy = "Change it, or run the plan embedded"
        raise PlanError([Problem(gap.where, f"Flink cannot run this: {gap.why}", remedy) for gap in compiled.gaps])
    tree = json.loads(compiled.job)
    tree["settings"] |= settings
    text = json.dumps(tree, separators=(",", ":"))
    return ("--plan", base64.urlsafe_b64encode(text.encode()).decode(), "--jar", seal(jar))


def _settings(name: str, every_us: int) -> dict[str, str]:
    """What we set for every job; the user's settings come over it."""
    return {
        "pipeline.name": name,
        "pipeline.object-reuse": "true",
        "pipeline.max-parallelism": str(MOST_PARALLEL),
        "execution.runtime-mode": "STREAMING",
        "execution.checkpointing.interval": f"{max(every_us // 1000, 10)} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # a job that always fails says so after half a minute or so; one that fails now and then goes on
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": "8",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
    }


def _savepoint(place: str, url: str) -> str:
    """A savepoint's place as the cluster finds it: a path of this machine does not depend on where a process stands."""
    if not is_here(url) or _SCHEME.match(place):
        return place
    return str(Path(place).absolute())


def _check_parallelism(parallelism: int) -> None:
    if parallelism not in range(1, MOST_PARALLEL + 1):
        raise ValueError(f"parallelism={parallelism!r} is not possible: give a whole number from 1 to {MOST_PARALLEL}")


def _check_slots(rest: Rest, parallelism: int, own: int = 0) -> None:
    """A cluster of this machine does not grow: what has no slots now would wait for ever. `own` slots become free."""
    overview = rest.get("/overview")
    total, free = int(overview["slots-total"]), int(overview["slots-available"]) + own
    also = " (with those of this job)" if own else ""
    if is_here(rest.url) and parallelism > free:
        raise FlinkError(
            f"the cluster has {free} of its {total} slots free{also}, and parallelism={parallelism} needs "
            f"{parallelism}: lower it, stop other jobs, or start a larger cluster: eventide flink up --slots N"
        )
