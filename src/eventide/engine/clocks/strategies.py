"""Watermark strategies as column operations: from the fronts of a log's next events to its watermarks.

Law: the watermark after an event depends on the log up to that event only; where the log was cut does not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import polars as pl

from eventide.errors import PlanError
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.semantics.eventtime import (
    Adaptive,
    Ascending,
    Bounded,
    OwnStrategy,
    Perfect,
    Punctuated,
    Strategy,
)

FIRST_EVENTS = 1_000
SHORT_EVENTS, LONG_EVENTS, LONG_FROM = 100, 500, 50_000
_COUNT = 1_024


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
    """The learnt bound, the forgetting histogram behind it, and the block of events being counted.

    `weights` holds 1,024 for each event by bucket, halved from time to time; `since` counts the events since the last
    halving; `surplus` is how many more events might have been behind their bound (negative: how many too many were).
    """

    bound_us: int
    bucket: int | None = None
    events: int = 0
    since: int = 0
    surplus: float = 0.0
    weights: dict[int, int] = field(default_factory=dict)
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
    frame = pl.DataFrame([seen.times.alias("t"), seen.fronts_before.alias("front")])
    behind = pl.when(pl.col("front") > NO_WATERMARK).then(pl.col("front") - pl.col("t")).otherwise(0)
    bucket = pl.lit(_bucket_bounds()).search_sorted(behind, side="left")  # 0 for what is in order
    frame = frame.select(
        bucket.cast(pl.Int32).alias("bucket"), _block(learnt.events + sum(learnt.block.values())).alias("block")
    )
    counts = frame.group_by("block", "bucket").agg(pl.len().alias("n")).sort("block", "bucket")
    first = int(frame.get_column("block")[0]) if frame.height else 0
    bounds = [learnt.bound_us]
    for block, number, n in counts.iter_rows():
        if block - first == len(bounds):
            _learn(strategy, learnt)
            bounds.append(learnt.bound_us)
        learnt.block[number] = learnt.block.get(number, 0) + n
    if sum(learnt.block.values()) == block_events(learnt.events):
        _learn(strategy, learnt)
    return pl.Series("bound", bounds, dtype=pl.Int64).gather(frame.get_column("block") - first)


@cache
def _bucket_bounds() -> pl.Series:
    """The whole parts of 1.02^k, as far as integers go: of whole numbers, so the same in every language."""
    found: list[int] = []
    over = under = 1
    while not found or found[-1] < END_OF_TIME:
        found.append(min(over // under, END_OF_TIME))
        over, under = over * 51, under * 50
    return pl.Series("bounds", found, dtype=pl.Int64)


def block_events(events: int) -> int:
    """How many events the block has that begins behind so many events of its log."""
    return SHORT_EVENTS if events < LONG_FROM else LONG_EVENTS


def _block(begun: int) -> pl.Expr:
    """The number of each row's block, counted from the log's start; `begun` events came before these."""
    place = pl.int_range(pl.len(), dtype=pl.Int64) + begun
    long = LONG_FROM // SHORT_EVENTS + (place - LONG_FROM) // LONG_EVENTS
    return pl.when(place < LONG_FROM).then(place // SHORT_EVENTS).otherwise(long)


def _learn(strategy: Adaptive, learnt: AdaptiveState) -> None:
    """Fold a full block into the histogram and estimate the bound anew."""
    rate, events = strategy.late_rate, sum(learnt.block.values())
    horizon = max(2_000.0, 2 / rate)
    if learnt.bucket is not None:
        over = sum(n for bucket, n in learnt.block.items() if bucket > learnt.bucket)
        most = 4 * rate * horizon
        learnt.surplus = min(max(learnt.surplus + rate * events - over, -most), most)
    for bucket, n in learnt.block.items():
        learnt.weights[bucket] = learnt.weights.get(bucket, 0) + _COUNT * n
    learnt.block = {}
    learnt.events += events
    learnt.since += events
    if learnt.since >= max(6_000.0, 12 / rate):
        halved = {bucket: weight // 2 for bucket, weight in learnt.weights.items()}
        learnt.weights, learnt.since = {bucket: weight for bucket, weight in halved.items() if weight}, 0
    if learnt.events < FIRST_EVENTS:
        return
    allowed = min(max(rate + learnt.surplus / horizon, rate / 2), 3 * rate) * sum(learnt.weights.values())
    above, learnt.bucket = 0, 0
    for bucket in sorted(learnt.weights, reverse=True):
        above += learnt.weights[bucket]
        if above > allowed:
            learnt.bucket = bucket
            break
    bound_us = _bucket_bounds()[learnt.bucket] + 1 if learnt.bucket else 0
    learnt.bound_us = min(max(bound_us, strategy.min_us), strategy.max_us)
