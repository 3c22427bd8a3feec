"""Watermark strategies: how far event time has come, from the events of a log so far.

Law: a strategy is a pure function of the log up to an event; it never looks at a batch, a timer or another log, and the
watermark that a clock makes of it never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from eventide.instants import Duration, non_negative_us

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Ascending:
    """W = front: a feed in order. An event at the very front is on time."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """W = front - delay: an event may run `delay_us` behind the largest event time seen."""

    delay_us: int


@dataclass(frozen=True, slots=True)
class Punctuated:
    """W = the largest marker seen in `column` (an instant, exclusive: no event before it is expected any more)."""

    column: str


@dataclass(frozen=True, slots=True)
class Adaptive:
    """W = front - q, where q is learnt: the displacement that at most `late_rate` of the log's events exceed.

    q is estimated anew after every 100 events of the log (behind its 50,000th after every 500) from a histogram of
    displacements with buckets 2 % apart, whose counts are halved after every max(6,000, 12 / late_rate) events. The
    share of the histogram that may lie above q is late_rate + surplus / horizon, kept between half and three times
    late_rate: `surplus` counts how many more events might have exceeded their bound so far than did (kept within
    4 late_rate horizon), horizon is max(2,000, 2 / late_rate) events. So a bound that proved too short or too long is
    made good (adaptive conformal inference: Gibbs and Candès, 2021). q is kept within `min_us` and `max_us`; before the
    log's first 1,000 events it is `max_us`, so that nothing is lost while nothing is known.
    """

    late_rate: float
    min_us: int
    max_us: int

    def __post_init__(self) -> None:
        if not is_share(self.late_rate):
            raise ValueError(
                f"late_rate={self.late_rate!r} must lie between 0 and 1: 0.001 lets one event in a thousand be behind"
            )
        if self.min_us > self.max_us:
            raise ValueError("min= must not be longer than max=")


@dataclass(frozen=True, slots=True)
class Perfect:
    """W = the smallest event time still to come in the log, known by reading the bounded input twice."""


@runtime_checkable
class OwnStrategy(Protocol):
    """A strategy of the user's own: any pure function of the log so far.

    `state` is a mapping that JSON can hold, `{}` at the log's start. `advance` gets the next accepted events of the log
    (all columns, offsets ascending) and the log's event times as microseconds, and returns the watermark after each
    event (`Int64` microseconds) and the state behind the last one. However the log is cut, the watermarks must be the
    same; `eventide.testing` has the law as a test.
    """

    def advance(
        self, state: Mapping[str, object], events: pl.DataFrame, times_us: pl.Series
    ) -> tuple[pl.Series, Mapping[str, object]]: ...


Strategy: TypeAlias = Ascending | Bounded | Punctuated | Adaptive | Perfect | OwnStrategy
"""Any watermark strategy."""


def is_share(given: object) -> bool:
    """True for a number between 0 and 1, both left out."""
    return isinstance(given, int | float) and 0 < given < 1


def ascending() -> Ascending:
    """The strategy for feeds in order: the watermark is the largest event time seen."""
    return Ascending()


def bounded(delay: Duration) -> Bounded:
    """The usual strategy: events may run up to `delay` behind the largest event time seen.

    >>> bounded("2s")
    Bounded(delay_us=2000000)
    """
    return Bounded(non_negative_us(delay, "delay"))


def punctuated(column: str) -> Punctuated:
    """The source itself says in `column` up to which instant it is complete."""
    return Punctuated(column)


def adaptive(late_rate: float = 0.001, *, min: Duration = "0s", max: Duration = "1h") -> Adaptive:
    """A bound learnt from the stream: at most `late_rate` of the events shall be behind the watermark.

    >>> adaptive(0.01, max="2h").max_us
    7200000000
    """
    return Adaptive(late_rate, non_negative_us(min, "min"), non_negative_us(max, "max"))


def perfect() -> Perfect:
    """The oracle for bounded inputs: nothing is late and every window closes as early as it can."""
    return Perfect()
