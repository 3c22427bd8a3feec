"""A job on a Flink cluster: started, watched, stopped with a savepoint, cancelled.

Law: what it says about the job is the cluster's word of that moment; it keeps nothing but the job's number.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eventide.errors import FlinkError
from eventide.flow import SystemClock, WallClock
from eventide.runners.flink.jar import MAIN, uploaded
from eventide.runners.flink.rest import NotFound, Rest, innermost

logger = logging.getLogger("eventide.flink")

ENDED = ("FINISHED", "CANCELED", "FAILED")
_LOOK_US = 100_000
_RUN_TIMEOUT_S = 600
_BEGIN_US = 60_000_000
_NOT_YET = "Not all required tasks are currently running"
"""What Flink says to a savepoint while tasks of the job are still to begin, or begin again."""
_CHAINING = "pipeline.operator-chaining.enabled"
_MIXED = "mixed operator finished state"
"""What Flink says to a savepoint in which some of the operators that it would chain were done. What it chains
depends on the parallelism.
"""
_NO_SAVEPOINT = re.compile(r"Cannot find (checkpoint or savepoint|meta data) file")
_ANOTHER_PLAN = "Cannot map checkpoint/savepoint state"
_NUMBER = re.compile(r"[0-9a-f]{32}")
_SHOWN = "`eventide flink jobs` shows those that a cluster knows"
LOGS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Start:
    """How a job begins: its program's arguments, its parallelism, settings of Flink, the savepoint to go on from."""

    arguments: Sequence[str]
    parallelism: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    savepoint: str | None = None
    main: str = MAIN


@dataclass(frozen=True, slots=True)
class Job:
    """A job that a cluster knows."""

    rest: Rest
    id: str
    clock: WallClock = field(default_factory=SystemClock, compare=False, repr=False)

    def __post_init__(self) -> None:
        if _NUMBER.fullmatch(self.id) is None:
            raise FlinkError(f"{self.id!r} is no number of a job: they have 32 digits. {_SHOWN}")

    @property
    def link(self) -> str:
        """The job's page."""
        return f"{self.rest.url}/#/job/running/{self.id}/overview"

    def state(self) -> str:
        """Flink's word for the job's state, such as `RUNNING` or `FINISHED`."""
        return str(self._described()["state"])

    def name(self) -> str:
        """The job's name."""
        return str(self._described()["name"])

    def milliseconds(self) -> int:
        """How long the job has run or ran."""
        return int(self._described()["duration"])

    def failure(self) -> str | None:
        """Why the job failed, or restarted the last time, in a line; None when it did not."""
        history = self.rest.get(f"/jobs/{self.id}/exceptions").get("exceptionHistory", {})
        entries = history.get("entries", ())
        return innermost(str(entries[0].get("stacktrace", ""))) if entries else None

    def waiting(self) -> int:
        """How many of its tasks wait for a slot."""
        tasks = [vertex.get("tasks", {}) for vertex in self._described().get("vertices", ())]
        return sum(int(one.get(state, 0)) for one in tasks for state in ("CREATED", "SCHEDULED"))

    def slots(self) -> int:
        """How many slots it has: tasks of the same number share one."""
        tasks = [vertex.get("tasks", {}) for vertex in self._described().get("vertices", ())]
        return max((int(one.get("RUNNING", 0)) for one in tasks), default=0)

    def checkpoints(self) -> int:
        """How many checkpoints were completed since the job (or the savepoint before it) began."""
        return int(self.rest.get(f"/jobs/{self.id}/checkpoints").get("counts", {}).get("completed", 0))

    def restarts(self) -> int:
        """How often the job was restarted after a failure."""
        return int(self.rest.metric(f"/jobs/{self.id}/metrics", "numRestarts") or 0)

    def counters(self) -> dict[str, int]:
        """The whole numbers that the program counts, by name."""
        found = self.rest.get(f"/jobs/{self.id}/accumulators").get("user-task-accumulators", ())
        made = {}
        for one in found:
            try:
                made[str(one["name"])] = int(str(one["value"]))
            except (ValueError, KeyError):
                continue
        return made

    def stop(self, folder: str | None = None) -> str:
        """Stop the job in order, wait until it has ended, and return the savepoint that it can go on from."""
        body: dict[str, Any] = {"drain": False} | ({"targetDirectory": folder} if folder else {})
        found = self._savepoint(f"/jobs/{self.id}/stop", body)
        self.wait_until(lambda: self.state() in ENDED)
        return found

    def savepoint(self, folder: str | None = None) -> str:
        """Write a savepoint while the job goes on."""
        body: dict[str, Any] = {"cancel-job": False} | ({"target-directory": folder} if folder else {})
        return self._savepoint(f"/jobs/{self.id}/savepoints", body)

    def cancel(self) -> None:
        """End the job without a savepoint, and wait until it has ended."""
        self._check_runs("cancel")
        self.rest.patch(f"/jobs/{self.id}?mode=cancel")
        self.wait_until(lambda: self.state() in ENDED)

    def wait_until(self, done: Callable[[], bool], stop: threading.Event | None = None) -> bool:
        """Look again and again until it is done; False when `stop` was set before that."""
        wake = stop or threading.Event()
        while not done():
            if wake.is_set():
                return False
            self.clock.wait(wake, _LOOK_US)
        return True

    def logs(self) -> str:
        """The last lines of the logs of the cluster's JobManager and of each TaskManager."""
        return logs(self.rest)

    def _described(self) -> dict[str, Any]:
        try:
            return self.rest.get(f"/jobs/{self.id}")
        except NotFound:
            told = "it may have been restarted since, and jobs of a local cluster do not outlive that"
            raise FlinkError(f"Flink at {self.rest.url} does not know the job {self.id}: {told}. {_SHOWN}") from None

    def _savepoint(self, path: str, body: dict[str, Any]) -> str:
        """Where a savepoint is. Flink writes none while a task is still to begin; that is waited for, to an end."""
        until_us = self.clock.now_us() + _BEGIN_US
        told = False
        while True:
            self._check_runs("stop")
            location, reason = self._asked(path, body)
            if location is not None:
                return location
            if _NOT_YET not in reason:
                raise FlinkError(
                    f"no savepoint of job {self.id} could be written: {reason}. Look at its page: {self.link}"
                )
            if self.clock.now_us() > until_us:
                raise FlinkError(self._not_running())
            if not told:
                logger.warning("not all tasks of job %s run yet: its savepoint is written when they do", self.id)
                told = True
            self.clock.wait(threading.Event(), _LOOK_US)

    def _asked(self, path: str, body: dict[str, Any]) -> tuple[str | None, str]:
        """Ask for a savepoint and wait for the answer: where it is, or why there is none."""
        request = str(self.rest.post(path, body)["request-id"])
        found: dict[str, Any] = {}

        def done() -> bool:
            found.update(self.rest.get(f"/jobs/{self.id}/savepoints/{request}"))
            return bool(found["status"]["id"] == "COMPLETED")

        self.wait_until(done)
        operation = found.get("operation", {})
        if "location" in operation:
            return str(operation["location"]), ""
        return None, innermost(str(operation.get("failure-cause", {}).get("stack-trace", "")))

    def _check_runs(self, purpose: str) -> None:
        state = self.state()
        if state in ENDED:
            raise FlinkError(f"job {self.id} has ended already ({state}): there is nothing to {purpose}")

    def _not_running(self) -> str:
        """Why a job whose tasks do not all run has no savepoint."""
        waiting, failure = self.waiting(), self.failure()
        why = [f"{waiting} of its tasks wait for a slot"] if waiting else []
        why += [f"it was restarted, because: {failure}"] if failure else []
        because = f" ({'; '.join(why)})" if why else ""
        return (
            f"no savepoint of job {self.id} could be written: after {_BEGIN_US // 1_000_000} s not all of its tasks "
            f"run{because}. Give it what it lacks, or end it without one: eventide flink cancel {self.id}"
        )


