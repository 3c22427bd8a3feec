"""Aggregates of the user's own, made of three functions over expressions.

Law: the functions are called once, where they are written; what travels is trees, and the parts merge in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from eventide.expressions.aggregation import Aggregation
from eventide.expressions.columns import columns_of
from eventide.expressions.tree import Expr, col, same

_MERGES = {"sum": "sum", "count": "sum", "min": "min", "max": "max"}


@dataclass(frozen=True, slots=True, eq=False)
class OwnAggregate:
    """An aggregate of the user's own: parts made from the rows, how parts merge, and the result made of the parts.

    `merges` aggregates columns named by the parts; `result` is an expression over the same names.
    """

    parts: tuple[tuple[str, Aggregation], ...]
    merges: tuple[tuple[str, Aggregation], ...]
    result: Expr

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError('partial makes no part: return a mapping such as {"total": x.sum()}')
        _check_merges(dict(self.parts), dict(self.merges))
        names = {name for name, _ in self.parts}
        unknown = columns_of(self.result) - names
        if unknown:
            raise ValueError(f"result uses {sorted(unknown)}, which partial does not make: use only {sorted(names)}")

    @property
    def key(self) -> tuple[object, ...]:
        """The structure as plain values."""
        return (
            "own",
            tuple((name, part.key) for name, part in self.parts),
            tuple((name, merge.key) for name, merge in self.merges),
            self.result.key,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnAggregate) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class _Parts(Mapping[str, Expr]):
    """The parts as columns, which names the parts there are when another is asked for."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Expr:
        if name not in self._names:
            raise ValueError(f"{name!r} is not a part that partial makes: use one of {sorted(self._names)}")
        return col(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def own_aggregate(
    *of: Expr,
    partial: Callable[..., Mapping[str, Aggregation]],
    merge: Callable[[Mapping[str, Expr]], Mapping[str, Aggregation]],
    result: Callable[[Mapping[str, Expr]], Expr],
) -> OwnAggregate:
    """An aggregate made of three functions over expressions, which are called once, here.

    `partial` is called with the expressions `of` and makes named parts by sum, count, min or max; `merge` says how the
    parts of two pieces of a window become one (a sum or count by sum, a min by min, a max by max); `result` makes the
    value from the merged parts. Raises `ValueError` when they do not fit together.

    >>> geometric_mean = own_aggregate(
    ...     col("x"),
    ...     partial=lambda x: {"logs": x.log().sum(), "n": x.count()},
    ...     merge=lambda parts: {"logs": parts["logs"].sum(), "n": parts["n"].sum()},
    ...     result=lambda parts: (parts["logs"] / parts["n"]).exp(),
    ... )
    >>> geometric_mean.result
    (col("logs") / col("n")).exp()
    """
    parts = _named("partial", partial(*of))
    columns = _Parts(tuple(parts))
    return checked_own(parts, _named("merge", merge(columns)), result(columns))


def _named(which: str, made: object) -> Mapping[str, Aggregation]:
    if not isinstance(made, Mapping) or not all(isinstance(part, Aggregation) for part in made.values()):
        raise ValueError(f'{which} makes {made!r}, not named aggregates: return a mapping such as {{"total": x.sum()}}')
    return dict(made)


def checked_own(parts: Mapping[str, Aggregation], merges: Mapping[str, Aggregation], result: Expr) -> OwnAggregate:
    """An own aggregate, refused when its parts and merges do not fit together; merges take the order of the parts."""
    _check_merges(parts, merges)
    return OwnAggregate(tuple(parts.items()), tuple((name, merges[name]) for name in parts), result)


def _check_merges(parts: Mapping[str, Aggregation], merges: Mapping[str, Aggregation]) -> None:
    if set(parts) != set(merges):
        raise ValueError(
            f"partial makes {sorted(parts)} but merge makes {sorted(merges)}: both must name the same parts"
        )
    for name, part in parts.items():
        wanted = _MERGES.get(part.function)
        if wanted is None:
            raise ValueError(
                f"part {name!r} is {part.function}: make parts of sum, count, min or max, whose states merge"
            )
        merged = merges[name]
        if merged.function != wanted or merged.of is None or not same(merged.of, col(name)):
            raise ValueError(
                f"part {name!r} is {part.function}, so merge it by parts[{name!r}].{wanted}(), not by {merged!r}"
            )
