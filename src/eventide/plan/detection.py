"""Steps that look at rows in the order of event time: scores, marks, trends, alerts, silence, the rate of alerts.

Law: each has a memory for each key and its answer depends on the order of event time only, never on arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import polars as pl

from eventide.expressions import Expr
from eventide.plan.given import name_of, names_of, number_of, whole_of
from eventide.semantics.detection import Method

Severity = Literal["info", "warning", "critical"]
"""How much an alert matters."""

TimeOf = Literal["event", "processing"]
"""Whether silence is measured by the events' own time or by the wall clock."""

ALERTS = "alerts"
"""The output of all alerts of a stream."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Raise an alert for a key when `when` becomes true, clear it when `clear` does (without one: when it is false)."""

    name: str
    when: Expr
    clear: Expr | None = None
    severity: Severity = "warning"
    cooldown_us: int = 0
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name_of(self.name, "name")
        _severity(self.severity)


@dataclass(frozen=True, slots=True)
class Absent:
    """Raise an alert for a key that was silent for `for_us`, clear it with the key's next event."""

    name: str
    for_us: int
    severity: Severity = "warning"
    by: tuple[str, ...] = ()
    time: TimeOf = "event"

    def __post_init__(self) -> None:
        name_of(self.name, "name")
        _severity(self.severity)
        if self.time not in get_args(TimeOf):
            raise ValueError(f'time={self.time!r} is not a choice: use "event" or "processing"')


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Add `score`, `expected` and `is_anomaly` of a column, each with a prefix."""

    column: str
    method: Method
    by: tuple[str, ...] = ()
    prefix: str = ""

    def __post_init__(self) -> None:
        name_of(self.column, "column")
        name_of(self.prefix, "prefix")
        if not isinstance(self.method, Method):
            raise ValueError(f"method={self.method!r} is not a method: write for example et.hampel(rows=60)")


@dataclass(frozen=True, slots=True)
class Peaks:
    """Add a column that is true where a value is a spike between two neighbours of the key that agree."""

    column: str
    jump: float
    within_us: int
    by: tuple[str, ...] = ()
    name: str = "is_peak"

    def __post_init__(self) -> None:
        name_of(self.column, "column")
        name_of(self.name, "name")
        if not number_of(self.jump, "jump") > 0:
            raise ValueError(f"jump={self.jump!r} must be larger than 0, in units of the column")


@dataclass(frozen=True, slots=True)
class Trend:
    """Add `slope`, `reaches_at` and `reaches_error`: where the line through the last rows of a key meets a value."""

    column: str
    to: float
    rows: int
    by: tuple[str, ...] = ()
    prefix: str = ""

    def __post_init__(self) -> None:
        name_of(self.column, "column")
        name_of(self.prefix, "prefix")
        number_of(self.to, "to")
        if not 3 <= whole_of(self.rows, "rows") <= 10_000:
            raise ValueError(f"rows={self.rows} is out of range: a line with an error needs 3 to 10,000 rows")


@dataclass(frozen=True, slots=True)
class AlertRate:
    """An output of its own: a critical condition is raised when `count` alerts were raised within a span."""

    name: str
    count: int
    within_us: int
    severity: Severity = "critical"
    of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name_of(self.name, "name")
        names_of(self.of, "of")
        _severity(self.severity)
        if whole_of(self.count, "count") < 1:
            raise ValueError(f"count={self.count} must be at least 1: how many alerts make the condition critical")


Scoring: TypeAlias = Anomaly | Peaks | Trend
"""Steps that add columns."""

Watch: TypeAlias = Alert | Absent
"""Steps that let rows pass unchanged and put rows out to `alerts`."""


def columns_added(step: Scoring) -> dict[str, pl.DataType]:
    """The columns that a step adds, with their types."""
    match step:
        case Anomaly(prefix=prefix):
            numbers = {f"{prefix}score": pl.Float64(), f"{prefix}expected": pl.Float64()}
            return {**numbers, f"is_{prefix}anomaly": pl.Boolean()}
        case Peaks(name=name):
            return {name: pl.Boolean()}
        case Trend(prefix=prefix):
            instants = {f"{prefix}reaches_at": pl.Datetime("us", "UTC"), f"{prefix}reaches_error": pl.Duration("us")}
            return {f"{prefix}slope": pl.Float64(), **instants}


def _severity(severity: str) -> None:
    if severity not in get_args(Severity):
        raise ValueError(f"severity={severity!r} is not a choice: use {', '.join(get_args(Severity))}")
