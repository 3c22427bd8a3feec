"""The monitor: looks at the events of each log behind the guards and counts how far they run behind.

Law: the first 32,768 events of a log are all looked at, behind them every 61st stands for 61; places are counted along
the log, so the cuts between batches do not show. How many events came, how many stood behind the watermark and how far
at most is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import polars as pl

from eventide.engine.clocks import Clocks
from eventide.engine.monitor.measured import LogCounts, Measured, measured
from eventide.engine.monitor.tally import Frames, Tally
from eventide.flow import ARRIVAL
from eventide.instants import NO_WATERMARK
from eventide.semantics.eventtime import EventTime, KeyClock

EVERY_EVENTS = 32_768
"""So many events at the beginning of a log are all looked at."""

STRIDE_EVENTS = 61
"""Behind them one in so many is: a prime, so that devices that report in turn are all met."""


@dataclass
class LogWatch:
    """What is known of one log: exact counts, the tally of its samples and the tally of what the guards refused."""

    counts: LogCounts
    samples: Tally
    refused: Tally


@dataclass
class Monitor:
    """Watches all logs of a run. `keys` are the columns that tell whose an event is."""

    settings: EventTime
    keys: Sequence[str] = ()
    logs: dict[str, LogWatch] = field(default_factory=dict)

    def of(self, log: str) -> LogWatch:
        """What is known of a log."""
        if log not in self.logs:
            self.logs[log] = LogWatch(LogCounts(), Tally(self.keys), Tally(self.keys))
        return self.logs[log]

    def see(self, log: str, rows: pl.DataFrame, times: pl.Series, before: pl.Series) -> None:
        """Look at the admitted rows of a batch, their event times and the watermark in front of each."""
        if not rows.height:
            return
        watch = self.of(log)
        counts = watch.counts
        most = (before - times).max()
        if isinstance(most, int) and most > 0:
            counts.behind += int((times < before).sum())
            counts.behind_us_max = max(counts.behind_us_max, most)
        newest = rows.get_column(ARRIVAL).max()
        if newest is not None:
            newest_us = int(pl.Series([newest]).cast(pl.Int64)[0])
            counts.arrival_us_max = max(counts.arrival_us_max or newest_us, newest_us)
        head = min(max(EVERY_EVENTS - counts.events, 0), rows.height)
        if head:
            fronts = _fronts(times.head(head), counts.front)
            self._sample(watch, rows.head(head), times.head(head), before.head(head), fronts, 1)
        skip = -counts.events % STRIDE_EVENTS if not head else head + -(counts.events + head) % STRIDE_EVENTS
        if skip < rows.height:
            front = _highest(counts.front, times.head(skip))
            fronts = _block_fronts(times.slice(skip), front)
            every = pl.int_range(skip, rows.height, STRIDE_EVENTS, dtype=pl.UInt32, eager=True)
            seen = rows.select(*self.keys, ARRIVAL)[every]
            self._sample(watch, seen, times.gather(every), before.gather(every), fronts, STRIDE_EVENTS)
        counts.front = _highest(counts.front, times)
        counts.events += rows.height

    def see_refused(self, log: str, bad: pl.DataFrame) -> None:
        """Look at the rows that a guard refused: their times tell of clocks that are wrong."""
        dated = bad.filter(pl.col(self.settings.column).is_not_null())
        if dated.height:
            watch, none = self.of(log), pl.Series([None], dtype=pl.Int64).new_from_index(0, dated.height)
            times = dated.get_column(self.settings.column).cast(pl.Int64)
            self._sample(replace(watch, samples=watch.refused), dated, times, none, none, 1)

    def _sample(  # noqa: PLR0913 - the columns of a sample
        self, watch: LogWatch, rows: pl.DataFrame, times: pl.Series, before: pl.Series, fronts: pl.Series, weight: int
    ) -> None:
        watch.samples.add(
            rows.select(
                *self.keys,
                times.alias("t"),
                fronts.alias("front"),
                before.alias("before"),
                pl.col(ARRIVAL).cast(pl.Int64).alias("arrival"),
                pl.lit(weight, dtype=pl.Int64).alias("weight"),
            )
        )

    def measured(self, clocks: Clocks) -> Measured:
        """Everything measured so far, as frames."""
        logs = {log: watch for log, watch in self.logs.items()}
        for log in clocks.logs:
            logs.setdefault(log, LogWatch(LogCounts(), Tally(self.keys), Tally(self.keys)))
        return measured(
            self.settings,
            tuple(self.keys),
            {log: (watch.counts, watch.samples.folded(), watch.refused.folded()) for log, watch in logs.items()},
            clocks,
        )

    def snapshot(self) -> tuple[Any, Frames]:
        """Plain values and frames, by the number of the log."""
        frames: Frames = {}
        for number, watch in enumerate(self.logs.values()):
            frames |= {f"{number}.{name}": frame for name, frame in watch.samples.dump().items()}
            frames |= {f"{number}.refused.{name}": frame for name, frame in watch.refused.dump().items()}
        return {log: msgspec.to_builtins(watch.counts) for log, watch in self.logs.items()}, frames

    def restore(self, values: object, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot back."""
        counts = msgspec.convert(values, dict[str, LogCounts])
        for number, (log, one) in enumerate(counts.items()):
            mine = _part(frames, f"{number}.")
            samples, refused = Tally.load(self.keys, mine), Tally.load(self.keys, _part(mine, "refused."))
            self.logs[log] = LogWatch(one, samples, refused)


def monitor_for(settings: EventTime, group: Sequence[str], columns: Mapping[str, pl.DataType]) -> Monitor:
    """The monitor of a plan: events are told apart by the clock's key, else by the windows' keys that rows have at the
    door.
    """
    wanted = (settings.clock.key,) if isinstance(settings.clock, KeyClock) else tuple(group)
    return Monitor(settings, tuple(name for name in wanted if name in columns))


def _part(frames: Mapping[str, pl.DataFrame], prefix: str) -> Frames:
    return {name[len(prefix) :]: frame for name, frame in frames.items() if name.startswith(prefix)}


def _highest(front: int, times: pl.Series) -> int:
    return max(front, int(times.max())) if times.len() else front  # type: ignore[arg-type] # integers


def _fronts(times: pl.Series, front: int) -> pl.Series:
    """The front before each event; null before the first of the log."""
    return _known(times.cum_max().clip(lower_bound=front).shift(1, fill_value=front))


def _block_fronts(times: pl.Series, front: int) -> pl.Series:
    """The front before the first event of each stride: the largest of all whole strides in front of it.

    Maxima of blocks cost a twentieth of a running maximum over every event.
    """
    whole = times.len() // STRIDE_EVENTS * STRIDE_EVENTS
    highest = times.head(whole).reshape((-1, STRIDE_EVENTS)).arr.max() if whole else times.clear()
    behind = pl.concat([pl.Series([front], dtype=pl.Int64), highest.cast(pl.Int64)]).cum_max()
    return _known(behind.head(-(-times.len() // STRIDE_EVENTS)))


def _known(fronts: pl.Series) -> pl.Series:
    return fronts.set(fronts == NO_WATERMARK, None)
