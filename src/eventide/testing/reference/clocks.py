"""Clocks, one event at a time.

Law: semantics, sections 2 and 3, word for word: the watermark before an event comes from the events before it in its
log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.semantics.eventtime import Adaptive, Ascending, Bounded, EventTime, KeyClock, Punctuated
from eventide.testing.reference.entries import Row


@dataclass
class Learner:
    """What `adaptive` knows of a log, as the strategy's description says it."""

    buckets: list[int] = field(default_factory=list)
    block: list[int] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    unhalved: int = 0
    surplus: float = 0.0
    chosen: int | None = None

    def bound_us(self, adaptive: Adaptive) -> int:
        if self.chosen is None:
            return adaptive.max_us
        learnt = math.ceil(1.02**self.chosen) if self.chosen > 0 else 0
        return min(max(learnt, adaptive.min_us), adaptive.max_us)

    def take(self, adaptive: Adaptive, behind: int) -> None:
        self.block.append(math.ceil(math.log(behind) / math.log(1.02)) if behind > 0 else 0)
        if len(self.block) == (100 if len(self.buckets) < 50_000 else 500):
            self.learn(adaptive.late_rate)

    def learn(self, rate: float) -> None:
        horizon = max(2_000.0, 2 / rate)
        if self.chosen is not None:
            exceeded = len([bucket for bucket in self.block if bucket > self.chosen])
            self.surplus = self.surplus + rate * len(self.block) - exceeded
            self.surplus = max(min(self.surplus, 4 * rate * horizon), -4 * rate * horizon)
        for bucket in self.block:
            self.counts[bucket] = self.counts.get(bucket, 0) + 1_024
        self.buckets += self.block
        self.unhalved += len(self.block)
        self.block = []
        if self.unhalved >= max(6_000, 12 / rate):
            self.counts = {bucket: count // 2 for bucket, count in self.counts.items()}
            self.unhalved = 0
        if len(self.buckets) >= 1_000:
            share = max(min(rate + self.surplus / horizon, 3 * rate), rate / 2)
            allowed = share * sum(self.counts.values())
            above, self.chosen = 0, 0
            for bucket in sorted(self.counts, reverse=True):
                above += self.counts[bucket]
                if above > allowed:
                    self.chosen = bucket
                    break


@dataclass
class LogState:
    """What is known of one log."""

    front: int = NO_WATERMARK
    watermark: int = NO_WATERMARK
    key_fronts: dict[object, int] = field(default_factory=dict)
    key_watermarks: dict[object, int] = field(default_factory=dict)
    idle: bool = False
    finished: bool = False
    learner: Learner = field(default_factory=Learner)

    def reached(self) -> int:
        return END_OF_TIME if self.finished else self.watermark


class Clocks:
    """The clocks of all logs, and the watermark that closes windows."""

    def __init__(self, settings: EventTime, logs: list[str], keys: tuple[str, ...]) -> None:
        self.settings = settings
        self.logs = {log: LogState() for log in logs}
        clock = settings.clock
        self.by_key = isinstance(clock, KeyClock) and clock.key in keys
        self.stream = NO_WATERMARK
        self.closed: dict[object, int] = {}

    def before(self, log: str, row: Row) -> int:
        """The watermark of the clock of a row, from what was before it."""
        state, clock = self.logs[log], self.settings.clock
        if not isinstance(clock, KeyClock):
            return state.reached()
        return max(state.key_watermarks.get(row[clock.key], NO_WATERMARK), state.watermark)

    def observe(self, log: str, row: Row, time: int) -> None:
        """Take an event in."""
        state, clock = self.logs[log], self.settings.clock
        self.come_back(state)
        if not isinstance(clock, KeyClock):
            before, state.front = state.front, max(state.front, time)
            state.watermark = max(state.watermark, self._strategy(state, row, before, state.front, time))
        else:
            key = row[clock.key]
            before = state.key_fronts.get(key, NO_WATERMARK)
            state.front = max(state.front, time)
            state.key_fronts[key] = max(before, time)
            mark = self._strategy(state, row, before, state.key_fronts[key], time)
            state.key_watermarks[key] = max(state.key_watermarks.get(key, NO_WATERMARK), mark)
            state.watermark = max(state.watermark, state.front - clock.cap_us)
        self.settle()

    def _strategy(self, state: LogState, row: Row, before: int, front: int, time: int) -> int:
        match self.settings.strategy:
            case Ascending():
                return front
            case Bounded(delay_us):
                return front - delay_us
            case Punctuated(column):
                mark = row[column]
                return NO_WATERMARK if mark is None else int(str(mark))
            case Adaptive() as adaptive:
                bound = state.learner.bound_us(adaptive)
                state.learner.take(adaptive, 0 if before == NO_WATERMARK else before - time)
                return front - bound
            case other:
                raise NotImplementedError(f"the reference does not know {other!r}")  # perfect and own strategies

    def come_back(self, state: LogState) -> None:
        """A silent log goes on from what windows have closed by: each of its keys from that key's (decision 0007)."""
        if state.idle:
            state.idle = False
            state.watermark = max(state.watermark, self.stream)
            for key in self.closed:
                state.key_watermarks[key] = max(state.key_watermarks.get(key, NO_WATERMARK), self.closing(key))

    def settle(self) -> None:
        """The stream watermark: the smallest of all logs that are neither idle nor finished; it never goes back. Where
        keys close windows, so each of theirs.
        """
        alive = [state for state in self.logs.values() if not state.finished and not state.idle]
        if alive:
            self.stream = max(self.stream, min(state.reached() for state in alive))
        elif all(state.finished for state in self.logs.values()):
            self.stream = END_OF_TIME
        if alive and self.by_key:
            for key in {key for state in self.logs.values() for key in state.key_watermarks}:
                least = min(max(state.key_watermarks.get(key, NO_WATERMARK), state.watermark) for state in alive)
                self.closed[key] = max(self.closing(key), least)

    def closing(self, key: object) -> int:
        """The watermark that closes the windows of a key."""
        return max(self.closed.get(key, NO_WATERMARK), self.stream)
