"""The state of a set of aggregates as frames: rows become partial states, partial states merge, states become results.

Law: one row of a state frame for each group; columns a state lacks are as good as zero or empty, so frames of different
batches go together. `merge` may be called any number of times, in any order, without changing a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from eventide.engine.aggregates.terms import AnyTerm, Pairing, Rows, Tally

_AS_WRITTEN: Final = pl.QueryOptFlags.none()

_QUERY_LEAST: Final = 10_000
"""Rows from which on a query as a whole is worth the half millisecond that it takes to begin."""


@dataclass(frozen=True, slots=True)
class AggregateState:
    """How rows with the columns `inputs` become states of `terms` and `tallies`, and these become `outputs`.

    `outputs` maps each result column to an expression over a merged state that also has `window_start` and `window_end`
    as `Int64` microseconds; it is built anew for the columns that the state has.
    """

    inputs: tuple[pl.Expr, ...]
    terms: tuple[AnyTerm, ...]
    tallies: tuple[Tally, ...]

    @property
    def number(self) -> str:
        """The column with the number of rows, which every state has."""
        return next(term.name for term in self.terms if isinstance(term, Rows))

    def partial(self, rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """One row for each group of `rows`."""
        prepared = [column for term in self.terms for column in term.prepare(rows)]
        columns = [*rows.columns, *(column.meta.output_name() for column in prepared)]
        states = [state for term in self.terms for state in term.partial(columns)]
        if rows.height == 1 and self.pairs:  # one row is its own group, and its states are single values
            return rows.with_columns_seq(prepared).select_seq(*by, *states)
        grouped = _grouped(rows, by, prepared, states)
        for tally in self.tallies:
            counted = rows.select(*by, tally.item.alias("item")).drop_nulls("item")
            counted = counted.group_by(*by, "item").agg(pl.len().cast(pl.Int64).alias("n"))
            grouped = _join_tally(grouped, counted, tally.name, by)
        return grouped

    def merge(self, parts: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """One row for each group of partial states."""
        states = [state for term in self.terms for state in term.merge(parts.columns)]
        merged = parts.group_by(by).agg(states)
        for tally in self.tallies:
            items = parts.select(*by, tally.name).filter(pl.col(tally.name).list.len() > 0)
            items = items.explode(tally.name, empty_as_null=False).unnest(tally.name)
            counted = items.group_by(*by, "item").agg(pl.col("n").sum())
            merged = _join_tally(merged, counted, tally.name, by)
        return merged

    @property
    def pairs(self) -> bool:
        """True when `merge_rows` can merge all its states."""
        return not self.tallies and all(isinstance(term, Pairing) for term in self.terms)

    def merge_rows(self, left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
        """The states of two frames with the same columns, merged row by row; a null stands for no rows."""
        beside = pl.DataFrame([*left.get_columns(), *(column.alias(f"{column.name}'") for column in right)])
        columns = [column for term in self.terms if isinstance(term, Pairing) for column in term.pair(left.columns)]
        return beside.select(columns)

    def single(self, rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
        """The partial state of every single row, with its `by` columns, in the order of the rows."""
        numbered = rows.with_row_index("_row")
        return self.partial(numbered, [*by, "_row"]).sort("_row").drop("_row")


def _grouped(
    rows: pl.DataFrame, by: Sequence[str], prepared: Sequence[pl.Expr], states: Sequence[pl.Expr]
) -> pl.DataFrame:
    """The states of the groups, by the way that is the cheapest for so many rows."""
    if rows.height < _QUERY_LEAST:
        return rows.with_columns(prepared).group_by(by).agg(states)
    return rows.lazy().with_columns(prepared).group_by(by).agg(states).collect(optimizations=_AS_WRITTEN)


def stack(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """States one below the other; columns that only some have are filled with nulls."""
    first = frames[0]
    if len(frames) == 1:
        return first
    if all(frame.columns == first.columns for frame in frames):
        return pl.concat(frames)
    return pl.concat(frames, how="diagonal")


def _join_tally(states: pl.DataFrame, counted: pl.DataFrame, name: str, by: Sequence[str]) -> pl.DataFrame:
    lists = counted.group_by(by).agg(pl.struct("item", "n").sort().alias(name))
    return states.join(lists, on=list(by), how="left", nulls_equal=True)
