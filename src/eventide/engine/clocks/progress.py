"""Progress: when, inside a batch, the watermark that closes a window reaches an instant.

Law: results are ordered by the place in the log where they became due (decision 0004). A place is the number of
accepted rows of the batch in front of it; the place behind the last row belongs to what follows the rows: heartbeats,
idleness, the end.
"""

from __future__ import annotations

from typing import Protocol

import polars as pl

from eventide.engine.keys import CODE
from eventide.instants import NO_WATERMARK

REACHED_BEFORE = -1

_STEPS_PASSED = 16
"""Going along instants in order passes so many steps in the time that one search takes."""


class Progress(Protocol):
    """How far the closing watermark of each key has come, over one batch."""

    def place(self, codes: pl.Series, instants: pl.Series) -> pl.Series:
        """Where the watermark of each code reaches each instant: -1 before this batch, null not yet."""

    def before_rows(self, codes: pl.Series, places: pl.Series) -> pl.Series:
        """The closing watermark of each code just before the row at each place."""

    @property
    def least(self) -> int:
        """An instant that the closing watermark of every key has reached behind this batch."""

    @property
    def most(self) -> int:
        """An instant that the closing watermark of no key is ahead of behind this batch."""

    @property
    def is_common(self) -> bool:
        """True when all keys share one watermark, so that windows become due in order of their ends."""


class CommonProgress:
    """One watermark for all keys: `before` the batch, then `steps` (after each row, and behind the last)."""

    is_common = True

    def __init__(self, before: int, steps: pl.Series) -> None:
        self.before = before
        self.steps = steps

    @property
    def least(self) -> int:
        return int(self.steps[-1])

    @property
    def most(self) -> int:
        return self.least

    def place(self, codes: pl.Series, instants: pl.Series) -> pl.Series:
        frame = pl.DataFrame([instants.alias("instant"), self._first_reaching(instants).alias("found")])
        return frame.select(
            pl.when(pl.col("instant") <= self.before)
            .then(REACHED_BEFORE)
            .when(pl.col("found") < self.steps.len())
            .then(pl.col("found"))
            .alias("place")
        ).to_series()

    def _first_reaching(self, instants: pl.Series) -> pl.Series:
        """The number of the first step that reaches each instant; that of all steps where none does."""
        size = self.steps.len()
        if not instants.flags["SORTED_ASC"] or instants.len() * _STEPS_PASSED < size:
            return self.steps.search_sorted(instants, side="left").cast(pl.Int64)
        steps = pl.DataFrame(
            [self.steps.alias("instant"), pl.int_range(size, dtype=pl.Int64, eager=True).alias("found")]
        )
        asked = pl.DataFrame([instants.alias("instant")])
        met = asked.join_asof(steps, on="instant", strategy="forward", check_sortedness=False)
        return met.get_column("found").fill_null(size)

    def before_rows(self, codes: pl.Series, places: pl.Series) -> pl.Series:
        return self.steps.shift(1, fill_value=self.before).gather(places)


class KeyedProgress:
    """A watermark for each key: the larger of the key's own and the log's, and not above what other logs allow.

    `own` holds (code, place, w): the strategy's watermark of a key after each of its rows in this batch; `own_before`
    the same before the batch, by code; `log_steps` the log's share (front - cap) as in `CommonProgress`; `others` the
    smallest watermark of each code in all other logs (None: there are none). `closed` is what windows had closed by
    before the batch where that is behind the log's own (None: it is not): no log was live then.
    """

    is_common = False

    def __init__(
        self,
        own: pl.DataFrame,
        own_before: pl.Series,
        log: CommonProgress,
        others: pl.Series | None,
        closed: pl.Series | None = None,
    ) -> None:
        self.own = own
        self.own_before = own_before
        self.log = log
        self.others = others
        self.closed = closed

    @property
    def least(self) -> int:
        log = self.log.least
        if self.others is None:
            return log
        return min(log, int(self.others.min() or NO_WATERMARK))  # type: ignore[arg-type] # integers

    @property
    def most(self) -> int:
        reached = (self.log.least, self.own.get_column("w").max(), self.own_before.max())
        return max(int(one) for one in reached if one is not None)  # type: ignore[arg-type] # integers

    def place(self, codes: pl.Series, instants: pl.Series) -> pl.Series:
        asked = pl.DataFrame([codes.alias(CODE), instants.alias("instant")]).with_row_index("row")
        by_log = self.log.place(codes, instants)
        before = self.own_before.gather(codes)
        own = (
            asked.sort("instant")
            .join_asof(
                self.own.sort("w"),
                left_on="instant",
                right_on="w",
                by=CODE,
                strategy="forward",
                check_sortedness=False,
            )
            .sort("row")
        )
        frame = asked.with_columns(
            by_log.alias("by_log"), before.alias("before"), own.get_column("place").alias("by_own")
        )
        by_own = pl.when(pl.col("instant") <= pl.col("before")).then(REACHED_BEFORE).otherwise(pl.col("by_own"))
        place = pl.min_horizontal(by_own, pl.col("by_log"))
        if self.others is not None:
            allowed = self.others.gather(codes)
            frame = frame.with_columns(allowed.alias("allowed"))
            place = pl.when(pl.col("allowed") >= pl.col("instant")).then(place)
        if self.closed is not None:
            frame = frame.with_columns(self.closed.gather(codes).alias("closed"))
            anew = place.clip(lower_bound=0)
            place = pl.when(pl.col("instant") <= pl.col("closed")).then(REACHED_BEFORE).otherwise(anew)
        return frame.select(place.cast(pl.Int64).alias("place")).to_series()

    def before_rows(self, codes: pl.Series, places: pl.Series) -> pl.Series:
        asked = pl.DataFrame([codes.alias(CODE), places.alias("place")]).with_row_index("row")
        own = (
            asked.sort("place")
            .join_asof(
                self.own.sort("place"),
                on="place",
                by=CODE,
                strategy="backward",
                allow_exact_matches=False,
                check_sortedness=False,
            )
            .sort("row")
        )
        frame = asked.with_columns(
            own.get_column("w"),
            self.own_before.gather(codes).alias("before"),
            self.log.before_rows(codes, places).alias("log"),
        )
        reached = pl.max_horizontal("w", "before", "log")
        if self.others is not None:
            frame = frame.with_columns(self.others.gather(codes).alias("others"))
            reached = pl.min_horizontal(reached, pl.col("others"))
        if self.closed is not None:
            frame = frame.with_columns(self.closed.gather(codes).alias("closed"))
            reached = pl.when(pl.col("place") > 0).then(reached).otherwise("closed")
        return frame.select(reached.alias("w")).to_series()


class MappedProgress:
    """Keyed progress for windows whose group is finer than the clock's key: `codes` maps the group's codes to the
    key's.
    """

    is_common = False

    def __init__(self, progress: KeyedProgress, codes: pl.Series) -> None:
        self.progress = progress
        self.codes = codes

    @property
    def least(self) -> int:
        return self.progress.least

    @property
    def most(self) -> int:
        return self.progress.most

    def place(self, codes: pl.Series, instants: pl.Series) -> pl.Series:
        return self.progress.place(self.codes.gather(codes), instants)

    def before_rows(self, codes: pl.Series, places: pl.Series) -> pl.Series:
        return self.progress.before_rows(self.codes.gather(codes), places)
