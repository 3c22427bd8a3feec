"""Aggregates over the events of a window, in plain arithmetic.

Law: sums are exact (`math.fsum`, `Fraction`) and rounded once; nulls are skipped; the events come in their order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import polars as pl

from eventide.expressions import Aggregation, Column, OwnAggregate, to_polars
from eventide.testing.reference.murmur import hash_of

Point = tuple[int, Any]
"""Event time and value, in order of event time, then log, then offset."""


def result(
    aggregation: Aggregation | OwnAggregate, events: Sequence[tuple[int, dict[str, Any]]], start: int, end: int
) -> Any:
    """The value of an aggregation over (time, row) in order. Its expression must be a plain column, and so must those
    of the parts of an own one.
    """
    if isinstance(aggregation, OwnAggregate):
        parts = {name: [result(part, events, start, end)] for name, part in aggregation.parts}
        return pl.DataFrame(parts).select(to_polars(aggregation.result)).item()
    if aggregation.of is None:
        count = len(events)
        return count if aggregation.function == "count" else count * _us(aggregation, "per") / (end - start)
    if not isinstance(aggregation.of, Column):
        raise NotImplementedError(f"the reference knows aggregates of plain columns only, not {aggregation!r}")
    points = [(time, row[aggregation.of.name]) for time, row in events if row[aggregation.of.name] is not None]
    return _RESULTS[aggregation.function](aggregation, points, start, end)


def _us(aggregation: Aggregation, name: str) -> float:
    return float(str(aggregation.argument(name)))


def _values(points: Sequence[Point]) -> list[Any]:
    return [value for _, value in points]


def _sum(points: Sequence[Point]) -> Any:
    values = _values(points)
    if not values:
        return None
    if any(isinstance(value, float) for value in values):
        strange = [value for value in values if not math.isfinite(value)]
        return sum(strange) if strange else math.fsum(values)
    return sum(values)


def _mean(points: Sequence[Point]) -> Any:
    total = _sum(points)
    return None if total is None else total / len(points)


def _extreme(points: Sequence[Point], choose: Callable[[list[Any]], Any]) -> Any:
    values = _values(points)
    real = [value for value in values if value == value]  # noqa: PLR0124 - NaN is not equal to itself
    return choose(real) if real else (values[0] if values else None)


def _variance(points: Sequence[Point], ddof: int) -> float | None:
    values = [Fraction(value) for value in _values(points)]
    if len(values) <= ddof:
        return None
    mean = sum(values) / len(values)
    return float(sum((value - mean) ** 2 for value in values) / (len(values) - ddof))


def _line(points: Sequence[Point]) -> tuple[Fraction, Fraction, Fraction] | None:
    """Slope per microsecond, mean time, mean value."""
    if len({time for time, _ in points}) < 2:
        return None
    n = len(points)
    t, x = Fraction(sum(time for time, _ in points), n), sum((Fraction(value) for _, value in points), Fraction()) / n
    covariance = sum(((time - t) * (Fraction(value) - x) for time, value in points), Fraction())
    return covariance / sum(((time - t) ** 2 for time, _ in points), Fraction()), t, x


def _slope(a: Aggregation, points: Sequence[Point], start: int, end: int) -> float | None:
    line = _line(points)
    return None if line is None else float(line[0] * Fraction(str(a.argument("per"))))


def _projection(a: Aggregation, points: Sequence[Point], start: int, end: int) -> float | None:
    line = _line(points)
    return None if line is None else float(line[2] + line[0] * (end + int(str(a.argument("ahead"))) - line[1]))


def _held(a: Aggregation, points: Sequence[Point], start: int, end: int) -> float | None:
    if not points:
        return None
    until = [time for time, _ in points[1:]] + [end]
    held = sum(Fraction(value) * (then - time) for (time, value), then in zip(points, until, strict=True))
    return float(held / (end - points[0][0]))


def _quantile(points: Sequence[Point], q: float) -> float | None:
    values = sorted(_values(points))
    return values[max(math.ceil(q * len(values)), 1) - 1] if values else None


def _top(a: Aggregation, points: Sequence[Point], start: int, end: int) -> list[dict[str, Any]]:
    counts = sorted(Counter(_values(points)).items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"value": value, "count": count} for value, count in counts[: int(str(a.argument("k")))]]


def _bins(a: Aggregation, points: Sequence[Point], start: int, end: int) -> list[int]:
    edges = a.argument("edges")
    assert isinstance(edges, tuple)
    counts = [0] * (len(edges) - 1)
    for value in _values(points):
        for place, (low, high) in enumerate(pairwise(edges)):
            if low <= value < high or (value == high == edges[-1]):
                counts[place] += 1
    return counts


def _distinct(a: Aggregation, points: Sequence[Point], start: int, end: int) -> int:
    """Exact up to k; beyond, the k smallest hashes lie below the next one as all hashes lie below 2^63."""
    k = int(str(a.argument("exact_up_to")))
    hashes = sorted({hash_of(value) for value in _values(points)})
    return len(hashes) if len(hashes) <= k else round(k * 2.0**63 / hashes[k])


def _at(points: Sequence[Point], place: int) -> Any:
    return points[place][1] if points else None


_RESULTS: dict[str, Callable[[Aggregation, Sequence[Point], int, int], Any]] = {
    "all": lambda a, p, s, e: all(_values(p)) if p else None,
    "any": lambda a, p, s, e: any(_values(p)) if p else None,
    "collect": lambda a, p, s, e: _values(p)[: int(str(a.argument("limit")))],
    "count": lambda a, p, s, e: len(p),
    "count_distinct": _distinct,
    "first": lambda a, p, s, e: _at(p, 0),
    "histogram": _bins,
    "last": lambda a, p, s, e: _at(p, -1),
    "max": lambda a, p, s, e: _extreme(p, max),
    "mean": lambda a, p, s, e: _mean(p),
    "median": lambda a, p, s, e: _quantile(p, 0.5),
    "min": lambda a, p, s, e: _extreme(p, min),
    "projection": _projection,
    "quantile": lambda a, p, s, e: _quantile(p, float(str(a.argument("q")))),
    "range": lambda a, p, s, e: _extreme(p, max) - _extreme(p, min) if p else None,
    "rate": lambda a, p, s, e: len(p) * _us(a, "per") / (e - s),
    "slope": _slope,
    "std": lambda a, p, s, e: None if (v := _variance(p, int(str(a.argument("ddof"))))) is None else math.sqrt(v),
    "sum": lambda a, p, s, e: _sum(p),
    "time_weighted_mean": _held,
    "top_k": _top,
    "var": lambda a, p, s, e: _variance(p, int(str(a.argument("ddof")))),
}
