"""What happens to an event behind its window's end, and when results come out before the window is complete.

Law: an event is judged once, at the door, by its own log's watermark before it; for each of its windows it is on time
(`end > W`), a correction (`end <= W < end + L`) or late (`end + L <= W`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from eventide.instants import Duration, positive_us

LatePolicy = Literal["side", "drop", "update"]
"""`side`: to the `late` output. `drop`: counted only. `update`: merged within the allowed lateness, then `side`."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """The late policy and the allowed lateness L, in microseconds."""

    policy: LatePolicy = "side"
    allowed_us: int = 0

    def __post_init__(self) -> None:
        if self.policy not in get_args(LatePolicy):
            raise ValueError(f'late={self.policy!r} is not a policy: use "side", "drop" or "update"')
        if self.policy == "update" and self.allowed_us == 0:
            raise ValueError(
                'late="update" needs lateness=: say for how long a window takes corrections, such as lateness="1h"'
            )


@dataclass(frozen=True, slots=True)
class EveryChange:
    """An early result after every event of a window that is still open."""


@dataclass(frozen=True, slots=True)
class EveryInterval:
    """An early result of each open, changed window whenever the stream watermark passes a multiple of `period_us`."""

    period_us: int


Early: TypeAlias = EveryChange | EveryInterval


def on_change() -> EveryChange:
    """Early results after every event. For dashboards of slow streams; costs a row out for each row in."""
    return EveryChange()


def every(period: Duration) -> EveryInterval:
    """Early results each `period` of event time (of the stream watermark, so that a replay repeats them).

    >>> every("1s").period_us
    1000000
    """
    return EveryInterval(positive_us(period, "period"))
