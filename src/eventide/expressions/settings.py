"""The settings that each aggregation takes, and what a setting may be.

Law: a setting that makes no sense is refused where it is written, with its name, its value and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

from eventide.instants import non_negative_us, positive_us

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "all": (),
    "any": (),
    "collect": ("limit",),
    "count": (),
    "count_distinct": ("exact_up_to",),
    "first": (),
    "histogram": ("edges",),
    "last": (),
    "max": (),
    "mean": (),
    "median": (),
    "min": (),
    "projection": ("ahead",),
    "quantile": ("q",),
    "range": (),
    "rate": ("per",),
    "slope": ("per",),
    "std": ("ddof",),
    "sum": (),
    "time_weighted_mean": (),
    "top_k": ("k",),
    "var": ("ddof",),
}
"""Every aggregation with the names of its settings, in the order in which they may be given by place."""

DEFAULTS: Final[Mapping[tuple[str, str], object]] = {
    ("collect", "limit"): 1000,
    ("count_distinct", "exact_up_to"): 1024,
    ("rate", "per"): "1s",
    ("slope", "per"): "1s",
    ("std", "ddof"): 1,
    ("var", "ddof"): 1,
}
"""What a setting is when it is left out; the others must be given."""

DURATIONS: Final[Mapping[str, Callable[[str | timedelta, str], int]]] = {"per": positive_us, "ahead": non_negative_us}
"""Settings that are lengths of time, held in microseconds."""

OF_EVENTS: Final = ("count", "rate")
"""The aggregations that need no expression: they count events."""


def settled(function: str, arguments: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """The settings of an aggregation, checked, complete and in order. Raises `ValueError`.

    >>> settled("slope", {"per": "1h"})
    (('per', 3600000000),)
    """
    if function not in SETTINGS:
        raise ValueError(f"{function!r} is not an aggregation: use one of {', '.join(SETTINGS)}")
    names = SETTINGS[function]
    unknown = [name for name in arguments if name not in names]
    if unknown:
        raise ValueError(f"{function} has no setting {unknown[0]!r}: it takes {', '.join(names) or 'none'}")
    return tuple((name, _checked(function, name, _given(function, name, arguments))) for name in names)


def _given(function: str, name: str, arguments: Mapping[str, object]) -> object:
    if name in arguments:
        return arguments[name]
    if (function, name) in DEFAULTS:
        return DEFAULTS[function, name]
    raise ValueError(f"{function} needs the setting {name}")


def _checked(function: str, name: str, value: object) -> object:
    if name in DURATIONS:
        return DURATIONS[name](value, name)  # type: ignore[arg-type] # what is not a duration is refused there
    where = f"{function}({name}={value!r})"
    match name:
        case "q":
            return _share(where, value)
        case "edges":
            return _edges(where, value)
        case "ddof" if not _whole(value) or value not in (0, 1):
            raise ValueError(f"{where}: ddof must be 1 (sample) or 0 (population)")
        case "k" | "limit" | "exact_up_to" if not _whole(value) or value < 1:  # type: ignore[operator]
            raise ValueError(f"{where}: {name} must be a whole number of at least 1")
    return value


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(where: str, value: object) -> float:
    if not _number(value) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ValueError(f"{where}: q must lie between 0 and 1, such as 0.95")
    return float(value)  # type: ignore[arg-type]


def _edges(where: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(_number(edge) for edge in value):
        raise ValueError(f"{where}: edges must be a list of numbers, such as [0, 1, 10]")
    edges = tuple(float(edge) for edge in value)
    if len(edges) < 2 or any(math.isnan(edge) for edge in edges):
        raise ValueError(f"{where}: edges must hold at least two numbers, none of them NaN")
    if not all(left < right for left, right in pairwise(edges)):
        raise ValueError(f"{where}: edges must ascend, each larger than the one before")
    return edges
