"""Copies: rows that repeat an earlier row of their own log, left out at once.

Law: which row is a copy depends on its log alone (decision 0008); for each combination of values and each stretch of
`within` only the earliest and the latest event time are remembered, and no longer than a row can still be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from eventide.engine.aggregates import LOG_NAME, TIME
from eventide.engine.memory import Memory
from eventide.engine.steps.judged import BEFORE
from eventide.plan import Deduplicate

_STRETCH, _LOW, _HIGH, _TURN = "_stretch", "_low", "_high", "_turn"
_SEEN_BEFORE = -1


class Copies:
    """The memory of one `deduplicate`. `seen` holds (log, values, stretch, earliest, latest) of rows that came by."""

    def __init__(self, step: Deduplicate, types: Mapping[str, pl.DataType], pinned: bool) -> None:
        """`types` are those of rows at this place; `pinned` says that `by` holds the event time itself, so that copies
        have the same one.
        """
        self._by = list(step.by)
        self._within_us = step.within_us
        self._pinned = pinned
        marks = {_STRETCH: pl.Int64(), _LOW: pl.Int64(), _HIGH: pl.Int64()}
        self.seen = pl.DataFrame(schema={LOG_NAME: pl.String(), **{name: types[name] for name in step.by}, **marks})

    def drop(self, log: str, rows: pl.DataFrame, reached: int) -> pl.DataFrame:
        """The next rows of a log (with event times and W_before) without copies; `reached` is the log's watermark."""
        place = [*self._by, _STRETCH]
        numbered = rows.select(
            *self._by,
            TIME,
            (pl.col(TIME) // self._within_us).alias(_STRETCH),
            (pl.col(TIME) >= pl.col(BEFORE) - self._within_us).alias("_compared"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias(_TURN),
        )
        known = self._of(log, numbered)
        # two rows of one stretch are less than `within` apart, so all but the first of a stretch are copies
        judged = numbered.with_columns((~pl.struct(place).is_first_distinct()).alias("_copy"))
        if known.height:
            there = known.select(*place, pl.lit(True).alias("_known"))
            judged = judged.join(there, on=place, how="left", nulls_equal=True, maintain_order="left")
            judged = judged.with_columns(pl.col("_copy") | pl.col("_known").fill_null(False))
        copy = judged.select(pl.col("_compared") & pl.col("_copy")).to_series()
        new = numbered.select(*place, pl.col(TIME).alias(_LOW), pl.col(TIME).alias(_HIGH), _TURN)
        if not self._pinned:
            seen = pl.concat([known.with_columns(pl.lit(_SEEN_BEFORE, pl.Int64).alias(_TURN)), new])
            near = self._near(judged.filter(~pl.col("_copy") & pl.col("_compared")), seen)
            copy = copy.scatter(near.unique(), True) if near.len() else copy
        self._remember(log, known, new, reached)
        return rows.filter(~copy)

    def _near(self, asked: pl.DataFrame, seen: pl.DataFrame) -> pl.Series:
        """Those of the rows asked about that have an earlier row in the stretch next to theirs within reach."""
        place = [*self._by, _STRETCH]
        found = []
        for aside, within in (
            (-1, pl.col(_HIGH) >= pl.col(TIME) - self._within_us),
            (1, pl.col(_LOW) - self._within_us <= pl.col(TIME)),
        ):
            beside = asked.select(*self._by, TIME, pl.col(_STRETCH) + aside, pl.col(_TURN).alias("_asked"))
            pairs = beside.join(seen, on=place, how="inner", nulls_equal=True)
            found.append(pairs.filter((pl.col(_TURN) < pl.col("_asked")) & within).get_column("_asked"))
        return pl.concat(found)

    def _of(self, log: str, rows: pl.DataFrame) -> pl.DataFrame:
        """What is remembered of a log that rows (with values and stretch) may be copies of."""
        return self.seen.filter(pl.col(LOG_NAME) == log).drop(LOG_NAME)

    def _remember(self, log: str, known: pl.DataFrame, new: pl.DataFrame, reached: int) -> None:
        """Keep what a row to come may still be compared with: one at W - within reaches back as far again."""
        both = pl.concat([known, new.drop(_TURN)]).filter(pl.col(_HIGH) >= reached - 2 * self._within_us)
        mine = both.group_by(*self._by, _STRETCH, maintain_order=True).agg(pl.col(_LOW).min(), pl.col(_HIGH).max())
        self.seen = pl.concat(
            [self.seen.filter(pl.col(LOG_NAME) != log), mine.select(pl.lit(log).alias(LOG_NAME), pl.all())]
        )

    def parts(self) -> Iterator[pl.DataFrame]:
        """What `saved` gives in parts."""
        yield self.saved()

    def saved(self) -> pl.DataFrame:
        """Everything remembered, for a snapshot."""
        return self.seen

    def restore(self, saved: pl.DataFrame) -> None:
        """Take a snapshot."""
        self.seen = saved


def copies_of(step: Deduplicate, types: Mapping[str, pl.DataType], pinned: bool, memory: Memory | None) -> Copies:
    """A memory for copies, part of which can go to disk where memory is bounded."""
    if memory is None:
        return Copies(step, types, pinned)
    from eventide.engine.steps.cold_copies import ColdCopies

    return ColdCopies(step, types, pinned, memory)
