"""Lowering: from aggregates as the user wrote them to terms and to expressions over their merged states.

Law: each aggregate is a function of terms; two aggregates that need the same term share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl

from eventide.engine.aggregates.state import AggregateState
from eventide.engine.aggregates.terms import (
    AnyTerm,
    Extreme,
    FloatSum,
    Ordered,
    Product,
    Rows,
    SmallestHashes,
    Tally,
    TimeSums,
    Values,
    WholeSum,
)
from eventide.engine.few import select
from eventide.engine.solid import solid
from eventide.expressions import Aggregation, Expr, OwnAggregate, to_polars

Output = Callable[[pl.DataFrame], pl.Expr | pl.Series]
"""From merged states, which also hold `window_start` and `window_end` in microseconds, to a result column."""

T = TypeVar("T", bound=AnyTerm)


@dataclass
class Lowering:
    """Collects the inputs and terms that a set of aggregates needs. `schema` types the columns of the rows."""

    schema: Mapping[str, pl.DataType]
    names: dict[object, str] = field(default_factory=dict)
    inputs: dict[str, pl.Expr] = field(default_factory=dict)
    types: dict[str, pl.DataType] = field(default_factory=dict)
    terms: dict[object, AnyTerm] = field(default_factory=dict)
    tallies: dict[object, Tally] = field(default_factory=dict)

    def column(self, aggregation: Aggregation, cast: pl.DataType | None = None) -> str:
        """The input column that holds the aggregate's argument, in type `cast` if given."""
        expression = to_polars(_argument(aggregation))
        if cast is not None:
            expression = expression.cast(cast)
        dtype = pl.DataFrame(schema=dict(self.schema)).select(expression.alias("x")).schema["x"]
        if dtype.is_float():
            expression = expression.cast(pl.Float64)
            dtype = pl.Float64()
        return self._input((repr(_argument(aggregation)), cast), expression, dtype)

    def time_column(self, value: str) -> str:
        """The input column that holds the event time as a float, where `value` is not null."""
        from eventide.engine.aggregates.terms import ORIGIN_US, TIME

        return self._input(f"time of {value}", (pl.col(TIME) - ORIGIN_US).cast(pl.Float64), pl.Float64())

    def _input(self, key: object, expression: pl.Expr, dtype: pl.DataType) -> str:
        name = self.names.setdefault(key, f"x{len(self.names)}:")
        self.inputs[name] = expression
        self.types[name] = dtype
        return name

    def rows(self) -> Rows:
        return self._term(Rows)

    def values(self, column: str) -> Values:
        return self._term(Values, column)

    def extreme(self, column: str, which: str) -> Extreme:
        return self._term(Extreme, column, which)

    def whole_sum(self, column: str) -> WholeSum:
        return self._term(WholeSum, column)

    def float_sum(self, column: str) -> FloatSum:
        return self._term(FloatSum, column)

    def product(self, left: str, right: str) -> Product:
        return self._term(Product, left, right)

    def time_sums(self, column: str) -> TimeSums:
        return self._term(TimeSums, column)

    def ordered(self, column: str, limit: int | None, last: bool = False) -> Ordered:
        return self._term(Ordered, column, limit, last)

    def smallest_hashes(self, column: str, limit: int) -> SmallestHashes:
        return self._term(SmallestHashes, column, limit)

    def tally(self, key: object, item: pl.Expr) -> Tally:
        return self.tallies.setdefault(key, Tally(f"c{len(self.tallies)}:", item))

    def _term(self, kind: type[T], *arguments: object) -> T:
        key = (kind, *arguments)
        if key not in self.terms:
            self.terms[key] = kind(f"s{len(self.terms)}:", *arguments)  # type: ignore[arg-type] # each caller above passes its kind's own
        return self.terms[key]  # type: ignore[return-value]


@dataclass(frozen=True)
class Aggregates:
    """A set of aggregates ready to run: their state, and the result columns made from it."""

    state: AggregateState
    outputs: tuple[tuple[str, Output | OwnOutput], ...]

    def results(self, merged: pl.DataFrame) -> pl.DataFrame:
        """The result columns of merged states, which also hold `window_start` and `window_end` in microseconds."""
        return self._results(solid(merged))

    def _results(self, merged: pl.DataFrame) -> pl.DataFrame:
        plain = [(name, output) for name, output in self.outputs if not isinstance(output, OwnOutput)]
        made = select(merged, (output(merged).alias(name) for name, output in plain))
        if len(plain) == len(self.outputs):
            return made
        own = [output.series(merged).alias(name) for name, output in self.outputs if isinstance(output, OwnOutput)]
        return pl.DataFrame([*made.get_columns(), *own]).select(name for name, _ in self.outputs)


@dataclass(frozen=True)
class OwnOutput:
    """The result of an aggregate of the user's own: an expression over the results of its parts."""

    parts: tuple[tuple[str, Output], ...]
    result: Expr

    def series(self, merged: pl.DataFrame) -> pl.Series:
        parts = merged.select(output(merged).alias(name) for name, output in self.parts)
        return parts.select(to_polars(self.result).alias("result")).to_series()


def lower(
    aggregates: Sequence[tuple[str, Aggregation | OwnAggregate]], schema: Mapping[str, pl.DataType]
) -> tuple[Aggregates, Mapping[str, pl.DataType]]:
    """The aggregates over rows whose columns have the types of `schema`, and the types of their inputs."""
    from eventide.engine.aggregates.outputs import output_of

    lowering = Lowering(schema)
    lowering.rows()  # every state counts its rows: an empty window shows by it
    outputs: list[tuple[str, Output | OwnOutput]] = []
    for name, aggregate in aggregates:
        if isinstance(aggregate, OwnAggregate):
            parts = tuple((part, output_of(lowering, aggregation)) for part, aggregation in aggregate.parts)
            outputs.append((name, OwnOutput(parts, aggregate.result)))
        else:
            outputs.append((name, output_of(lowering, aggregate)))
    state = AggregateState(
        tuple(expression.alias(name) for name, expression in lowering.inputs.items()),
        tuple(lowering.terms.values()),
        tuple(lowering.tallies.values()),
    )
    return Aggregates(state, tuple(outputs)), lowering.types


def _argument(aggregation: Aggregation) -> Expr:
    if aggregation.of is None:
        raise ValueError(f"{aggregation.function} needs an expression to work on")
    return aggregation.of
