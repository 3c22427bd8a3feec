"""The shortfall: what share of events comes further behind the watermark than a given length, and from it how complete
a window is when its result goes out.

Law: the distribution is taken anew after every 500 events of a log, a place that no cut moves; it forgets by halving
its counts after every 12,000. Everything is counted in whole numbers, so the estimate is the same to the bit however
the log was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import polars as pl

from eventide.engine.monitor.scale import FINE, bucket, upper_us
from eventide.instants import NO_WATERMARK

BLOCK_EVENTS: Final = 500
FIRST_EVENTS: Final = 1_000
HALVED_EVENTS: Final = 12_000
_COUNT: Final = 1_024
_LONGEST_US: Final = 2**61

Counts = dict[int, int]


class Behind(msgspec.Struct):
    """The forgetting distribution of one log: `behind` holds 1,024 for each event behind its watermark, by bucket,
    `all` the same for all events; `block` and `block_events` are those of the block being counted.
    """

    events: int = 0
    since: int = 0
    all: int = 0
    behind: Counts = {}
    block_events: int = 0
    block: Counts = {}

    def fold(self) -> None:
        """A block is full: it joins the distribution."""
        for number, n in self.block.items():
            self.behind[number] = self.behind.get(number, 0) + _COUNT * n
        self.all += _COUNT * self.block_events
        self.events += self.block_events
        self.since += self.block_events
        self.block, self.block_events = {}, 0
        if self.since >= HALVED_EVENTS:
            halved = {number: n // 2 for number, n in self.behind.items()}
            self.behind = {number: n for number, n in halved.items() if n}
            self.all, self.since = self.all // 2, 0


@dataclass
class Shortfall:
    """The distributions of all logs, and how that of the log being read moved along its batch.

    `rows` is the number of rows of that batch; `moved` holds (rows of the batch in front of it, distribution), the
    first one that in front of the batch.
    """

    logs: dict[str, Behind] = field(default_factory=dict)
    rows: int = 0
    moved: list[tuple[int, int, Counts]] = field(default_factory=list)

    def see(self, log: str, times: pl.Series, before: pl.Series) -> None:
        """Take the event times of a batch and the watermark in front of each."""
        known = self.logs.setdefault(log, Behind())
        self.rows = times.len()
        self.moved = [(0, *self._together())]
        if not self.rows:
            return
        is_behind = ((times < before) & (before > NO_WATERMARK)).alias("is_behind")
        frame = pl.DataFrame([(before - times).alias("by"), is_behind]).with_row_index("place").filter("is_behind")
        block = ((pl.col("place").cast(pl.Int64) + known.block_events) // BLOCK_EVENTS).alias("block")
        counts = frame.group_by(block, bucket(pl.col("by"), FINE).alias("bucket")).agg(pl.len().alias("n"))
        by_block: dict[int, list[tuple[int, int]]] = {}
        for number, length, n in counts.sort("block", "bucket").iter_rows():
            by_block.setdefault(number, []).append((length, n))
        end = known.block_events + self.rows
        begun = known.block_events
        for number in range(-(-end // BLOCK_EVENTS)):
            for length, n in by_block.get(number, ()):
                known.block[length] = known.block.get(length, 0) + n
            known.block_events = min(end - number * BLOCK_EVENTS, BLOCK_EVENTS)
            if known.block_events == BLOCK_EVENTS:
                known.fold()
                self.moved.append(((number + 1) * BLOCK_EVENTS - begun, *self._together()))

    def completeness(self, due: pl.DataFrame, watermark: pl.Series, in_batch: bool) -> pl.Series:
        """The share of its events that each window due (`place`, `window_start`, `window_end`) is expected to hold.

        With B the length by which an event stands behind its watermark, an event at t is there once the watermark has
        reached t + B; over a window of times spread evenly that is 1 - sum over b of P(B = b) min(max(b - slack, 0),
        length) / length, slack being how far the watermark is past the window's end. Null before a log's first 1,000
        events.
        """
        moved = self.moved if in_batch else [(0, *self._together())]
        starts = pl.Series([start for start, _, _ in moved], dtype=pl.Int64)
        place = due.get_column("place").cast(pl.Int64) if in_batch else pl.Series([0]).new_from_index(0, due.height)
        end, start = due.get_column("window_end"), due.get_column("window_start").clip(lower_bound=-_LONGEST_US)
        # at the end of the input the watermark stands at the end of time: nothing is missing, however long the window
        slack = (watermark.clip(upper_bound=2 * _LONGEST_US) - end.clip(upper_bound=_LONGEST_US)).clip(lower_bound=0)
        asked = pl.DataFrame(
            [
                (starts.search_sorted(place, side="right").cast(pl.Int64) - 1).alias("moment"),
                slack.alias("slack"),
                (end.clip(upper_bound=_LONGEST_US) - start).clip(1, _LONGEST_US).alias("length"),
            ]
        )
        questions = asked.unique()
        answers = questions.join(_distributions(moved, questions), on="moment", how="left")
        part = (pl.col("edge") - pl.col("slack")).clip(lower_bound=0)
        missing = pl.min_horizontal(part, "length").cast(pl.Int128) * pl.col("n").cast(pl.Int128)
        group = ["moment", "slack", "length"]
        summed = answers.group_by(group).agg(missing.sum().alias("missing"), pl.col("all").first())
        share = pl.col("missing").cast(pl.Float64) / (pl.col("length").cast(pl.Float64) * pl.col("all"))
        known = summed.select(*group, (1.0 - share).alias("completeness"))
        return asked.join(known, on=group, how="left", maintain_order="left").get_column("completeness")

    def _together(self) -> tuple[int, Counts]:
        """All events and those behind, over all logs; no events before the first thousand."""
        if sum(known.events for known in self.logs.values()) < FIRST_EVENTS:
            return 0, {}
        if len(self.logs) == 1:
            one = next(iter(self.logs.values()))
            return one.all, dict(one.behind)
        behind: Counts = {}
        for known in self.logs.values():
            for number, n in known.behind.items():
                behind[number] = behind.get(number, 0) + n
        return sum(known.all for known in self.logs.values()), behind

    def dump(self) -> dict[str, object]:
        """The distributions as plain values."""
        return {log: msgspec.to_builtins(known, str_keys=True) for log, known in self.logs.items()}

    def load(self, values: Mapping[str, object]) -> None:
        """Take plain values back."""
        self.logs = {log: msgspec.convert(one, Behind, strict=False) for log, one in values.items()}


def _distributions(moved: list[tuple[int, int, Counts]], questions: pl.DataFrame) -> pl.DataFrame:
    """The distributions at the moments asked for: `moment`, `all`, and a row for each bucket (and one of nothing)."""
    rows = [
        (moment, moved[moment][1], number, n)
        for moment in questions.get_column("moment").unique().to_list()
        if moved[moment][1]
        for number, n in ((0, 0), *sorted(moved[moment][2].items()))
    ]
    schema = {"moment": pl.Int64(), "all": pl.Int64(), "number": pl.Int32(), "n": pl.Int64()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(upper_us(pl.col("number"), FINE).alias("edge"))
