"""The shares of windows that are due: what windows like them held of late.

Law: the answer to a row is that of the blocks complete in front of it, so it is the same however a log was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from eventide.engine.completeness.came_out import CameOut
from eventide.engine.completeness.recent import Recent
from eventide.engine.keys import CODE
from eventide.engine.steps.grid import grid_of
from eventide.engine.steps.judged import PLACE
from eventide.plan import WindowedAggregate
from eventide.semantics.windows import Count, Session

SWEPT_EVENTS: Final = 32_768
LATER: Final = 16
"""The classes of rows that follow a window's first result begin at this number."""

_EDGES: Final = tuple(2.0**power for power in range(-4, 4))
_COLUMNS = [CODE, "window_start", "window_end", "class", "present", PLACE]


@dataclass
class Shares:
    """What is known of the windows of a stream. `rows` is the number of rows of the batch being read."""

    came_out: CameOut
    recent: Recent = field(default_factory=Recent)
    rows: int = 0

    def begin(self, rows: int) -> None:
        """A batch of so many rows came through the door."""
        self.rows = rows

    def take(self, due: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
        """The shares of windows due in a batch (`_COLUMNS`; `class` null: it says nothing), and what its rows teach.

        The rows are taken in pieces that end where all is swept, so that this happens at places of the stream.
        """
        told, start = [], 0
        order = pl.int_range(due.height, dtype=pl.Int64, eager=True)
        due = due.with_columns(order.alias("order"))
        while True:
            end = min(self.rows, start + SWEPT_EVENTS - self.recent.events % SWEPT_EVENTS)
            last = end == self.rows
            within = pl.col(PLACE) >= start if last else pl.col(PLACE).is_between(start, end, closed="left")
            told.append(self._piece(due.filter(within), rows.filter(within), start, end - start))
            if last:
                break
            start = end
        return pl.concat(told).sort("order").get_column("told")

    def tell(self, due: pl.DataFrame) -> pl.Series:
        """The shares of windows due behind all rows that were read."""
        told = _told(due, pl.Series([0]).new_from_index(0, due.height), {0: self._now()})
        new = self.came_out.new(_in_order(due.filter(pl.col("class").is_not_null())))
        self.recent.count(_sums(new, "present"), _sums(self.came_out.losses(_NONE_LOST, new), "n"))
        self.came_out.remember(_NONE_LOST, new)
        return told

    def _piece(self, due: pl.DataFrame, rows: pl.DataFrame, start: int, length: int) -> pl.DataFrame:
        going = _in_order(due.filter(pl.col("class").is_not_null()))
        lost = self.came_out.lost(rows)
        new = self.came_out.new(going)
        losses = self.came_out.losses(lost, new)
        self.came_out.remember(lost, new)
        ends = self.recent.ends(length)
        edges = pl.Series([start + end for end in ends], dtype=pl.Int64)
        present, gone = _by_block(new, "present", edges), _by_block(losses, "n", edges)
        moments = edges.search_sorted(due.get_column(PLACE), side="right")
        wanted, passed = set(moments.to_list()), 0
        known = {0: self._now()} if 0 in wanted else {}
        for number, end in enumerate(ends):
            self.recent.pass_(end - passed)
            self.recent.count(present.get(number, {}), gone.get(number, {}))
            self.recent.fold()
            passed = end
            if number + 1 in wanted:
                known[number + 1] = self._now()
        self.recent.pass_(length - passed)
        self.recent.count(present.get(len(ends), {}), gone.get(len(ends), {}))
        if self.recent.events % SWEPT_EVENTS == 0 and length:
            self.came_out.sweep()
        told = _told(due, moments, known)
        return pl.DataFrame([due.get_column("order"), told.alias("told")])

    def _now(self) -> dict[int, float | None]:
        shares = self.recent.shares()
        return {number: shares.of(number) for first in (0, LATER) for number in range(first, first + len(_EDGES) + 1)}

    def dump(self) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
        """Plain values and frames."""
        values, frames = self.came_out.dump()
        return {"recent": self.recent.dump(), "came_out": values}, frames

    def load(self, values: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> None:
        """Take them back."""
        self.recent = Recent.load(values["recent"])
        self.came_out.load(values["came_out"], frames)


def class_of(slack: pl.Expr, length: pl.Expr, first: pl.Expr) -> pl.Expr:
    """The class of a row: how far the watermark is past the window's end, in windows, by powers of two; the first
    result or a later one.
    """
    past = slack.cast(pl.Float64) / length.cast(pl.Float64)
    number = pl.sum_horizontal((past >= edge).cast(pl.Int64) for edge in _EDGES)
    return pl.when(first).then(number).otherwise(number + LATER)


def shares_for(query: WindowedAggregate, *, in_order: bool = False) -> Shares | None:
    """What a query needs to say how complete its windows are; None where it does not ask. `in_order`: events are put in
    order in front of the windows.
    """
    if not query.completeness or isinstance(query.window, Session | Count):
        return None
    return Shares(CameOut(grid_of(query.window), query.lateness.allowed_us, in_order))


def _told(due: pl.DataFrame, moments: pl.Series, known: Mapping[int, Mapping[int, float | None]]) -> pl.Series:
    """What is expected of each window at its moment."""
    table = [(moment, number, share) for moment, shares in known.items() for number, share in shares.items()]
    answers = pl.DataFrame(
        table, schema={"moment": pl.Int64(), "class": pl.Int64(), "told": pl.Float64()}, orient="row"
    )
    asked = pl.DataFrame([moments.cast(pl.Int64).alias("moment"), due.get_column("class").cast(pl.Int64)])
    return asked.join(answers, on=["moment", "class"], how="left", maintain_order="left").get_column("told")


def _in_order(going: pl.DataFrame) -> pl.DataFrame:
    return going.select(_COLUMNS).sort(PLACE, maintain_order=True)


def _sums(frame: pl.DataFrame, column: str) -> dict[int, int]:
    return dict(frame.group_by("class").agg(pl.col(column).sum()).sort("class").iter_rows())


def _by_block(frame: pl.DataFrame, column: str, edges: pl.Series) -> dict[int, dict[int, int]]:
    """The sums of a column by block and class."""
    numbers = edges.search_sorted(frame.get_column(PLACE), side="right").cast(pl.Int64).alias("block")
    summed = frame.with_columns(numbers).group_by("block", "class").agg(pl.col(column).sum().alias("n"))
    made: dict[int, dict[int, int]] = {}
    for block, number, n in summed.sort("block", "class").iter_rows():
        made.setdefault(block, {})[number] = n
    return made


_NONE_LOST = pl.DataFrame(
    schema={
        CODE: pl.Int64(),
        "window_start": pl.Int64(),
        "window_end": pl.Int64(),
        PLACE: pl.Int64(),
        "by": pl.Int64(),
        "dropped": pl.Boolean(),
    }
)
