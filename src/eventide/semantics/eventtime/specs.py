"""Where event time comes from, which clocks measure it, and what may not move them.

Law: a clock belongs to one log, or to one key in one log. Events refused by a guard never touch a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from eventide.instants import Duration, positive_us
from eventide.semantics.eventtime.strategies import Bounded, Strategy


@dataclass(frozen=True, slots=True)
class LogClock:
    """One clock for each log."""


@dataclass(frozen=True, slots=True)
class KeyClock:
    """One clock for each value of `key` in each log: W_key = max(strategy(front_key), front_log - cap)."""

    key: str
    cap_us: int


Clock: TypeAlias = LogClock | KeyClock


@dataclass(frozen=True, slots=True)
class EventTime:
    """The event-time settings of a stream.

    `max_future_us` refuses events further than that ahead of their arrival, `max_age_us` (optional) those further
    behind it. `idle_after_us` takes a silent log out of the stream watermark. With `close_when_idle` all windows of a
    stream close when every log is idle.
    """

    column: str
    strategy: Strategy
    clock: Clock = LogClock()
    max_future_us: int | None = 3_600_000_000
    max_age_us: int | None = None
    idle_after_us: int | None = None
    close_when_idle: bool = False

    def __post_init__(self) -> None:
        if (
            isinstance(self.clock, KeyClock)
            and isinstance(self.strategy, Bounded)
            and self.clock.cap_us < self.strategy.delay_us
        ):
            raise ValueError("cap= must not be shorter than the strategy's delay: the cap would decide every watermark")


def per_key(column: str, *, cap: Duration) -> KeyClock:
    """One clock for each value of `column`; a silent key holds its windows open for at most `cap` behind its log.

    >>> per_key("device", cap="2h")
    KeyClock(key='device', cap_us=7200000000)
    """
    return KeyClock(column, positive_us(cap, "cap"))
