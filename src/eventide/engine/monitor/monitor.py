"""The monitor: looks at the events of each log behind the guards and counts how far they run behind.

Law: the first 32,768 events of a log are all looked at, behind them every 251st stands for 251; places are counted
along the log, so the cuts between batches do not show. How many events came, how many stood behind the watermark and
how far at most is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from eventide.engine.clocks import Clocks
from eventide.engine.completeness import Shares
from eventide.engine.monitor.measured import LogCounts, Measured, measured
from eventide.engine.monitor.tally import Frames, Tally
from eventide.flow import ARRIVAL
from eventide.instants import NO_WATERMARK
from eventide.semantics.eventtime import EventTime, KeyClock

EVERY_EVENTS = 32_768
"""So many events at the beginning of a log are all looked at."""

STRIDE_EVENTS = 251
"""Behind them one in so many is: a prime, so that devices that report in turn are all met."""

_TOGETHER_ROWS = 1_024


@dataclass
class LogWatch:
    """What is known of one log: exact counts, the tally of its samples and the tally of what the guards refused."""

    counts: LogCounts
    samples: Tally
    refused: Tally
    backlog: list[pl.DataFrame] = field(default_factory=list)
    backlog_rows: int = 0


@dataclass
class Monitor:
    """Watches all logs of a run. `keys` are the columns that tell whose an event is; `shares` is kept for a plan
    that asks how complete its windows are.
    """

    settings: EventTime
    keys: Sequence[str] = ()
    shares: Shares | None = None
    logs: dict[str, LogWatch] = field(default_factory=dict)

    def of(self, log: str) -> LogWatch:
        """What is known of a log."""
        if log not in self.logs:
            self.logs[log] = LogWatch(LogCounts(), Tally(self._inner), Tally(self._inner))
        return self.logs[log]

    @property
    def _inner(self) -> tuple[str, ...]:
        """The key columns in samples: a user's column may have any name but one that begins with an underscore."""
        return tuple(f"_key{number}" for number in range(len(self.keys)))

    def see(self, log: str, rows: pl.DataFrame, times: pl.Series, before: pl.Series) -> None:
        """Look at the admitted rows of a batch, their event times and the watermark in front of each."""
        if self.shares is not None:
            self.shares.begin(rows.height)
        if not rows.height:
            return
        watch = self.of(log)
        # one event at a time is common where results must come at once: such batches are looked at together, later
        watch.backlog.append(self._columns(rows, times, before))
        watch.backlog_rows += rows.height
        if watch.backlog_rows >= _TOGETHER_ROWS:
            self._look(watch)

    def _columns(self, rows: pl.DataFrame, times: pl.Series, before: pl.Series) -> pl.DataFrame:
        """What the monitor needs of rows: the same columns, nothing copied and no query engine woken."""
        named = [rows.get_column(name).alias(inner) for name, inner in zip(self.keys, self._inner, strict=True)]
        arrived = rows.get_column(ARRIVAL).cast(pl.Int64).alias("arrival")
        return pl.DataFrame([*named, times.alias("t"), before.alias("before"), arrived])

    def _look(self, watch: LogWatch) -> None:
        """Look at the rows that wait."""
        if not watch.backlog:
            return
        rows = watch.backlog[0] if len(watch.backlog) == 1 else pl.concat(watch.backlog)
        watch.backlog, watch.backlog_rows = [], 0
        self._see(watch, rows)

    def _see(self, watch: LogWatch, rows: pl.DataFrame) -> None:
        times, before = rows.get_column("t"), rows.get_column("before")
        _count(watch.counts, rows, times, before)
        front, counts = watch.counts.front, watch.counts
        head = min(max(EVERY_EVENTS - counts.events, 0), rows.height)
        if head:
            fronts = _fronts(times.head(head), front)
            watch.samples.add(_samples(rows.head(head), fronts, 1))
            front = max(front, int(times.head(head).max()))  # type: ignore[arg-type] # integers
        first = head + -(counts.events + head) % STRIDE_EVENTS
        fronts, counts.front = _stride_fronts(times.slice(head, first - head), times.slice(first), front)
        counts.events += rows.height
        if fronts.len():
            every = pl.int_range(first, rows.height, STRIDE_EVENTS, dtype=pl.UInt32, eager=True)
            taken = pl.DataFrame([column[every] for column in rows])  # by index: wakes no query engine
            watch.samples.add(_samples(taken, _known(fronts), STRIDE_EVENTS))

    def see_refused(self, log: str, bad: pl.DataFrame) -> None:
        """Look at the rows that a guard refused: their times tell of clocks that are wrong."""
        dated = bad.filter(pl.col(self.settings.column).is_not_null())
        if dated.height:
            none = pl.Series([None], dtype=pl.Int64).new_from_index(0, dated.height)
            times = dated.get_column(self.settings.column).cast(pl.Int64)
            self.of(log).refused.add(_samples(self._columns(dated, times, none), none, 1))

    def measured(self, clocks: Clocks) -> Measured:
        """Everything measured so far, as frames."""
        for watch in self.logs.values():
            self._look(watch)
        logs = {log: self.logs.get(log) or LogWatch(LogCounts(), Tally(()), Tally(())) for log in clocks.logs}
        logs |= self.logs
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
            self._look(watch)
            frames |= {f"{number}.{name}": frame for name, frame in watch.samples.dump().items()}
            frames |= {f"{number}.refused.{name}": frame for name, frame in watch.refused.dump().items()}
        counts = {log: msgspec.to_builtins(watch.counts) for log, watch in self.logs.items()}
        if self.shares is None:
            return {"counts": counts}, frames
        shares, tables = self.shares.dump()
        frames |= {f"shares.{name}": frame for name, frame in tables.items()}
        return {"counts": counts, "shares": shares}, frames

    def restore(self, values: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot back."""
        if self.shares is not None and values.get("shares") is not None:
            self.shares.load(values["shares"], _part(frames, "shares."))
        counts = msgspec.convert(values["counts"], dict[str, LogCounts])
        for number, (log, one) in enumerate(counts.items()):
            mine = _part(frames, f"{number}.")
            samples, refused = Tally.load(self._inner, mine), Tally.load(self._inner, _part(mine, "refused."))
            self.logs[log] = LogWatch(one, samples, refused)


def monitor_for(settings: EventTime, group: Sequence[str], columns: Mapping[str, pl.DataType]) -> Monitor:
    """The monitor of a plan: events are told apart by the clock's key, else by the windows' keys that rows have at the
    door.
    """
    wanted = (settings.clock.key,) if isinstance(settings.clock, KeyClock) else tuple(group)
    return Monitor(settings, tuple(name for name in wanted if name in columns))


def _part(frames: Mapping[str, pl.DataFrame], prefix: str) -> Frames:
    return {name[len(prefix) :]: frame for name, frame in frames.items() if name.startswith(prefix)}


def _samples(rows: pl.DataFrame, fronts: pl.Series, weight: int) -> pl.DataFrame:
    weights = pl.Series("weight", [weight], dtype=pl.Int64).new_from_index(0, rows.height)
    return rows.hstack([fronts.alias("front"), weights])


def _count(counts: LogCounts, rows: pl.DataFrame, times: pl.Series, before: pl.Series) -> None:
    """What is exact but the front: events behind their watermark, how far at most, the newest arrival."""
    is_behind = times < before
    behind = int(is_behind.sum())
    if behind:
        counts.behind += behind
        far = (before.filter(is_behind) - times.filter(is_behind)).max()
        counts.behind_us_max = max(counts.behind_us_max, int(far))  # type: ignore[arg-type] # integers
    newest = rows.get_column("arrival").max()
    if newest is not None:
        newest_us = int(newest)  # type: ignore[arg-type] # integers
        counts.arrival_us_max = max(counts.arrival_us_max or newest_us, newest_us)


def _fronts(times: pl.Series, front: int) -> pl.Series:
    """The front before each event; null before the first of the log."""
    return _known(times.cum_max().clip(lower_bound=front).shift(1, fill_value=front))


def _stride_fronts(skipped: pl.Series, times: pl.Series, front: int) -> tuple[pl.Series, int]:
    """The front before the first event of each stride in `times`, and the front behind everything.

    `skipped` are the events in front of the first stride. Maxima of whole strides cost a twentieth of a running maximum
    over every event.
    """
    whole = times.len() // STRIDE_EVENTS * STRIDE_EVENTS
    highest = times.head(whole).reshape((-1, STRIDE_EVENTS)).arr.max() if whole else times.head(0)
    start = max([front, *(int(part.max()) for part in (skipped,) if part.len())])  # type: ignore[arg-type] # integers
    highest = pl.Series([start], dtype=pl.Int64).extend(highest)
    running = highest if highest.is_sorted() else highest.cum_max()
    rest = times.slice(whole)
    last = int(running[-1])
    behind = max(last, int(rest.max())) if rest.len() else last  # type: ignore[arg-type] # integers
    return running.head(-(-times.len() // STRIDE_EVENTS)), behind


def _known(fronts: pl.Series) -> pl.Series:
    """The fronts (which only rise), null where there was none yet."""
    is_known = not fronts.len() or fronts[0] != NO_WATERMARK
    return fronts if is_known else fronts.set(fronts == NO_WATERMARK, None)
