"""The exceptions of Eventide, drawn as one tree.

    EventideError
    ├── PlanError          the sentence the user wrote cannot run (raised before any row is read)
    ├── ExpressionError    an expression cannot be parsed, printed or typed
    ├── SourceError        a source cannot be opened or read
    ├── SinkError          a sink cannot be opened or written
    ├── CheckpointError    saved state cannot be read or does not fit
    ├── SpillError         state that does not fit into memory cannot go to disk
    ├── WorkerError        a worker process of a run ended or failed
    ├── TooManyBadRows     the share of refused rows passed the limit that the user set
    ├── FlinkError         a Flink cluster cannot be reached, refuses a plan or fails at it
    └── ServiceError       a server that Eventide starts itself cannot be fetched or does not start

Law: a message says what was wrong, where, and what to do. Bad *rows* are never exceptions: they go to dead letters.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a plan: where it stands, what is wrong, and the remedy."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}{'' if self.what.endswith('?') else '.'} {self.remedy}"


class EventideError(Exception):
    """The root of every exception that Eventide raises on purpose."""


class PlanError(EventideError):
    """A plan that cannot run. `problems` holds every fault that could be found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "the plan has 1 problem" if count == 1 else f"the plan has {count} problems"
        super().__init__("\n".join([head, *(f"  {n}. {problem}" for n, problem in enumerate(self.problems, 1))]))

    @classmethod
    def of(cls, where: str, what: str, remedy: str) -> PlanError:
        """A plan error with one problem."""
        return cls([Problem(where, what, remedy)])


class ExpressionError(EventideError):
    """An expression that cannot be parsed, printed in a dialect, or given a type."""


class SourceError(EventideError):
    """A source that cannot be opened or read."""


class SinkError(EventideError):
    """A sink that cannot be opened or written."""


class CheckpointError(EventideError):
    """Saved state that is damaged or belongs to another plan."""


class SpillError(EventideError):
    """State beyond the bound on memory that cannot be put on the disk or read back."""


class WorkerError(EventideError):
    """A worker process that ended before its run, or failed."""


class TooManyBadRows(EventideError):
    """The share of refused rows passed the limit that the schema sets."""


class FlinkError(EventideError):
    """A Flink cluster that cannot be reached, that refuses a plan, or that fails at it."""


class ServiceError(EventideError):
    """A server that Eventide starts itself, and that cannot be fetched or does not start."""


def told(fault: BaseException) -> str:
    """What a function of the user's own raised, and in which line of that function."""
    places = traceback.extract_tb(fault.__traceback__)
    where = f" ({places[1].filename}, line {places[1].lineno})" if len(places) > 1 else ""
    said = f": {fault}" if str(fault) else ""
    return f"{type(fault).__name__}{said}{where}"
