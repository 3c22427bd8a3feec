"""Derived streams: streams whose rows are made of other streams' rows by event time.

Law: what a derived stream holds is a function of the sets of rows that its sides' doors let pass, never of their order
of arrival (decision 0008).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from eventide.instants import LONGEST, duration_text
from eventide.plan.given import name_of
from eventide.semantics.lateness import Early, EveryChange, EveryInterval

if TYPE_CHECKING:
    from eventide.plan.nodes import Plan

IntervalKind = Literal["inner", "left", "outer"]
AsofKind = Literal["left", "inner"]
Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Key columns: names in the left stream with those in the right one."""


@dataclass(frozen=True, slots=True)
class Merge:
    """One row for each capture: the rows of `of` with the same values of `by`, at most `within_us` behind the first."""

    of: Plan
    by: tuple[str, ...]
    within_us: int

    @property
    def sides(self) -> tuple[Plan, ...]:
        return (self.of,)


@dataclass(frozen=True, slots=True)
class IntervalJoin:
    """Pairs of a left row at t and a right row between t + `lower_us` and t + `upper_us`, both included."""

    left: Plan
    right: Plan
    on: Pairs
    lower_us: int
    upper_us: int
    how: IntervalKind = "inner"
    suffix: str = "_right"

    def __post_init__(self) -> None:
        if self.lower_us > self.upper_us:
            raise ValueError(
                f"lower={duration_text(self.lower_us)} is above upper={duration_text(self.upper_us)}: "
                'write for example lower="-5m", upper="5m"'
            )
        for name, bound_us in (("lower", self.lower_us), ("upper", self.upper_us)):
            if abs(bound_us) > LONGEST:
                raise ValueError(f"{name}={duration_text(bound_us)} is longer than 36,533 years: use a shorter one")
        if self.how not in get_args(IntervalKind):
            raise ValueError(f"how={self.how!r} is not a choice: use inner, left or outer")
        name_of(self.suffix, "suffix")

    @property
    def sides(self) -> tuple[Plan, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class AsofJoin:
    """Each left row with the last right row at or before it, at most `tolerance_us` before it."""

    left: Plan
    right: Plan
    on: Pairs
    tolerance_us: int | None = None
    how: AsofKind = "left"
    suffix: str = "_right"

    def __post_init__(self) -> None:
        if self.how not in get_args(AsofKind):
            raise ValueError(f"how={self.how!r} is not a choice: use left or inner")
        name_of(self.suffix, "suffix")

    @property
    def sides(self) -> tuple[Plan, ...]:
        return (self.left, self.right)


Derived: TypeAlias = Merge | IntervalJoin | AsofJoin


@dataclass(frozen=True, slots=True)
class Enrich:
    """Look each row up in a side input and add the columns of the row found there, the last one of its key.

    Rows that are not found go to the output named `misses`, or stay with nulls where it is None. `refresh` says when
    the side is read again, `version` names a column for the version used.
    """

    side: Plan
    on: Pairs
    misses: str | None = None
    refresh: Early | None = None
    version: str | None = None
    suffix: str = "_right"

    def __post_init__(self) -> None:
        name_of(self.suffix, "suffix")
        for where in ("misses", "version"):
            if getattr(self, where) is not None:
                name_of(getattr(self, where), where)
        if not isinstance(self.refresh, EveryInterval | EveryChange | None):
            raise ValueError(f'refresh={self.refresh!r} is not a choice: use et.every("1h") or et.on_change()')

    def added(self, columns: Sequence[str], side: Sequence[str]) -> dict[str, str]:
        """The names that the side's columns, keys left out, get beside `columns`."""
        keys = {right_key for _, right_key in self.on}
        named = right_names(columns, side, self.on, self.suffix)
        return {name: new for name, new in named.items() if name not in keys}


def right_names(left: Sequence[str], right: Sequence[str], on: Pairs, suffix: str) -> dict[str, str]:
    """The names that the right stream's columns have in the joined rows: keys those of the left, others their own, with
    the suffix where the left has that name too.
    """
    keys = {right_key: left_key for left_key, right_key in on}
    return {name: keys.get(name, f"{name}{suffix}" if name in left else name) for name in right}
