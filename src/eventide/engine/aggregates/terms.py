"""Terms: the mergeable states that aggregates are made of, each as lists of Polars expressions.

Law: a term's state depends only on the set of rows put into it (`first` and `last` order them by event time, log and
offset), so partial states may be merged in any order. Every aggregate is an expression over terms; equal terms are
kept once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import polars as pl

from eventide.engine.aggregates.exact import ExactSum, two_product
from eventide.engine.aggregates.hashes import hashes_of

TIME = "_t"
"""Column of the event time in microseconds, in rows on their way into windows."""

LOG_NAME = "_log"
"""Column of the log's name, in rows on their way into windows."""

ROW_OFFSET = "_offset"

ORIGIN_US = 1_577_836_800_000_000
"""2020-01-01: moments of time are counted from here so that their products stay small."""


class Term(Protocol):
    """A mergeable state kept in columns whose names begin with `name`."""

    @property
    def name(self) -> str: ...

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        """Columns to add to the rows before they are grouped."""

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        """From the rows of a group (with prepared `columns`) to state columns."""

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        """From the partial states of a group to one."""


@runtime_checkable
class Pairing(Protocol):
    """A term whose states also merge in pairs: column `c` of a row with column `c'` beside it."""

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        """From two states in one row to the merged one."""


def _added(columns: Sequence[str]) -> list[pl.Expr]:
    return [pl.col(column).fill_null(0) + pl.col(f"{column}'").fill_null(0) for column in columns]


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows there are."""

    name: str

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        return []

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.len().cast(pl.Int64).alias(self.name)]

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(self.name).sum()]

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        return _added([self.name])


@dataclass(frozen=True, slots=True)
class Values:
    """How many values of a column are not null."""

    name: str
    value: str

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        return []

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(self.value).count().cast(pl.Int64).alias(self.name)]

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(self.name).sum()]

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        return _added([self.name])


@dataclass(frozen=True, slots=True)
class Extreme:
    """The smallest or largest value; NaN is passed over unless there is nothing else."""

    name: str
    value: str
    which: Literal["min", "max"]

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        return []

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [self._of(pl.col(self.value)).alias(self.name)]

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [self._of(pl.col(self.name))]

    def _of(self, column: pl.Expr) -> pl.Expr:
        return column.min() if self.which == "min" else column.max()

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        both = (self.name, f"{self.name}'")
        return [pl.min_horizontal(both) if self.which == "min" else pl.max_horizontal(both)]


@dataclass(frozen=True, slots=True)
class WholeSum:
    """The sum of integers, in 128 bits."""

    name: str
    value: str

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        return [pl.col(self.value).cast(pl.Int128).alias(self.name)]

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(self.name).sum()]

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(self.name).sum()]

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        return _added([self.name])


class _Limbs:
    """What sums in several columns share: the columns are those that begin with the term's name, and each is added."""

    __slots__ = ()
    name: str

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return self.merge(columns)

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(column).sum() for column in self._mine(columns)]

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        return _added(self._mine(columns))

    def _mine(self, columns: Sequence[str]) -> list[str]:
        return [column for column in columns if column.startswith(self.name)]


@dataclass(frozen=True, slots=True)
class FloatSum(_Limbs):
    """The exact sum of floats."""

    name: str
    value: str

    @property
    def exact(self) -> ExactSum:
        return ExactSum(self.name, self.value)

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        return self.exact.prepare(rows)


@dataclass(frozen=True, slots=True)
class Product(_Limbs):
    """The exact sum of the products of two float columns (squares, when they are the same)."""

    name: str
    left: str
    right: str

    @property
    def pieces(self) -> tuple[ExactSum, ExactSum]:
        """The sums of the rounded products and of their rounding errors."""
        return ExactSum(f"{self.name}p", f"{self.name}x"), ExactSum(f"{self.name}e", f"{self.name}y")

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        product, error = two_product(rows.get_column(self.left), rows.get_column(self.right))
        made = pl.DataFrame([product.alias(f"{self.name}x"), error.alias(f"{self.name}y")])
        sums = made.select(*(column for piece in self.pieces for column in piece.prepare(made)))
        return [pl.lit(column) for column in sums]


@dataclass(frozen=True, slots=True)
class TimeSums:
    """The sums of the event times, and of their squares, of the rows in which a column is not null."""

    name: str
    value: str

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        time = pl.when(pl.col(self.value).is_not_null()).then(pl.col(TIME) - ORIGIN_US).cast(pl.Int128)
        return [time.alias(f"{self.name}t"), (time * time).alias(f"{self.name}q")]

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return self.merge(columns)

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(f"{self.name}t").sum(), pl.col(f"{self.name}q").sum()]

    def pair(self, columns: Sequence[str]) -> list[pl.Expr]:
        return _added([f"{self.name}t", f"{self.name}q"])


@dataclass(frozen=True, slots=True)
class Ordered:
    """The first rows (or the last one) in which a column is not null, by event time, then log, then offset.

    The state is a list of (time, log, offset, value), at most `limit` long; no limit keeps all.
    """

    name: str
    value: str
    limit: int | None
    last: bool = False

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        point = pl.struct(
            pl.col(TIME).alias("t"),
            pl.col(LOG_NAME).alias("l"),
            pl.col(ROW_OFFSET).alias("o"),
            pl.col(self.value).alias("v"),
        )
        return [pl.when(pl.col(self.value).is_not_null()).then(point).alias(self.name)]

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [self._kept(pl.col(self.name).drop_nulls())]

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [self._kept(pl.col(self.name).list.explode(keep_nulls=False, empty_as_null=False))]

    def _kept(self, points: pl.Expr) -> pl.Expr:
        ordered = points.sort(descending=self.last)
        return (ordered if self.limit is None else ordered.head(self.limit)).alias(self.name)


@dataclass(frozen=True, slots=True)
class SmallestHashes:
    """The `limit` smallest different hashes of a column, in their order: where there are so many, the last one is
    theta, and the others are the entries of a theta sketch (decision 0034).
    """

    name: str
    value: str
    limit: int

    def prepare(self, rows: pl.DataFrame) -> list[pl.Expr]:
        return [pl.lit(hashes_of(rows.get_column(self.value))).alias(self.name)]

    def partial(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [self._kept(pl.col(self.name).drop_nulls())]

    def merge(self, columns: Sequence[str]) -> list[pl.Expr]:
        return [self._kept(pl.col(self.name).list.explode(keep_nulls=False, empty_as_null=False))]

    def _kept(self, hashes: pl.Expr) -> pl.Expr:
        return hashes.unique().sort().head(self.limit).alias(self.name)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each item comes: a list of (item, count) by item. Items are made from a column by `item`."""

    name: str
    item: pl.Expr

    def __hash__(self) -> int:
        return hash(self.name)


AnyTerm: TypeAlias = Rows | Values | Extreme | WholeSum | FloatSum | Product | TimeSums | Ordered | SmallestHashes
"""Every term that is a list of expressions; a `Tally` needs a grouping of its own."""
