"""All clocks of a run, and the watermark that closes windows.

Law: windows close by the smallest watermark of all logs that are neither idle nor finished; it never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from eventide.engine.clocks.clock import Clock, Ticks
from eventide.engine.clocks.progress import CommonProgress, KeyedProgress, Progress
from eventide.engine.keys import KeyTable
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.semantics.eventtime import EventTime, KeyClock


@dataclass(frozen=True, slots=True)
class Observation:
    """The watermark before each event of a batch, and how the closing watermark moved."""

    before: pl.Series
    progress: Progress


@dataclass
class Clocks:
    """The clocks of all logs of a run.

    `closes_by_key` is true when each key's windows close by the key's own clock: key clocks whose key is part of the
    windows' group (decision 0005). Then `keys` codes are those of the clock's key.
    """

    settings: EventTime
    keys: KeyTable | None = None
    closes_by_key: bool = False
    logs: dict[str, Clock] = field(default_factory=dict)
    stream: int = NO_WATERMARK
    started: bool = False

    def add(self, log: str) -> Clock:
        """The clock of a log; one that appears in the middle of a run starts at the stream watermark."""
        if log not in self.logs:
            floor = self.stream if self.started else NO_WATERMARK
            self.logs[log] = Clock(self.settings, floor=floor)
        return self.logs[log]

    def observe(self, log: str, rows: pl.DataFrame, times: pl.Series, heartbeat: int | None = None) -> Observation:
        """Take the next accepted events of a log and what its source asserts behind them."""
        clock = self.add(log)
        self.come_back(log)
        self.started = True
        held = self._held(clock)
        codes = self.keys.encode(rows) if self.keys is not None else None
        ticks = clock.observe(rows, times, codes, NO_WATERMARK if heartbeat is None else heartbeat)
        return self._advanced(clock, ticks, held)

    def declare_idle(self, log: str, floor: int | None = None) -> Observation:
        """Take a silent log out of the minimum. A floor recorded in an earlier run is where its watermark goes on
        from.
        """
        clock = self.add(log)
        held = self._held(clock)
        if floor is not None:
            clock.floor = max(clock.floor, floor)
        clock.idle = True
        return self._advanced(clock, _no_ticks(self._open_end(clock)), held)

    def finish(self, log: str) -> Observation:
        """A bounded log has ended: its clock moves to the end of time."""
        clock = self.add(log)
        held = self._held(clock)
        clock.finished = True
        self.started = True
        # where all others are silent, the stream stays where it is until they come back or end
        stays = self.all_idle and not self.closes_by_key
        return self._advanced(clock, _no_ticks(self.stream if stays else END_OF_TIME), held)

    def come_back(self, log: str) -> None:
        """A log that was idle goes on from where the stream is now, so that no closed window opens again (decision
        0007).
        """
        clock = self.add(log)
        if clock.idle:
            clock.idle = False
            clock.floor = max(clock.floor, self.stream)

    def _open_end(self, clock: Clock) -> int:
        """What an idle log allows: everything, unless no other log moves."""
        return END_OF_TIME if self._others(clock) else self.stream

    def close_all(self, instant: int) -> Observation:
        """Move every clock to an instant: no event before it is expected any more."""
        for clock in self.logs.values():
            clock.floor = max(clock.floor, instant)
        before = self.stream
        self.stream = max(self.stream, instant)
        common = CommonProgress(before, pl.Series([self.stream], dtype=pl.Int64))
        if not self.closes_by_key:
            return Observation(_no_times(), common)
        assert self.keys is not None
        return Observation(_no_times(), KeyedProgress(_no_own(), self._floors(before), common, None))

    @property
    def all_idle(self) -> bool:
        """True when there are logs and each is idle or finished, at least one idle."""
        alive = [clock for clock in self.logs.values() if not clock.finished]
        return bool(alive) and all(clock.idle for clock in alive)

    def _others(self, clock: Clock) -> list[Clock]:
        return [other for other in self.logs.values() if other is not clock and not other.finished and not other.idle]

    def _held(self, clock: Clock) -> tuple[int, pl.Series]:
        """The log's share and its keys' watermarks in front of a batch."""
        return (self._open_end(clock) if clock.idle else clock.reached), clock.keys.watermarks

    def _advanced(self, clock: Clock, ticks: Ticks, held: tuple[int, pl.Series]) -> Observation:
        others = self._others(clock)
        allowed = min((other.reached for other in others), default=END_OF_TIME)
        common = _held_between(ticks.steps, self.stream, allowed)
        before, self.stream = self.stream, int(common[-1])
        if not self.closes_by_key:
            return Observation(ticks.before, CommonProgress(before, common))
        assert self.keys is not None
        share_before, own_before = held
        size = self.keys.size
        share = CommonProgress(share_before, ticks.steps.clip(lower_bound=share_before))
        least = None
        if others:
            by_log = pl.DataFrame([other.reached_by(size).alias(str(n)) for n, other in enumerate(others)])
            least = by_log.select(pl.min_horizontal(pl.all())).to_series()
        own = _no_own() if ticks.own is None else ticks.own
        return Observation(ticks.before, KeyedProgress(own, _padded(own_before, size), share, least))

    def _floors(self, instant: int) -> pl.Series:
        assert self.keys is not None
        return pl.Series([instant], dtype=pl.Int64).new_from_index(0, self.keys.size)


def clocks_for(settings: EventTime, table: KeyTable | None, group: tuple[str, ...]) -> Clocks:
    """The clocks of a plan; `table` codes the clock's key where there is one."""
    if not isinstance(settings.clock, KeyClock):
        return Clocks(settings)
    return Clocks(settings, table, settings.clock.key in group)


def _padded(values: pl.Series, size: int) -> pl.Series:
    missing = size - values.len()
    if missing <= 0:
        return values
    return pl.concat([values, pl.Series([NO_WATERMARK], dtype=pl.Int64).new_from_index(0, missing)])


def _held_between(steps: pl.Series, least: int, most: int) -> pl.Series:
    """Rising steps kept between two bounds; `least` wins."""
    steps = steps if steps[-1] <= most else steps.clip(upper_bound=most)
    return steps if steps[0] >= least else steps.clip(lower_bound=least)


def _no_times() -> pl.Series:
    return pl.Series([], dtype=pl.Int64)


def _no_ticks(reached: int) -> Ticks:
    return Ticks(_no_times(), pl.Series([reached], dtype=pl.Int64))


def _no_own() -> pl.DataFrame:
    return pl.DataFrame(schema={"_code": pl.Int64(), "place": pl.Int64(), "w": pl.Int64()})
