"""What each bound buys: the share of events in time, and how far the watermark runs behind for it.

Law: an event is late when the watermark in front of it has reached the end of its window (semantics, section 3); the
figures are counted event by event on the recording, nothing is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from eventide.advice.ladder import rung_at_least, rungs_between
from eventide.advice.recording import Recording
from eventide.engine.clocks import clocks_for
from eventide.engine.keys import key_table
from eventide.engine.monitor.tally import ROLLOVER_US
from eventide.flow import LOG
from eventide.instants import NO_WATERMARK
from eventide.semantics.eventtime import Adaptive, EventTime, KeyClock, LogClock

_LENGTH: Final = pl.Duration("us")
_SCHEMA: Final = {
    "clock": pl.String(),
    "strategy": pl.String(),
    "setting": pl.Float64(),
    "late": pl.Int64(),
    "late_rate": pl.Float64(),
    "completeness": pl.Float64(),
    "delay": _LENGTH,
}
WARM_UP_EVENTS = 1_000
_ROWS_SHOWN = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """`table`: a row for each clock (`log`, `key`) and strategy (`bounded`, `adaptive`).

    `setting` is the bound in seconds or the wanted late rate; `late`, `late_rate` and `completeness` count events;
    `delay` is how far, on average, the watermark that judged an event stood behind the newest event of the log. The
    first 1,000 events of each log are left out of the figures of `adaptive`: it learns there. `cap_us` is the cap of
    the key clocks.
    """

    table: pl.DataFrame
    cap_us: int

    def of(self, clock: str, strategy: str) -> pl.DataFrame:
        """The rows of one clock and strategy, in order of their delay."""
        wanted = (pl.col("clock") == clock) & (pl.col("strategy") == strategy)
        return self.table.filter(wanted).sort("delay", "setting")


def bounds(recording: Recording, rates: tuple[float, ...], cap_us: int | None = None) -> Bounds:
    """Judge a recording by every bound that matters for it, with a clock a log and a clock a key, and by `adaptive`."""
    events = recording.events
    cap = cap_us or default_cap_us(recording)
    rows = _fixed_log(events)
    if recording.key is not None:
        rows += _fixed_key(events, cap)
    for rate in rates:
        longest = max(rung_at_least(_longest(events, "log_front")), 1_000_000)
        rows.append(_adaptive(recording, Adaptive(rate, 0, longest), None))
        if recording.key is not None:
            rows.append(_adaptive(recording, Adaptive(rate, 0, cap), cap))
    return Bounds(pl.DataFrame(rows, schema=_SCHEMA), cap)


def default_cap_us(recording: Recording) -> int:
    """The rung that all but one in ten thousand events are not further behind their log's front than; events further
    back than half a rollover of GPS weeks have wrong clocks and are left out.
    """
    behind = recording.events.select((pl.col("log_front") - pl.col("t")).clip(lower_bound=0)).to_series().drop_nulls()
    behind = behind.filter(behind < ROLLOVER_US // 2)
    return max(rung_at_least(int(behind.quantile(0.9999, "higher") or 0)), 1_000_000)


def _longest(events: pl.DataFrame, front: str) -> int:
    found = events.select((pl.col(front) - pl.col("t")).max()).item()
    return max(int(found or 0), 0)


def late_by(events: pl.DataFrame, front: str) -> pl.Series:
    """The longest bound by which each event would still be late; ascending."""
    return events.select((pl.col(front) - pl.col("end")).alias("x")).to_series().drop_nulls().sort()


def late_with(ordered: pl.Series, bound_us: int) -> int:
    """How many events a bound makes late, of the ascending series that `late_by` gives."""
    return ordered.len() - int(ordered.search_sorted(bound_us, side="left"))


def _candidates(events: pl.DataFrame, front: str) -> list[int]:
    behind = events.select(pl.col(front) - pl.col("t")).to_series().drop_nulls()
    positive = behind.filter(behind > 0)
    if not positive.len():
        return [0]
    low = int(positive.quantile(0.05, "higher") or 0)
    rungs = rungs_between(low, int(positive.quantile(0.9999, "higher") or 0))
    step = -(-len(rungs) // _ROWS_SHOWN)
    return [0, *rungs[::-1][::step][::-1]]


def _fixed_log(events: pl.DataFrame) -> list[dict[str, object]]:
    ordered = late_by(events, "log_front")
    return [
        _row("log", "bounded", bound / 1e6, late_with(ordered, bound), events.height, float(bound))
        for bound in _candidates(events, "log_front")
    ]


def _fixed_key(events: pl.DataFrame, cap_us: int) -> list[dict[str, object]]:
    capped = pl.col("log_front") - cap_us >= pl.col("end")
    rest = late_by(events.filter(~capped.fill_null(False)), "key_front")
    lost = events.height - events.filter(~capped.fill_null(False)).height
    gap = (pl.col("log_front") - pl.col("key_front")).fill_null(cap_us)
    made = []
    for bound in _candidates(events, "key_front"):
        if bound > cap_us:
            break
        delay = events.filter(pl.col("log_front").is_not_null()).select((gap + bound).clip(upper_bound=cap_us).mean())
        late = lost + late_with(rest, bound)
        made.append(_row("key", "bounded", bound / 1e6, late, events.height, float(delay.item() or 0.0)))
    return made


def _adaptive(recording: Recording, strategy: Adaptive, cap_us: int | None) -> dict[str, object]:
    """The strategy itself, run over the recording by the engine's own clocks."""
    clock = LogClock() if cap_us is None else KeyClock("key", cap_us)
    late = counted = 0
    behind = 0.0
    for events in recording.by_log:
        log = str(events.get_column(LOG)[0])
        # a log read behind another one would begin where that one has ended, and its events are judged by its own alone
        table = None if cap_us is None else key_table(("key",), events.schema)
        clocks = clocks_for(EventTime("t", strategy, clock), table, ())
        before = clocks.observe(log, events, events.get_column("t")).before
        judged = events.with_columns(before.alias("w")).slice(min(WARM_UP_EVENTS, events.height - 1))
        late += int(judged.select((pl.col("w") >= pl.col("end")).sum()).item())
        known = judged.filter(pl.col("w") > NO_WATERMARK)
        behind += float(known.select((pl.col("log_front") - pl.col("w")).cast(pl.Float64).sum()).item() or 0.0)
        counted += judged.height
    return _row(
        "log" if cap_us is None else "key", "adaptive", strategy.late_rate, late, counted, behind / max(counted, 1)
    )


def _row(clock: str, strategy: str, setting: float, late: int, events: int, delay_us: float) -> dict[str, object]:
    rate = late / max(events, 1)
    return {
        "clock": clock,
        "strategy": strategy,
        "setting": setting,
        "late": late,
        "late_rate": rate,
        "completeness": 1 - rate,
        "delay": round(delay_us),
    }
