"""Output shapes: from results, rows in order and alerts to the named outputs of a plan, with what their steps remember.

Law: every output is made from the same rows by steps of its own; the columns of each are known before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import polars as pl

from eventide.engine.columns import Types, output_schema
from eventide.engine.detection import Detection, Released, ResultChain, result_chain
from eventide.engine.front import behind_front
from eventide.engine.outputs import Outputs, put, visible
from eventide.engine.steps.rows import RowSteps, own_steps
from eventide.engine.steps.shape import ResultShape
from eventide.engine.steps.sides import SideTables
from eventide.plan import RESULTS, Enrich, Plan, Step


class OutputShapes:
    """The steps that make each output. `results` are the columns of windows, `lookups` the tables of side inputs."""

    def __init__(self, plan: Plan, results: Types | None, detection: Detection | None, lookups: SideTables) -> None:
        self._whole = plan
        self._plan = behind_front(plan)
        self._results = results
        self._lookups = lookups
        self._detection = detection
        self._shapes: dict[str, ResultShape | ResultChain] = {}

    def give_results(self, outputs: Outputs, frames: Iterable[pl.DataFrame]) -> None:
        """The results of windows."""
        for frame in frames:
            put(outputs, RESULTS, self._shape(RESULTS).shape(frame))
            for branch in self._plan.branches:
                put(outputs, branch.name, self._shape(branch.name).shape(frame))

    def give_rows(
        self, outputs: Outputs, steps: RowSteps, stages: Sequence[pl.DataFrame], shaped: pl.DataFrame
    ) -> None:
        """The rows of a stream without windows; a branch goes on from the stage where it left the stream."""
        put(outputs, RESULTS, visible(shaped))
        for branch in self._plan.branches:
            stage, rest = own_steps(branch.steps)
            put(outputs, branch.name, visible(steps.branch(stages[stage], rest)))

    def give_ordered(self, outputs: Outputs, released: Released) -> None:
        """The rows of a stream without windows that detection has put in order."""
        put(outputs, RESULTS, visible(released.rows))
        for name, rows in released.branches.items():
            put(outputs, name, visible(rows))

    def give_alerts(self, outputs: Outputs, released: Released | None, least: int) -> None:
        """What was raised and cleared. `least` is what the closing watermark of every key has reached."""
        if self._detection is None:
            return
        results = self._shape(RESULTS) if self._results is not None else None
        chain = results if isinstance(results, ResultChain) else None
        if released is not None and self._detection.orders:
            least = min(least, released.reached)
        for name, frames in self._detection.put_out(released, chain, least).items():
            for frame in frames:
                put(outputs, name, frame)

    def schema_of(self, name: str) -> Mapping[str, pl.DataType]:
        """The columns of an output, known before anything runs."""
        if self._detection is not None and name in self._detection.schemas():
            return self._detection.schemas()[name]
        return output_schema(self._whole, name, self._results)

    def _steps(self, output: str, main: tuple[Step, ...]) -> tuple[Step, ...]:
        return {branch.name: branch.steps for branch in self._plan.branches}.get(output, main)

    def _shape(self, output: str) -> ResultShape | ResultChain:
        """The steps of an output of results, with what they remember."""
        if output not in self._shapes:
            keys = self._plan.aggregate.keys if self._plan.aggregate is not None else ()
            columns = self._results or {}
            identity = (*keys, *(name for name in ("window_start", "log", "window_number") if name in columns))
            look_up = partial(self._look_up, output == RESULTS)
            chain = result_chain(self._plan, output, columns, identity, look_up)
            self._shapes[output] = chain or ResultShape(self._steps(output, self._plan.finish), identity, look_up)
        return self._shapes[output]

    def _look_up(self, counted: bool, frame: pl.DataFrame, step: Enrich) -> pl.DataFrame:
        return self._lookups.enrich(None, frame, step, counted)

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """What the steps of results remember, and detection."""
        frames: dict[str, pl.DataFrame] = {}
        for name, one in self._shapes.items():
            if isinstance(one, ResultChain):
                frames |= {f"chain.{name}.{part}": frame for part, frame in one.snapshot().items()}
            elif one.passed is not None:
                frames[f"passed.{name}"] = one.passed
        if self._detection is not None:
            frames |= {f"detection.{name}": frame for name, frame in self._detection.snapshot().items()}
        return frames

    def restore(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot."""
        for name in (RESULTS, *(branch.name for branch in self._plan.branches)):
            one = self._shape(name) if self._results is not None else None
            if isinstance(one, ResultChain):
                one.restore(_part(frames, f"chain.{name}."))
            elif one is not None:
                one.passed = frames.get(f"passed.{name}")
        if self._detection is not None:
            self._detection.restore(_part(frames, "detection."))


def _part(frames: Mapping[str, pl.DataFrame], prefix: str) -> dict[str, pl.DataFrame]:
    return {name[len(prefix) :]: frame for name, frame in frames.items() if name.startswith(prefix)}