def begin(rest: Rest, jar: Path, start: Start) -> Job:
    """Bring the jar to the cluster and run it. Raises `FlinkError` with the program's own words when it refuses."""
    name = uploaded(rest, jar)
    try:
        return _begun(rest, name, start)
    except FlinkError as refused:
        if start.savepoint is None:
            raise
        if _MIXED not in str(refused) or _CHAINING in start.settings:
            raise FlinkError(_refusal(str(refused), start.savepoint)) from None
    logger.warning(
        "some readers of the job had no file left when it was stopped: with another parallelism Flink goes on "
        "from that only operator by operator, which is slower"
    )
    return _begun(rest, name, replace(start, settings={**start.settings, _CHAINING: "false"}))


def _refusal(said: str, savepoint: str) -> str:
    """What a cluster said when it refused a job, with what to do when it is the savepoint that it refused."""
    if _NO_SAVEPOINT.search(said):
        return f"{said.rstrip('.')}. Give the savepoint that `eventide flink stop` or run.stop() told"
    if _ANOTHER_PLAN in said:
        first = said.split(". If you want", maxsplit=1)[0]
        return f"{first}. The savepoint is of another plan: give that plan, or begin anew without a savepoint"
    return said


def _begun(rest: Rest, name: str, start: Start) -> Job:
    body: dict[str, Any] = {
        "entryClass": start.main,
        "programArgsList": list(start.arguments),
        "parallelism": start.parallelism,
        "flinkConfiguration": dict(start.settings),
    }
    if start.savepoint is not None:
        body |= {"savepointPath": start.savepoint, "allowNonRestoredState": False}
    answer = rest.post(f"/jars/{name}/run", body, timeout_s=_RUN_TIMEOUT_S)
    return Job(rest, str(answer["jobid"]))


def jobs(rest: Rest) -> list[dict[str, Any]]:
    """The jobs that a cluster knows, newest first: `jid`, `name`, `state`, `start-time`, `duration`."""
    found: list[dict[str, Any]] = rest.get("/jobs/overview").get("jobs", [])
    return sorted(found, key=lambda one: -int(one["start-time"]))


def logs(rest: Rest, lines: int = LOGS_SHOWN) -> str:
    """The last lines of the logs of a cluster's JobManager and of each of its TaskManagers, each under its name."""
    managers = [str(one["id"]) for one in rest.get("/taskmanagers").get("taskmanagers", ())]
    places = {"jobmanager": "/jobmanager/log", **{name: f"/taskmanagers/{quote(name)}/log" for name in managers}}
    return "\n".join(f"--- {name}\n{_last_lines(rest, path, lines)}" for name, path in places.items())


def _last_lines(rest: Rest, path: str, lines: int) -> str:
    try:
        return "\n".join(rest.text(path).splitlines()[-lines:])
    except FlinkError as fault:  # a cluster that keeps its logs elsewhere, a TaskManager that has just gone
        return str(fault)
