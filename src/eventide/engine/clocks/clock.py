"""The clock of one log: how far its event time has come, for the log as a whole and, if asked, for each key in it.

Law: a watermark never goes back; the whole clock is plain values that a checkpoint keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from eventide.engine.clocks.strategies import Observed, StrategyState, watermarks
from eventide.engine.keys import CODE
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.semantics.eventtime import EventTime, KeyClock, LogClock


def _none_yet() -> pl.Series:
    return pl.Series([], dtype=pl.Int64)


@dataclass
class KeyFronts:
    """The front and the strategy's watermark of each key, by code."""

    fronts: pl.Series = field(default_factory=_none_yet)
    watermarks: pl.Series = field(default_factory=_none_yet)

    def grow(self, size: int) -> None:
        """Make room for codes below `size`."""
        missing = size - self.fronts.len()
        if missing > 0:
            room = pl.Series([NO_WATERMARK], dtype=pl.Int64).new_from_index(0, missing)
            self.fronts = self.fronts.append(room)
            self.watermarks = self.watermarks.append(room)


@dataclass(frozen=True, slots=True)
class Ticks:
    """What a clock showed around each accepted event of a batch.

    `before` is W_before of each event. `steps` are the log's watermarks after each event and behind the batch (for key
    clocks: the share that the log gives every key). `own` is (code, place, w) of key clocks.
    """

    before: pl.Series
    steps: pl.Series
    own: pl.DataFrame | None = None


@dataclass
class Clock:
    """The clock of one log."""

    settings: EventTime
    front: int = NO_WATERMARK
    watermark: int = NO_WATERMARK
    floor: int = NO_WATERMARK
    idle: bool = False
    finished: bool = False
    strategy: StrategyState = field(default_factory=StrategyState)
    keys: KeyFronts = field(default_factory=KeyFronts)
    preview: pl.Series | None = None
    given: pl.DataFrame | None = None
    """The keys that came back from idleness at a floor of their own, until that is noted down."""
    heard: int = 0
    """How often something came that ends a silence: not saved, since silence is measured anew after a restart."""

    def observe(self, rows: pl.DataFrame, times: pl.Series, codes: pl.Series | None, behind: int) -> Ticks:
        """Take the next accepted events; `behind` is the watermark that the source asserts behind the last one."""
        match self.settings.clock:
            case LogClock():
                return self._observe_log(rows, times, behind)
            case KeyClock(_, cap_us):
                assert codes is not None
                return self._observe_keys(rows, times, codes, behind, cap_us)

    def _observe_log(self, rows: pl.DataFrame, times: pl.Series, behind: int) -> Ticks:
        fronts = _running_max(times, self.front)
        seen = Observed(rows, times, _before_each(fronts, self.front), fronts)
        start = max(self.watermark, self.floor)
        after = _running_max(self._strategy(seen), start)
        self._remember(fronts, after, behind)
        return Ticks(_before_each(after, start), _with_last(after, self.watermark))

    def _observe_keys(self, rows: pl.DataFrame, times: pl.Series, codes: pl.Series, behind: int, cap_us: int) -> Ticks:
        self.keys.grow(int(codes.max()) + 1 if codes.len() else 0)  # type: ignore[arg-type] # integers
        fronts = _running_max(times, self.front)
        start = max(self.watermark, self.floor)
        share = _running_max(fronts - cap_us, start)
        own_before = self.keys.watermarks
        frame = pl.DataFrame([codes.alias(CODE), times.alias("t"), self.keys.fronts.gather(codes).alias("front")])
        frame = frame.with_columns(pl.max_horizontal(pl.col("t").cum_max().over(CODE), "front").alias("after"))
        frame = frame.with_columns(pl.coalesce(pl.col("after").shift(1).over(CODE), "front").alias("before"))
        seen = Observed(rows, times, frame.get_column("before"), frame.get_column("after"))
        frame = frame.with_columns(self._strategy(seen).alias("w"), own_before.gather(codes).alias("w0"))
        frame = frame.with_columns(pl.max_horizontal(pl.col("w").cum_max().over(CODE), "w0").alias("w"))
        earlier = pl.coalesce(pl.col("w").shift(1).over(CODE), "w0")
        before = frame.select(pl.max_horizontal(earlier, share.shift(1, fill_value=start))).to_series()
        self._remember_keys(frame)
        self._remember(fronts, share, behind)
        own = frame.select(CODE, pl.int_range(pl.len(), dtype=pl.Int64).alias("place"), "w")
        return Ticks(before, _with_last(share, self.watermark), own)

    def _strategy(self, seen: Observed) -> pl.Series:
        preview = None
        if self.preview is not None:
            preview, self.preview = self.preview.head(seen.times.len()), self.preview.slice(seen.times.len())
        return watermarks(self.settings.strategy, seen, self.strategy, preview)

    def _remember(self, fronts: pl.Series, steps: pl.Series, behind: int) -> None:
        if fronts.len():
            self.front, self.watermark = int(fronts[-1]), int(steps[-1])
        self.watermark = max(self.watermark, self.floor, behind)

    def _remember_keys(self, frame: pl.DataFrame) -> None:
        last = frame.group_by(CODE).agg(pl.col("after").max(), pl.col("w").max())
        codes = last.get_column(CODE)
        self.keys.fronts = self.keys.fronts.scatter(codes, last.get_column("after"))
        self.keys.watermarks = self.keys.watermarks.clone().scatter(codes, last.get_column("w"))

    def go_on_from(self, floor: int, closed: pl.Series | None) -> None:
        """Start at what windows have closed by: as a whole, and by key where keys close windows."""
        self.floor = max(self.floor, floor)
        if closed is None:
            return
        own = self.reached_by(closed.len())
        higher = (closed > own).arg_true()
        if higher.len():
            self.given = pl.DataFrame([higher.cast(pl.Int64).alias(CODE), closed.gather(higher).alias("floor")])
            self.keys.watermarks = self.keys.watermarks.clone().scatter(higher, self.given.get_column("floor"))

    @property
    def reached(self) -> int:
        """The watermark of the log as a whole (for key clocks: what no key of the log is behind)."""
        return END_OF_TIME if self.finished else max(self.watermark, self.floor)

    def reached_by(self, size: int) -> pl.Series:
        """The watermark of each key below `size` in this log."""
        self.keys.grow(size)
        return self.keys.watermarks.clip(lower_bound=self.reached)


def _running_max(values: pl.Series, start: int) -> pl.Series:
    if values.len() == 1:  # a single event need not wake the query engine
        return pl.Series(values.name, [max(values[0], start)], dtype=pl.Int64)
    running = values.cum_max()
    return running if not values.len() or values[0] >= start else running.clip(lower_bound=start)


def _before_each(steps: pl.Series, start: int) -> pl.Series:
    """What held in front of each step."""
    return pl.Series(steps.name, [start], dtype=pl.Int64).extend(steps).head(steps.len())


def _with_last(steps: pl.Series, last: int) -> pl.Series:
    return pl.concat([steps, pl.Series([last], dtype=pl.Int64)])
