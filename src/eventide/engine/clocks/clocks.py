"""All clocks of a run, and the watermark that closes windows.

Law: windows close by the smallest watermark of all logs that are neither idle nor finished; it never goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.clocks.clock import Clock
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
    closed: pl.Series | None = None
    """Where keys close windows: what those of each key had closed by when the last live log fell silent or ended, by
    code (None: a log is live, or all have ended).
    """

    def add(self, log: str) -> Clock:
        """The clock of a log; one that appears in the middle of a run starts where the windows have closed."""
        if log not in self.logs:
            made = Clock(self.settings)
            if self.started:
                made.go_on_from(self.stream, self.closing)
            self.logs[log] = made
            self.closed = None
        return self.logs[log]

    def observe(self, log: str, rows: pl.DataFrame, times: pl.Series, heartbeat: int | None = None) -> Observation:
        """Take the next accepted events of a log and what its source asserts behind them. Without either the log stays
        silent where it was (decision 0007).
        """
        clock, closed = self.add(log), self.closed
        if not times.len() and heartbeat is None:
            return self._stood(self.stream, self.closing, self.closing)
        self.come_back(log)
        self.started = True
        clock.heard += 1
        share_before, own_before = clock.reached, clock.keys.watermarks
        codes = self.keys.encode(rows) if self.keys is not None else None
        ticks = clock.observe(rows, times, codes, NO_WATERMARK if heartbeat is None else heartbeat)
        others = [other for other in self._live if other is not clock]
        allowed = min((other.reached for other in others), default=END_OF_TIME)
        common = _held_between(ticks.steps, self.stream, allowed)
        before, self.stream = self.stream, int(common[-1])
        if not self.closes_by_key:
            return Observation(ticks.before, CommonProgress(before, common))
        assert self.keys is not None
        size = self.keys.size
        share = CommonProgress(share_before, ticks.steps.clip(lower_bound=share_before))
        own = _no_own() if ticks.own is None else ticks.own
        moved = KeyedProgress(
            own,
            _padded(own_before, size, NO_WATERMARK),
            share,
            _least(others, size) if others else None,
            None if closed is None else _padded(closed, size, before),
        )
        return Observation(ticks.before, moved)

    def declare_idle(self, log: str, floor: int | None = None) -> Observation:
        """Take a silent log out of the minimum. A floor recorded in an earlier run is where its watermark goes on
        from.
        """
        clock = self.add(log)
        before = self.stream, self.closing
        if floor is not None:
            clock.floor = max(clock.floor, floor)
        clock.idle = True
        return self._moved(*before)

    def finish(self, log: str) -> Observation:
        """A bounded log has ended: its clock moves to the end of time."""
        clock = self.add(log)
        before = self.stream, self.closing
        clock.finished = True
        self.started = True
        return self._moved(*before)

    def come_back(self, log: str) -> None:
        """A log that was idle goes on from where the windows have closed, so that none opens again (decision 0007)."""
        clock = self.add(log)
        if clock.idle:
            closing = self.closing
            clock.idle = False
            clock.go_on_from(self.stream, closing)
            self.closed = None

    def close_all(self, instant: int) -> Observation:
        """Move every clock to an instant: no event before it is expected any more."""
        before, closing = self.stream, self.closing
        for clock in self.logs.values():
            clock.floor = max(clock.floor, instant)
        self.stream = max(self.stream, instant)
        after = None if closing is None else closing.clip(lower_bound=instant)
        if self.closed is not None:
            self.closed = after
        return self._stood(before, closing, after)

    @property
    def closing(self) -> pl.Series | None:
        """What the windows of each key have closed by, by code; None where keys do not close windows."""
        if not self.closes_by_key:
            return None
        assert self.keys is not None
        size = self.keys.size
        if live := self._live:
            return _least(live, size)
        closed = pl.Series([], dtype=pl.Int64) if self.closed is None else self.closed
        return _padded(closed, size, self.stream)

    def least_of_idle(self) -> pl.Series:
        """What windows of each key have closed by at the least, for state that does not say it: all logs are idle."""
        assert self.keys is not None
        idle = [clock for clock in self.logs.values() if not clock.finished]
        return _least(idle, self.keys.size).clip(lower_bound=self.stream)

    def _moved(self, before: int, closing: pl.Series | None) -> Observation:
        """How far windows close now that a log has left the minimum: what they had closed by stands where none is left
        that lives, until one comes back or all have ended.
        """
        live = self._live
        if live:
            self.stream = max(self.stream, min(clock.reached for clock in live))
        elif not self.all_idle:
            self.stream = END_OF_TIME
        self.closed = closing if self.all_idle else None
        return self._stood(before, closing, self.closing)

    def _stood(self, before: int, closing: pl.Series | None, after: pl.Series | None) -> Observation:
        """The windows' watermarks have moved without an event."""
        common = CommonProgress(before, pl.Series([self.stream], dtype=pl.Int64))
        if closing is None or after is None:
            return Observation(_no_times(), common)
        return Observation(_no_times(), KeyedProgress(_no_own(), after, common, None, closing))

    @property
    def _live(self) -> list[Clock]:
        """The clocks that count: of logs that are neither idle nor finished."""
        return [clock for clock in self.logs.values() if not clock.finished and not clock.idle]

    @property
    def all_idle(self) -> bool:
        """True when there are logs and each is idle or finished, at least one idle."""
        alive = [clock for clock in self.logs.values() if not clock.finished]
        return bool(alive) and all(clock.idle for clock in alive)


def clocks_for(settings: EventTime, table: KeyTable | None, group: tuple[str, ...]) -> Clocks:
    """The clocks of a plan; `table` codes the clock's key where there is one."""
    if not isinstance(settings.clock, KeyClock):
        return Clocks(settings)
    return Clocks(settings, table, settings.clock.key in group)


def _least(clocks: Sequence[Clock], size: int) -> pl.Series:
    """The smallest watermark of each key below `size` in these logs."""
    if len(clocks) == 1:
        return clocks[0].reached_by(size)
    by_log = pl.DataFrame([clock.reached_by(size).alias(str(number)) for number, clock in enumerate(clocks)])
    return by_log.select(pl.min_horizontal(pl.all())).to_series()


def _padded(values: pl.Series, size: int, value: int) -> pl.Series:
    missing = size - values.len()
    if missing <= 0:
        return values
    return pl.concat([values, pl.Series([value], dtype=pl.Int64).new_from_index(0, missing)])


def _held_between(steps: pl.Series, least: int, most: int) -> pl.Series:
    """Rising steps kept between two bounds; `least` wins."""
    steps = steps if steps[-1] <= most else steps.clip(upper_bound=most)
    return steps if steps[0] >= least else steps.clip(lower_bound=least)


def _no_times() -> pl.Series:
    return pl.Series([], dtype=pl.Int64)


def _no_own() -> pl.DataFrame:
    return pl.DataFrame(schema={"_code": pl.Int64(), "place": pl.Int64(), "w": pl.Int64()})
