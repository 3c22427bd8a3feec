"""From the steps of a plan to stages at work.

Law: neighbouring row-wise steps are one stage; every other step is a stage of its own, with the columns that reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from eventide.engine.detection.absence import EventSilence, WallSilence
from eventide.engine.detection.alerting import Alerting
from eventide.engine.detection.peaks import PeakMarks
from eventide.engine.detection.scores import Scoring
from eventide.engine.detection.stage import Frames, Stage, Taken
from eventide.engine.detection.trends import TrendLine
from eventide.engine.steps.shape import shaped_schema
from eventide.plan import Absent, Alert, Anomaly, OrderedStep, Peaks, RowStep, Step, Trend

Schema = dict[str, pl.DataType]


@dataclass
class Line:
    """Stages in a row, the columns that alerts take from their keys, and silence by the wall clock beside them."""

    stages: list[Stage]
    alert_keys: Schema
    wall: list[WallSilence]

    def take(self, given: Taken) -> Taken:
        """The next rows, through all stages."""
        for stage in self.stages:
            given = stage.take(given)
        return given

    def _named(self) -> list[tuple[str, Stage | WallSilence]]:
        return [
            *((str(n), stage) for n, stage in enumerate(self.stages)),
            *((f"wall{n}", silence) for n, silence in enumerate(self.wall)),
        ]

    def snapshot(self, prefix: str) -> Frames:
        """What all stages remember, each under its number."""
        return {f"{prefix}{n}.{name}": frame for n, one in self._named() for name, frame in one.snapshot().items()}

    def restore(self, prefix: str, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot of the same steps."""
        for n, one in self._named():
            head = f"{prefix}{n}."
            mine = {name[len(head) :]: frame for name, frame in frames.items() if name.startswith(head)}
            if mine:
                one.restore(mine)


def line_of(
    steps: Sequence[Step],
    schema: Mapping[str, pl.DataType],
    row_stage: Callable[[Sequence[RowStep]], Stage],
    first_rule: int,
    *,
    watching: bool = True,
) -> Line:
    """The stages of steps over rows with these columns; a line that is not watching makes no alerts."""
    made = Line([], {}, [])
    columns: Schema = dict(schema)
    run: list[RowStep] = []
    for number, step in enumerate(steps):
        if not isinstance(step, OrderedStep):
            run.append(step)
            continue
        if run:
            made.stages.append(row_stage(run))
            columns, run = shaped_schema(columns, run), []
        if isinstance(step, Alert | Absent):
            if watching:
                made.alert_keys |= {name: columns[name] for name in step.by}
                _watch(made, step, first_rule + number, columns)
        else:
            made.stages.append(_scoring(step, columns))
            columns = shaped_schema(columns, [step])
    if run:
        made.stages.append(row_stage(run))
    return made


def _watch(made: Line, step: Alert | Absent, rule: int, columns: Schema) -> None:
    if isinstance(step, Alert):
        made.stages.append(Alerting(rule, step, columns))
    elif step.time == "event":
        made.stages.append(EventSilence(rule, step, columns))
    else:
        made.wall.append(WallSilence(rule, step, columns))


def _scoring(step: Anomaly | Peaks | Trend, columns: Schema) -> Stage:
    match step:
        case Anomaly():
            return Scoring(step, columns)
        case Peaks():
            return PeakMarks(step, columns)
        case Trend():
            return TrendLine(step, columns)
