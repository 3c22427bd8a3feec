"""Aggregations: what is made of all the values in a window, as frozen values.

Law: every aggregation can be computed from partial states that merge in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eventide.expressions.tree import Expr, col
from eventide.instants import Duration, non_negative_us, positive_us

_DURATIONS = {"per": positive_us, "ahead": non_negative_us}


@dataclass(frozen=True, slots=True, eq=False)
class Aggregation:
    """An aggregation: its function, its expression (None: the events themselves) and its settings, durations in microseconds."""

    function: str
    of: Expr | None
    arguments: tuple[tuple[str, object], ...] = ()

    def argument(self, name: str) -> object:
        """The setting of this name."""
        return dict(self.arguments)[name]

    @property
    def key(self) -> tuple[object, ...]:
        """The structure as plain values."""
        return (self.function, None if self.of is None else self.of.key, self.arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aggregation) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.arguments)
        return f"{self.function}({settings})" if self.of is None else f"{self.of!r}.{self.function}({settings})"


def aggregation(function: str, of: Expr | None, **arguments: object) -> Aggregation:
    """A checked aggregation; durations may be given as text."""
    settled = {
        name: _DURATIONS[name](value, name) if name in _DURATIONS and not isinstance(value, int) else value  # type: ignore[arg-type]
        for name, value in arguments.items()
    }
    for name, value in settled.items():
        _check(function, name, value)
    return Aggregation(function, of, tuple(settled.items()))


def _check(function: str, name: str, value: object) -> None:
    match name:
        case "q" if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ValueError(f"{function}(q={value!r}): q must lie between 0 and 1, such as 0.95")
        case "k" | "limit" | "exact_up_to" if not isinstance(value, int) or value < 1:
            raise ValueError(f"{function}({name}={value!r}): it must be a whole number of at least 1")
        case "ddof" if value not in (0, 1):
            raise ValueError(f"{function}(ddof={value!r}): it must be 1 (sample) or 0 (population)")
        case "edges" if not _ascending(value):
            raise ValueError(f"{function}(edges={value!r}): give at least two edges, each larger than the one before")


def _ascending(edges: object) -> bool:
    if not isinstance(edges, tuple) or len(edges) < 2:
        return False
    return all(left < right for left, right in zip(edges, edges[1:], strict=False))


def count() -> Aggregation:
    """How many events there are."""
    return Aggregation("count", None)


def rate(per: Duration = "1s") -> Aggregation:
    """How many events there are in each `per` of the window's length."""
    return aggregation("rate", None, per=per)


_MERGES = {"sum": "sum", "count": "sum", "min": "min", "max": "max"}


@dataclass(frozen=True, slots=True, eq=False)
class OwnAggregate:
    """An aggregate of the user's own: parts made from the rows, how parts merge, and the result made of the parts."""

    parts: tuple[tuple[str, Aggregation], ...]
    merges: tuple[tuple[str, Aggregation], ...]
    result: Expr

    @property
    def key(self) -> tuple[object, ...]:
        """The structure as plain values."""
        return (tuple((n, p.key) for n, p in self.parts), tuple((n, m.key) for n, m in self.merges), self.result.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnAggregate) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def own_aggregate(
    of: Expr,
    *,
    partial: Callable[[Expr], Mapping[str, Aggregation]],
    merge: Callable[[Mapping[str, Expr]], Mapping[str, Aggregation]],
    result: Callable[[Mapping[str, Expr]], Expr],
) -> OwnAggregate:
    """An aggregate made of three functions over expressions, which are called once, here.

    `partial` makes named parts from the values, `merge` says how two parts become one, `result` makes the value.

    >>> geometric_mean = own_aggregate(
    ...     col("x"),
    ...     partial=lambda x: {"logs": x.log().sum(), "n": x.count()},
    ...     merge=lambda parts: {"logs": parts["logs"].sum(), "n": parts["n"].sum()},
    ...     result=lambda parts: (parts["logs"] / parts["n"]).exp(),
    ... )
    """
    parts = dict(partial(of))
    columns = {name: col(name) for name in parts}
    return checked_own(parts, dict(merge(columns)), result(columns))


def checked_own(parts: Mapping[str, Aggregation], merges: Mapping[str, Aggregation], result: Expr) -> OwnAggregate:
    """An own aggregate, refused when its parts and merges do not fit together."""
    if set(parts) != set(merges):
        raise ValueError(f"partial makes {sorted(parts)} but merge makes {sorted(merges)}: both must name the same parts")
    for name, part in parts.items():
        wanted = _MERGES.get(part.function)
        if wanted is None:
            raise ValueError(f"part {name!r} is {part.function}: parts are made of sum, count, min or max, whose states merge")
        merged = merges[name]
        if merged.function != wanted or merged.of is None or merged.of.key != col(name).key:
            raise ValueError(f"part {name!r} is {part.function}, so it merges by parts[{name!r}].{wanted}(), not by {merged!r}")
    unknown = columns_of(result) - set(parts)
    if unknown:
        raise ValueError(f"result uses {sorted(unknown)}, which partial does not make: use only {sorted(parts)}")
    return OwnAggregate(tuple(parts.items()), tuple(merges.items()), result)


def columns_of(node: Expr | Aggregation | OwnAggregate) -> frozenset[str]:
    """The names of the columns that an expression or aggregation reads."""
    from eventide.expressions.tree import Call, Column

    match node:
        case Column():
            return frozenset({node.name})
        case Call():
            return frozenset().union(*(columns_of(argument) for argument in node.arguments))
        case Aggregation():
            return frozenset() if node.of is None else columns_of(node.of)
        case OwnAggregate():
            return frozenset().union(*(columns_of(part) for _, part in node.parts))
        case _:
            return frozenset()
