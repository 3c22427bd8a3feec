"""Row-wise steps: filter, select, with_columns and map_batches, on frames. Steps that only watch rows let them pass.

Law: a step never reorders rows and keeps the hidden columns; what it leaves out is counted by the caller as filtered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import polars as pl

from eventide.engine.solid import solid
from eventide.errors import EventideError, told
from eventide.expressions import to_polars
from eventide.flow import OFFSET
from eventide.plan import (
    Absent,
    Alert,
    Deduplicate,
    Enrich,
    Filter,
    MapBatches,
    OrderedStep,
    Select,
    Step,
    WithColumns,
)
from eventide.plan.detection import columns_added


def shape(frame: pl.DataFrame, steps: Sequence[Step]) -> pl.DataFrame:
    """The frame after all steps."""
    for step in steps:
        frame = _apply(frame, step)
    return frame


def _apply(frame: pl.DataFrame, step: Step) -> pl.DataFrame:
    if isinstance(step, MapBatches):
        return _mapped(frame, step)
    if isinstance(step, Deduplicate | Enrich):
        raise EventideError(f"{type(step).__name__.lower()} has a memory: it stands behind event_time only")
    if isinstance(step, OrderedStep):
        assert isinstance(step, Alert | Absent), f"{type(step).__name__} needs the order of event time"
        return frame
    return _computed(solid(frame), step)


def _computed(frame: pl.DataFrame, step: Filter | Select | WithColumns) -> pl.DataFrame:
    match step:
        case Filter(predicate):
            return frame.filter(to_polars(predicate))
        case Select(columns):
            made = {name for name, _ in columns}
            hidden = [name for name in frame.columns if (name.startswith("_") or name == "op") and name not in made]
            return frame.select(*(to_polars(value).alias(name) for name, value in columns), *hidden)
        case WithColumns(columns):
            return frame.with_columns(to_polars(value).alias(name) for name, value in columns)


def _mapped(frame: pl.DataFrame, step: MapBatches) -> pl.DataFrame:
    name = getattr(step.function, "__name__", "function")
    try:
        made = step.function(frame)
    except EventideError:
        raise
    except Exception as fault:
        raise EventideError(f"map_batches({name}) failed: {told(fault)}") from fault
    if not isinstance(made, pl.DataFrame):
        raise EventideError(
            f"map_batches({name}) returned {type(made).__name__}, not a Polars frame: "
            "return the frame it was given, changed"
        )
    if OFFSET not in made.columns:
        raise EventideError(f"map_batches({name}) lost the column {OFFSET}: keep it, so that every row can be traced")
    if made.height > frame.height or made.get_column(OFFSET).n_unique() != made.height:
        raise EventideError(f"map_batches({name}) added rows: it may change and leave out rows, not make new ones")
    return made if frame.height == 0 or made.get_column(OFFSET).is_sorted() else made.sort(OFFSET)


LookUp: TypeAlias = Callable[[pl.DataFrame, Enrich], pl.DataFrame]
"""Rows with the columns of a side input."""


class ResultShape:
    """Row-wise steps over results that may be revised.

    A window that passed a filter and no longer does is taken back with `op = "retract"`; `passed` holds the identities
    of the windows that are out, until they are final.
    """

    def __init__(self, steps: Sequence[Step], identity: Sequence[str], look_up: LookUp) -> None:
        self._steps = steps
        self._look_up = look_up
        self._identity = list(identity)
        self.passed: pl.DataFrame | None = None

    def shape(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame after all steps; frames must come in order."""
        for step in self._steps:
            if isinstance(step, Filter) and "op" in frame.columns:
                frame = self._filtered(solid(frame), step)
            elif isinstance(step, Enrich):
                frame = self._look_up(frame, step)
            else:
                frame = _apply(frame, step)
        return frame

    def _filtered(self, frame: pl.DataFrame, step: Filter) -> pl.DataFrame:
        passes = to_polars(step.predicate).fill_null(False) & (pl.col("op") == "upsert")
        marked = frame.with_columns(passes.alias("_passes"), pl.lit(False).alias("_out"))
        if self.passed is not None:
            was_out = self.passed.with_columns(pl.lit(True).alias("_was"))
            marked = marked.join(was_out, on=self._identity, how="left", nulls_equal=True, maintain_order="left")
            marked = marked.with_columns(pl.col("_was").fill_null(False).alias("_out")).drop("_was")
        before = pl.coalesce(pl.col("_passes").shift(1).over(self._identity), "_out")
        marked = marked.with_columns(before.alias("_out"))
        last = marked.group_by(self._identity, maintain_order=True).last()
        still = last.filter(pl.col("_passes") & ~pl.col("final")).select(self._identity)
        if self.passed is not None:
            rest = self.passed.join(last, on=self._identity, how="anti", nulls_equal=True)
            still = pl.concat([rest, still])
        self.passed = still
        taken_back = pl.when("_passes").then(pl.lit("upsert")).otherwise(pl.lit("retract")).alias("op")
        return marked.filter(pl.col("_passes") | pl.col("_out")).with_columns(taken_back).drop("_passes", "_out")


def shaped_schema(schema: dict[str, pl.DataType], steps: Sequence[Step]) -> dict[str, pl.DataType]:
    """The columns and types after all steps, found without running any user function."""
    frame = pl.DataFrame(schema=schema)
    for step in steps:
        if isinstance(step, MapBatches):
            frame = frame.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in step.adds)
        elif isinstance(step, OrderedStep) and not isinstance(step, Alert | Absent):
            frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in columns_added(step).items())
        elif isinstance(step, Enrich):
            kinds = side_columns(step)
            made = [pl.lit(None, kinds[name]).alias(new) for name, new in added_columns(step, frame.columns).items()]
            named = [pl.lit(None, pl.String).alias(step.version)] if step.version is not None else []
            frame = frame.with_columns(*made, *named)
        elif not isinstance(step, Deduplicate):
            frame = _apply(frame, step)
    return dict(frame.schema)


def side_columns(step: Enrich) -> dict[str, pl.DataType]:
    """The columns of a side input and their types."""
    one = step.side.inputs[0]
    return shaped_schema(shaped_schema(dict(one.source.columns), one.steps), step.side.before)


def added_columns(step: Enrich, columns: Sequence[str]) -> dict[str, str]:
    """The side's columns with the names that they get beside the columns of rows."""
    return step.added([name for name in columns if not name.startswith("_")], list(side_columns(step)))
