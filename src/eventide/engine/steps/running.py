"""Running merge: for a sequence of states, the state of everything up to each of them.

Law: entry n of a group becomes the merge of its entries 0 to n. By doubling (Hillis and Steele, CACM 29, 1986): the
number of passes is the logarithm of the longest sequence.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from eventide.engine.aggregates import AggregateState, stack


def running_merge(
    state: AggregateState, entries: pl.DataFrame, group: Sequence[str], order: Sequence[str]
) -> pl.DataFrame:
    """`entries` with every state merged with those before it in its group; sorted by group and order."""
    numbered = entries.sort([*group, *order]).with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64))
    numbered = numbered.with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).over(group).alias("_nth"),
        pl.len().over(group).cast(pl.Int64).alias("_of"),
    )
    states = numbered.select("_row", *(name for name in numbered.columns if ":" in name))
    places = numbered.select(name for name in numbered.columns if ":" not in name)
    longest, step = int(places.get_column("_of").max() or 0), 1  # type: ignore[arg-type] # integers
    while step < longest:
        reaching = places.select("_row", (pl.col("_nth") + step < pl.col("_of")).alias("_reaches"))
        earlier = states.filter(reaching.get_column("_reaches")).with_columns(pl.col("_row") + step)
        states = state.merge(stack([states, earlier]), ["_row"]).sort("_row")
        step *= 2
    return places.join(states, on="_row", maintain_order="left").drop("_row", "_nth", "_of")
