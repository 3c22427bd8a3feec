"""What `adaptive` achieves on recorded and simulated streams: the figures that docs/lateness.md shows, to the digit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from tests.real.streams import STREAMS

from eventide.advice.recording import Recording, record
from eventide.engine.clocks import clocks_for
from eventide.engine.keys import key_table
from eventide.flow import LOG
from eventide.instants import NO_WATERMARK
from eventide.semantics.eventtime import Adaptive, EventTime, KeyClock, LogClock

DOCS = Path(__file__).resolve().parents[2] / "docs" / "lateness.md"
RATES = (0.05, 0.01, 0.001)
CASES = [(name, "log") for name in STREAMS] + [("safecast, by upload", "key"), ("safecast, reversed", "key")]
WARM_UP = 2_000
DAY, CAP = 86_400_000_000, 6 * 3_600_000_000


@dataclass(frozen=True)
class Judged:
    """What happened behind the warm-up: the achieved rate over the wanted one, the mean delay of the watermark behind its
    clock's front, and the shortest fixed bound that loses no more.
    """

    ratio: float
    delay_us: float
    best_us: int
    expected: float

    @property
    def share(self) -> float | None:
        """The delay over that of the best fixed bound; None where that is no bound at all."""
        return self.delay_us / self.best_us if self.best_us > 10_000 else None

    @property
    def holds(self) -> bool:
        rate = 1 / 1.5 <= self.ratio <= 1.5 or (self.ratio < 1 and self.delay_us < 10_000)
        return rate and self.delay_us <= max(1.2 * self.best_us, 10_000)


@cache
def recorded(shared: Path, name: str) -> Recording:
    return record(STREAMS[name](shared).plan, "device")


def judge(recording: Recording, clock: str, rate: float) -> Judged:
    events = recording.events
    by_key = clock == "key"
    settings = EventTime(
        "t", Adaptive(rate, 0, DAY if not by_key else CAP), KeyClock("key", CAP) if by_key else LogClock()
    )
    clocks = clocks_for(settings, key_table(("key",), {"key": pl.String()}) if by_key else None, ("key",))
    before = clocks.observe("one", events, events.get_column("t")).before
    assert events.get_column(LOG).n_unique() == 1
    front = "key_front" if by_key else "log_front"
    judged = events.with_columns(before.alias("w")).slice(WARM_UP)
    late = int(judged.select((pl.col("w") > pl.col("t")).sum()).item())
    known = judged.filter((pl.col("w") > NO_WATERMARK) & pl.col(front).is_not_null())
    delay = known.select((pl.col(front) - pl.col("w")).clip(lower_bound=0).mean()).item()
    capped = (pl.col("log_front") - CAP > pl.col("t")).fill_null(False) if by_key else pl.lit(False)
    free = judged.filter(~capped).select((pl.col(front) - pl.col("t")).clip(lower_bound=0).fill_null(0).alias("d"))
    worst = free.to_series().sort(descending=True)
    best = int(worst[min(max(late - (judged.height - free.height), 0), worst.len() - 1)])
    return Judged(late / judged.height / rate, float(delay), best, rate * judged.height)


def row(name: str, clock: str, judged: list[Judged]) -> str:
    cells = [
        f"{one.ratio:.2f} / {'-' if one.share is None else f'{one.share:.2f}'}{'' if one.holds else ' (no)'}"
        for one in judged
    ]
    return f"| {name} | {clock} | {' | '.join(cells)} |"


@pytest.mark.parametrize(("name", "clock"), CASES)
def test_the_docs_show_what_adaptive_achieves(shared: Path, name: str, clock: str) -> None:
    judged = [judge(recorded(shared, name), clock, rate) for rate in RATES]
    shown = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| {name} | {clock} |")]
    assert shown == [row(name, clock, judged)]


@pytest.mark.parametrize(("name", "clock"), CASES)
def test_five_and_one_in_a_hundred_are_kept_everywhere_and_one_in_a_thousand_where_there_are_enough_events(
    shared: Path, name: str, clock: str
) -> None:
    for rate in RATES[:2]:
        assert judge(recorded(shared, name), clock, rate).holds, rate


def test_the_docs_give_a_reason_for_every_no() -> None:
    text = DOCS.read_text()
    named = {match[1] for match in re.finditer(r"^\| ([^|]+) \| (?:log|key) \|.*\(no\)", text, re.M)}
    reasons = text[text.index("### Where it cannot") :]
    assert named
    assert [name for name in sorted(named) if f"**{name}**" not in reasons] == []
