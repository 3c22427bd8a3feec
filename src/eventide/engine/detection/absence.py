"""Silence: a key without an event for a while, by event time (ordered) or by the wall clock (as it happens).

Law: by event time, silence is judged against the watermark, at the end of the input against the last event; by the wall
clock it says what this run received, and no replay repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from eventide.engine.detection.stage import AT, ROW, RULE, Codes, Frames, Taken
from eventide.engine.keys import CODE
from eventide.flow import INSTANT
from eventide.instants import END_OF_TIME
from eventide.plan import Absent

_STATE: Final = {CODE: pl.Int64(), "last": pl.Int64(), "up": pl.Boolean()}


class Silence:
    """The last sign of every key, and which keys are said to be silent."""

    def __init__(self, rule: int, absent: Absent, schema: Mapping[str, pl.DataType]) -> None:
        self._rule = rule
        self._absent = absent
        self._codes = Codes(absent.by, schema)
        self._state = pl.DataFrame(schema=_STATE)

    def heard(self, rows: pl.DataFrame, times: pl.Series) -> pl.DataFrame | None:
        """Take signs of life in the order of `times`; alerts of silence that they end."""
        signs = pl.DataFrame(
            [self._codes.of(rows), times.alias(AT), pl.int_range(rows.height, dtype=pl.Int64, eager=True).alias(ROW)]
        )
        signs = signs.join(self._state, on=CODE, how="left", maintain_order="left")
        first = pl.col(AT).shift(1).over(CODE).is_null()
        signs = signs.with_columns(
            pl.coalesce(pl.col(AT).shift(1).over(CODE), "last").alias("last"),
            (first & pl.col("up")).fill_null(False).alias("up"),
        )
        due = pl.col("last") + self._absent.for_us
        ended = signs.filter(pl.col("up") | (pl.col(AT) > due))
        last = signs.group_by(CODE).agg(pl.col(AT).last().alias("last"), pl.lit(False).alias("up"))
        self._state = pl.concat([self._state.join(last, on=CODE, how="anti"), last])
        if ended.height == 0:
            return None
        raised = ended.filter(~pl.col("up")).select(CODE, due.alias(AT), "last", pl.lit("raised").alias("state"), ROW)
        cleared = ended.select(CODE, AT, "last", pl.lit("cleared").alias("state"), ROW)
        return self._rows(pl.concat([raised, cleared]))

    def passed(self, instant: int) -> pl.DataFrame | None:
        """Time has passed an instant: alerts of the keys that were silent for long enough."""
        silent = ~pl.col("up") & (pl.col("last") + self._absent.for_us < instant)
        found = self._state.filter(silent)
        if found.height == 0:
            return None
        self._state = self._state.with_columns(pl.col("up") | silent)
        raised = found.select(
            CODE,
            (pl.col("last") + self._absent.for_us).alias(AT),
            "last",
            pl.lit("raised").alias("state"),
            pl.lit(0, dtype=pl.Int64).alias(ROW),
        )
        return self._rows(raised)

    def _rows(self, made: pl.DataFrame) -> pl.DataFrame:
        """Alert rows of silence that began and ended."""
        keys = self._codes.values(made.get_column(CODE))
        return pl.concat([made, keys], how="horizontal").select(
            AT,
            ROW,
            pl.lit(self._rule, dtype=pl.Int64).alias(RULE),
            pl.lit(self._absent.name).alias("alert"),
            pl.lit(self._absent.severity).alias("severity"),
            "state",
            (pl.col("last") + self._absent.for_us).cast(INSTANT).alias("since"),
            pl.lit(self._absent.time).alias("clock"),
            pl.struct(last=pl.col("last").cast(INSTANT)).struct.json_encode().alias("values"),
            *keys.columns,
        )

    def snapshot(self) -> Frames:
        return {"state": self._state, **self._codes.snapshot()}

    def restore(self, frames: Frames) -> None:
        self._state = frames["state"]
        self._codes.restore(frames)


class EventSilence:
    """Silence by event time: a stage of a chain."""

    def __init__(self, rule: int, absent: Absent, schema: Mapping[str, pl.DataType]) -> None:
        self._silence = Silence(rule, absent, schema)

    def take(self, given: Taken) -> Taken:
        rows = given.rows
        alerts = []
        if rows.height:
            alerts.append(self._silence.heard(rows, rows.get_column(AT)))
        alerts.append(self._silence.passed(given.front if given.reached == END_OF_TIME else given.reached))
        return replace(given, alerts=(*given.alerts, *(alert for alert in alerts if alert is not None)))

    def snapshot(self) -> Frames:
        return self._silence.snapshot()

    def restore(self, frames: Frames) -> None:
        self._silence.restore(frames)


class WallSilence:
    """Silence by the wall clock, beside the chain: rows are heard as they arrive, time passes when it is read."""

    def __init__(self, rule: int, absent: Absent, schema: Mapping[str, pl.DataType]) -> None:
        self._silence = Silence(rule, absent, schema)

    def heard(self, rows: pl.DataFrame, now_us: int) -> pl.DataFrame | None:
        """Rows were received."""
        moments = pl.Series([now_us], dtype=pl.Int64).new_from_index(0, rows.height)
        return self._silence.heard(rows, moments) if rows.height else None

    def passed(self, now_us: int) -> pl.DataFrame | None:
        """The clock was read."""
        return self._silence.passed(now_us)

    def snapshot(self) -> Frames:
        return self._silence.snapshot()

    def restore(self, frames: Frames) -> None:
        self._silence.restore(frames)
