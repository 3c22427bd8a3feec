"""Durations that people would choose: 1, 2, 5 ... 30 seconds, minutes, hours, days.

Law: the ladder is fixed, so two recordings are judged by the same bounds.
"""

from __future__ import annotations

from typing import Final

_MS, _S, _M, _H, _D = 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000

RUNGS_US: Final = tuple(
    int(unit * step)
    for unit, steps in (
        (1, (1, 10, 100)),
        (_MS, (1, 2, 5, 10, 20, 50, 100, 150, 200, 300, 500, 700)),
        (_S, (1, 2, 3, 5, 7, 10, 15, 20, 30, 45)),
        (_M, (1, 2, 3, 5, 7, 10, 15, 20, 30, 45)),
        (_H, (1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 18)),
        (_D, (1, 2, 3, 5, 7, 14, 30, 60, 90, 180, 365, 730, 1_825, 3_650, 7_300, 18_250)),
    )
    for step in steps
)
"""Every rung in microseconds, from a microsecond to fifty years."""


def rung_at_least(length_us: int) -> int:
    """The shortest rung that is not shorter than a length; 0 for nothing."""
    if length_us <= 0:
        return 0
    return next((rung for rung in RUNGS_US if rung >= length_us), length_us)


def rungs_between(least_us: int, most_us: int) -> list[int]:
    """The rungs from the one at or below `least_us` to the one at or above `most_us`."""
    low = max((rung for rung in RUNGS_US if rung <= least_us), default=RUNGS_US[0])
    high = rung_at_least(most_us)
    return [rung for rung in RUNGS_US if low <= rung <= high]
