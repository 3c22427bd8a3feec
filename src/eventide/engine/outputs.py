"""Outputs: from results, rows in order and alerts to the named outputs of a plan, with what their steps remember.

Law: every output is made from the same rows by steps of its own; the columns of each are known before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from eventide.engine.detection import Detection, Released, ResultChain, result_chain
from eventide.engine.steps.lateness import late_schema
from eventide.engine.steps.shape import ResultShape, shape, shaped_schema
from eventide.flow import ARRIVAL, DEAD_LETTER_SCHEMA, INSTANT, OFFSET
from eventide.plan import DEAD_LETTERS, LATE, RESULTS, Plan, Step

Outputs = dict[str, list[pl.DataFrame]]
"""Frames by output name, in the order in which they came out."""

Schema = dict[str, pl.DataType]


class OutputShapes:
    """The steps that make each output. `schema` has the columns in front of the door, `results` those of windows."""

    def __init__(self, plan: Plan, schema: Schema, results: Schema | None, detection: Detection | None) -> None:
        self._plan = plan
        self._schema = schema
        self._results = results
        self._detection = detection
        self._shapes: dict[str, ResultShape | ResultChain] = {}

    def give_results(self, outputs: Outputs, frames: Iterable[pl.DataFrame]) -> None:
        """The results of windows."""
        for frame in frames:
            put(outputs, RESULTS, self._shape(RESULTS).shape(frame))
            for branch in self._plan.branches:
                put(outputs, branch.name, self._shape(branch.name).shape(frame))

    def give_rows(self, outputs: Outputs, rows: pl.DataFrame, shaped: pl.DataFrame) -> None:
        """The rows of a stream without windows, before and after its steps."""
        put(outputs, RESULTS, _visible(shaped))
        for branch in self._plan.branches:
            put(outputs, branch.name, _visible(shape(rows, branch.steps)))

    def give_ordered(self, outputs: Outputs, released: Released) -> None:
        """The rows of a stream without windows that detection has put in order."""
        put(outputs, RESULTS, _visible(released.rows))
        for name, rows in released.branches.items():
            put(outputs, name, _visible(rows))

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
        if name == DEAD_LETTERS:
            return DEAD_LETTER_SCHEMA
        if name == LATE:
            return late_schema(self._schema)
        if self._detection is not None and name in self._detection.schemas():
            return self._detection.schemas()[name]
        if self._results is not None:
            return shaped_schema(self._results, self._steps(name, self._plan.finish))
        timed = self._plan.event_time is not None
        steps = self._steps(name, self._plan.after if timed else self._plan.before)
        start = self._schema if timed else input_schema(self._plan, 0)
        return _visible(pl.DataFrame(schema=shaped_schema(start, steps))).schema

    def _steps(self, output: str, main: tuple[Step, ...]) -> tuple[Step, ...]:
        return {branch.name: branch.steps for branch in self._plan.branches}.get(output, main)

    def _shape(self, output: str) -> ResultShape | ResultChain:
        """The steps of an output of results, with what they remember."""
        if output not in self._shapes:
            keys = self._plan.aggregate.keys if self._plan.aggregate is not None else ()
            columns = self._results or {}
            identity = (*keys, *(name for name in ("window_start", "log", "window_number") if name in columns))
            chain = result_chain(self._plan, output, columns, identity)
            self._shapes[output] = chain or ResultShape(self._steps(output, self._plan.finish), identity)
        return self._shapes[output]

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


def input_schema(plan: Plan, number: int) -> Schema:
    """The columns of the rows of an input behind its own steps."""
    one = plan.inputs[number]
    hidden = {OFFSET: pl.Int64(), ARRIVAL: INSTANT}
    return shaped_schema({**one.source.columns, **hidden}, one.steps)


def put(outputs: Outputs, name: str, frame: pl.DataFrame) -> None:
    """Add a frame to an output, if it has rows."""
    if frame.height:
        outputs.setdefault(name, []).append(frame)


def _part(frames: Mapping[str, pl.DataFrame], prefix: str) -> dict[str, pl.DataFrame]:
    return {name[len(prefix) :]: frame for name, frame in frames.items() if name.startswith(prefix)}


def _visible(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(name for name in frame.columns if not name.startswith("_"))
