"""The limits of a pipeline: how many keys its clocks and its windows may know, and where rows beyond them go.

Law: a row beyond a limit is a dead letter with its reason, counted like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from eventide.engine.keys import KeyTable
from eventide.engine.means import Means
from eventide.engine.memory.keys import KeyLimit
from eventide.engine.outputs import Outputs, refuse
from eventide.engine.steps.judged import PLACE
from eventide.flow import ARRIVAL, OFFSET, rows_as_text


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on the keys of clocks and of windows; None where there is none."""

    clocks: KeyLimit | None = None
    windows: KeyLimit | None = None

    @classmethod
    def of(cls, means: Means, clock_keys: KeyTable | None, keys: KeyTable | None) -> Limits:
        """The limits of the tables of a pipeline, which may be one and the same."""
        if means.keys_most is None:
            return cls()
        clocks = None if clock_keys is None else KeyLimit(clock_keys, means.keys_most, means.tell)
        if keys is None or keys is clock_keys:
            return cls(clocks)
        return cls(clocks, KeyLimit(keys, means.keys_most, means.tell))


def within(limit: KeyLimit | None, outputs: Outputs, log: str, rows: pl.DataFrame, came: pl.DataFrame) -> pl.DataFrame:
    """The rows whose keys are within a limit; the others are refused as they `came` (the same rows, or those that have
    `_place` before later steps).
    """
    beyond = None if limit is None else limit.refused(rows)
    if limit is None or beyond is None:
        return rows
    bad = came[rows.get_column(PLACE).filter(beyond)] if PLACE in rows.columns else rows.filter(beyond)
    shown = bad.select(name for name in bad.columns if name in (OFFSET, ARRIVAL) or not name.startswith("_"))
    refused = shown.select(
        OFFSET,
        ARRIVAL,
        pl.lit(limit.reason).alias("reason"),
        pl.lit(", ".join(limit.table.names)).alias("field"),
        rows_as_text(shown),
    )
    refuse(outputs, log, refused)
    return rows.filter(~beyond)
