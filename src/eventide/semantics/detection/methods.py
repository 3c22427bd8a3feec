"""Methods of finding anomalies: what is expected of a value, and how far off it must be.

Law: every method is a frozen value, complete and valid once built; its memory is bounded by its own settings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from eventide.instants import Duration, positive_us


@dataclass(frozen=True, slots=True)
class ZScore:
    """Distance from the mean of the last `rows` values in their standard deviations."""

    rows: int
    threshold: float
    least_scale: float = 0.0

    def __post_init__(self) -> None:
        _check("rows", self.rows, self.threshold, self.least_scale)


@dataclass(frozen=True, slots=True)
class Hampel:
    """Distance from the median of the last `rows` values in scaled median absolute deviations."""

    rows: int
    threshold: float
    least_scale: float = 0.0

    def __post_init__(self) -> None:
        _check("rows", self.rows, self.threshold, self.least_scale)


@dataclass(frozen=True, slots=True)
class Ewma:
    """Distance from an exponentially weighted mean in exponentially weighted standard deviations."""

    alpha: float
    threshold: float
    warmup: int
    least_scale: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(
                f"alpha={self.alpha!r} must lie between 0 and 1: small values remember longer, such as 0.05"
            )
        _check("warmup", self.warmup, self.threshold, self.least_scale)


@dataclass(frozen=True, slots=True)
class Seasonal:
    """Distance from the median of the last `cycles` values at the same place of a period, scaled as in `Hampel`.

    A period is divided into slots of `slot_us`; only values of the same slot are compared.
    """

    period_us: int
    slot_us: int
    cycles: int
    threshold: float
    least_scale: float = 0.0

    def __post_init__(self) -> None:
        _check("cycles", self.cycles, self.threshold, self.least_scale)
        if self.period_us % self.slot_us:
            raise ValueError('slot= must divide period= without a rest: for example period="1d", slot="1h"')


@dataclass(frozen=True, slots=True)
class HalfSpaceTrees:
    """The share of random half-space trees that find a value rare (needs the extra `river`).

    Values are expected within `[low, high]`; a reference window of `window` values is learnt, then the next one.
    """

    low: float
    high: float
    threshold: float
    trees: int = 25
    height: int = 8
    window: int = 250
    seed: int = 1

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(
                f"low={self.low!r} must be smaller than high={self.high!r}, both finite: they bound the usual values"
            )
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold!r} must lie between 0 and 1: for example 0.95")
        sizes = (self.trees, self.height, self.window)
        if not all(_is_whole(size) for size in sizes) or min(sizes) < 1:
            raise ValueError("trees=, height= and window= must be whole numbers, at least 1: for example 25, 8 and 250")


Method: TypeAlias = ZScore | Hampel | Ewma | Seasonal | HalfSpaceTrees
"""How a value is judged."""


def zscore(rows: int = 60, threshold: float = 4.0, *, least_scale: float = 0.0) -> ZScore:
    """Judge a value by its distance from the mean of the `rows` values before it, in their standard deviations.

    `least_scale` is the smallest standard deviation taken seriously, in units of the value: without it a series that
    stood still for `rows` values makes any change an anomaly. Raises `ValueError` for settings out of range.

    >>> zscore(30, 3.0).rows
    30
    """
    return ZScore(rows, _number("threshold", threshold), _number("least_scale", least_scale))


def hampel(rows: int = 60, threshold: float = 4.0, *, least_scale: float = 0.0) -> Hampel:
    """Judge a value by its distance from the median of the `rows` values before it, in scaled median absolute
    deviations (1.4826 times the MAD, which is a standard deviation for normal values).

    Earlier anomalies among the `rows` hardly move it. Source: Hampel, Journal of the American Statistical Association
    69 (1974); the scale from Rousseeuw and Croux, same journal, 88 (1993).

    >>> hampel().threshold
    4.0
    """
    return Hampel(rows, _number("threshold", threshold), _number("least_scale", least_scale))


def ewma(alpha: float = 0.05, threshold: float = 4.0, *, warmup: int = 30, least_scale: float = 0.0) -> Ewma:
    """Judge a value by its distance from the exponentially weighted mean of all before it.

    `alpha` is the weight of the newest value; the first `warmup` values of a key are not judged. Mean and variance
    follow Finch, Incremental calculation of weighted mean and variance (2009), section 9.

    >>> ewma(alpha=0.1).warmup
    30
    """
    return Ewma(_number("alpha", alpha), _number("threshold", threshold), warmup, _number("least_scale", least_scale))


def seasonal(
    period: Duration = "1d",
    slot: Duration = "1h",
    *,
    cycles: int = 14,
    threshold: float = 4.0,
    least_scale: float = 0.0,
) -> Seasonal:
    """Judge a value by the last `cycles` values in the same slot of a period, as `hampel` does.

    A period is counted from 1970-01-01 UTC (a period of a week begins on Thursday); `slot` divides it. With more than
    one value a slot, `cycles` counts values.

    >>> seasonal("1w", "30m", cycles=6).slot_us
    1800000000
    """
    return Seasonal(
        positive_us(period, "period"),
        positive_us(slot, "slot"),
        cycles,
        _number("threshold", threshold),
        _number("least_scale", least_scale),
    )


def half_space_trees(  # noqa: PLR0913 - settings of the model, each with a default
    low: float,
    high: float,
    *,
    threshold: float = 0.95,
    trees: int = 25,
    height: int = 8,
    window: int = 250,
    seed: int = 1,
) -> HalfSpaceTrees:
    """Judge a value by half-space trees of the library River, one model a key; scores lie between 0 and 1.

    Needs `pip install "eventide[river]"`. Every row costs a call in Python, some 10,000 rows a second. Source: Tan,
    Ting and Liu, Fast anomaly detection for streaming data, IJCAI 2011.

    >>> half_space_trees(0.0, 50.0).window
    250
    """
    bounds = _number("low", low), _number("high", high)
    return HalfSpaceTrees(*bounds, _number("threshold", threshold), trees, height, window, seed)


def _check(name: str, rows: int, threshold: float, least_scale: float) -> None:
    if not _is_whole(rows) or not 2 <= rows <= 10_000:
        raise ValueError(f"{name}={rows!r} is not a number of values to compare with: use 2 to 10,000")
    if not (math.isfinite(threshold) and threshold > 0):
        raise ValueError(f"threshold={threshold!r} must be larger than 0: for example 4.0")
    if not (math.isfinite(least_scale) and least_scale >= 0):
        raise ValueError(f"least_scale={least_scale!r} must be 0 or larger, in units of the value")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}={value!r} is not a number: write for example {name}=4.0")
    return float(value)
