"""Watermark strategies as column operations: from the fronts of a log's next events to its watermarks.

Law: the watermark after an event depends on the log up to that event only; where the log was cut does not show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from eventide.errors import PlanError
from eventide.instants import NO_WATERMARK
from eventide.semantics.eventtime import (
    Adaptive,
    Ascending,
    Bounded,
    OwnStrategy,
    Perfect,
    Punctuated,
    Strategy,
)

BLOCK_EVENTS = 1_000
_DECAY = 0.9
_RATIO = 1.02


@dataclass(frozen=True, slots=True)
class Observed:
    """The next accepted events of a log: all columns, event times, and the fronts of their clocks around each."""

    rows: pl.DataFrame
    times: pl.Series
    fronts_before: pl.Series
    fronts_after: pl.Series


@dataclass
class StrategyState:
    """What a strategy remembers of one log. All of it fits into JSON."""

    own: Mapping[str, object] = field(default_factory=dict)
    adaptive: AdaptiveState | None = None


@dataclass
class AdaptiveState:
    """The learnt bound, the forgetting histogram behind it, and the block of events being counted."""

    bound_us: int
    weights: dict[int, float] = field(default_factory=dict)
    block: dict[int, int] = field(default_factory=dict)


def watermarks(strategy: Strategy, seen: Observed, state: StrategyState, preview: pl.Series | None) -> pl.Series:
    """The watermark that the strategy gives after each event, before the clock keeps it from going back.

    `preview` is the smallest event time still to come after each event, for `perfect`.
    """
    match strategy:
        case Ascending():
            return seen.fronts_after
        case Bounded(delay_us):
            return seen.fronts_after - delay_us
        case Punctuated(column):
            return seen.rows.get_column(column).cast(pl.Int64).fill_null(NO_WATERMARK)
        case Adaptive():
            return seen.fronts_after - _adaptive_bounds(strategy, seen, state)
        case Perfect():
            if preview is None:
                raise PlanError.of(
                    "perfect()", "the input was not read beforehand", "Use it with bounded sources in an embedded run"
                )
            return preview
        case OwnStrategy():
            found, state.own = strategy.advance(state.own, seen.rows, seen.times)
            return found.cast(pl.Int64)


def _adaptive_bounds(strategy: Adaptive, seen: Observed, state: StrategyState) -> pl.Series:
    """The learnt bound in force at each event."""
    learnt = state.adaptive = state.adaptive or AdaptiveState(strategy.max_us)
    counted = sum(learnt.block.values())
    frame = pl.DataFrame([seen.times.alias("t"), seen.fronts_before.alias("front")])
    behind = pl.when(pl.col("front") > NO_WATERMARK).then(pl.col("front") - pl.col("t")).otherwise(0)
    bucket = pl.when(behind > 0).then((behind.cast(pl.Float64).log() / math.log(_RATIO)).ceil()).otherwise(0)
    block = (pl.int_range(pl.len()) + counted) // BLOCK_EVENTS
    frame = frame.select(bucket.cast(pl.Int32).alias("bucket"), block.alias("block"))
    counts = frame.group_by("block", "bucket").agg(pl.len().alias("n")).sort("block", "bucket")
    bounds: list[int] = []
    for (number,), part in counts.group_by("block", maintain_order=True):
        bounds.append(learnt.bound_us)
        for bucket_number, n in part.select("bucket", "n").iter_rows():
            learnt.block[bucket_number] = learnt.block.get(bucket_number, 0) + n
        if sum(learnt.block.values()) == BLOCK_EVENTS:
            _learn(strategy, learnt)
        assert number == len(bounds) - 1
    return pl.Series("bound", bounds, dtype=pl.Int64).gather(frame.get_column("block"))


def _learn(strategy: Adaptive, learnt: AdaptiveState) -> None:
    """Fold a full block into the histogram and estimate the bound anew."""
    buckets = {*learnt.weights, *learnt.block}
    learnt.weights = {b: learnt.weights.get(b, 0.0) * _DECAY + learnt.block.get(b, 0) for b in sorted(buckets)}
    learnt.block = {}
    allowed = strategy.late_rate * math.fsum(learnt.weights.values())
    above, chosen = 0.0, 0
    for bucket in sorted(learnt.weights, reverse=True):
        above += learnt.weights[bucket]
        if above > allowed:
            chosen = bucket
            break
    bound_us = math.ceil(_RATIO**chosen) if chosen else 0
    learnt.bound_us = min(max(bound_us, strategy.min_us), strategy.max_us)
