"""The advice: read a stream once, judge every bound on it, name who costs most, and recommend what to write.

Law: it says nothing that is not counted on the recorded arrivals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from eventide.advice.bounds import Bounds, bounds
from eventide.advice.costs import costs
from eventide.advice.picture import completeness_against_delay
from eventide.advice.recommend import Recommendation, recommend
from eventide.advice.recording import Recording, record
from eventide.engine.monitor import Measured
from eventide.instants import Duration, duration_text, length_text, positive_us
from eventide.plan import Stream
from eventide.semantics.eventtime.strategies import is_share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.05, 0.01, 0.001)
_LISTED = 6


@dataclass(frozen=True)
class Advice:
    """What was found. `bounds.table` is the table, `costs` who costs most, `lateness` what the monitor measured on the
    way, `recommendation` what to write and why.
    """

    recording: Recording
    bounds: Bounds
    costs: pl.DataFrame
    recommendation: Recommendation
    late_rate: float

    @property
    def lateness(self) -> Measured:
        """Displacement and lateness of the recorded events, with clocks that look wrong."""
        return self.recording.measured

    def figure(self) -> Figure:
        """Completeness against delay, as a matplotlib figure."""
        return completeness_against_delay(self.bounds, self.recording.key, self.recording.events.height)

    def __str__(self) -> str:
        events = self.recording.events.height
        parts = [f"{events:,} events, {self.recording.refused:,} refused", *self._table(), "", *self._costs()]
        parts += [f"suspect: {row['who']}: {row['reason']}" for row in self.lateness.suspects.iter_rows(named=True)]
        if self.recording.settings.max_age_us is None and "rollover" in self.lateness.suspects["kind"].to_list():
            parts.append('a guard such as max_age="365d" refuses them: set it and ask again')
        parts += [
            "",
            f"for at most {self.late_rate:.3%} late:",
            f'    .event_time("{self.recording.settings.column}", ',
        ]
        parts[-1] += f"{self.recommendation.code})"
        return "\n".join([*parts, f"    {self.recommendation.reason}"])

    def _table(self) -> list[str]:
        lines = [f"{'clock':6s}{'strategy':26s}{'late':>9s}{'late rate':>11s}{'in time':>10s}{'mean delay':>13s}"]
        for row in self.bounds.table.iter_rows(named=True):
            setting = row["setting"]
            fixed = row["strategy"] == "bounded"
            said = f'bounded("{duration_text(round(setting * 1e6))}")' if fixed else f"adaptive({setting:g})"
            delay_us = _us(row["delay"])
            rates = f"{row['late_rate']:>11.3%}{row['completeness']:>10.2%}"
            lines.append(f"{row['clock']:6s}{said:26s}{row['late']:>9,}{rates}{length_text(delay_us):>13s}")
        return lines

    def _costs(self) -> list[str]:
        bound_us = _us(self.costs.get_column("bound")[0])
        lines = [f"one clock a log needs {length_text(bound_us)} for at most {self.late_rate:.3%} late; without"]
        for row in self.costs.head(_LISTED).iter_rows(named=True):
            without = length_text(_us(row["bound_without"]))
            lines.append(
                f"    {row['who']} ({row['events']:,} events, {row['late']:,} of them late) it needs {without}"
            )
        return lines


def advise(stream: Stream, *, key: str | None = None, late_rate: float = 0.01, cap: Duration | None = None) -> Advice:
    """Read a bounded stream once and say which bound buys which completeness at which delay.

    `key` names the column of devices (without it: the clock's key, or the windows' first). `late_rate` is the share of
    events that may be late. `cap` is how far a silent device may hold its windows back (without it: what all but one in
    ten thousand events stay within). The strategy of the stream itself does not matter, its guards do.

    Raises `PlanError` where the stream has no event time or never ends.

    >>> import eventide as et
    >>> rows = [{"at": 1_000 * n - (3_500 if n % 10 == 9 else 0)} for n in range(100)]
    >>> stream = et.from_rows(rows, schema={"at": et.Instant}).event_time("at", et.bounded("0s"))
    >>> et.advise(stream, late_rate=0.01).recommendation.code
    'et.bounded("3s")'
    """
    if not is_share(late_rate):
        raise ValueError(f"late_rate={late_rate!r} must lie between 0 and 1: 0.01 lets one event in a hundred be late")
    if not isinstance(stream, Stream):
        raise ValueError(f"{stream!r} is not a stream: of a file, make one with et.read_csv(...) and event_time")
    recording = record(stream.plan, key)
    rates = tuple(sorted({*RATES, late_rate}, reverse=True))
    found = bounds(recording, rates, None if cap is None else positive_us(cap, "cap"))
    return Advice(recording, found, costs(recording, late_rate), recommend(found, recording.key, late_rate), late_rate)


def _us(length: object) -> int:
    return int(pl.Series([length], dtype=pl.Duration("us")).cast(pl.Int64)[0])
