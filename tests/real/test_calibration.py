"""How complete windows said they were, and how complete they turned out: the figures of docs/lateness.md, to the digit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from tests.real.streams import STREAMS

import eventide as et

DOCS = Path(__file__).resolve().parents[2] / "docs" / "lateness.md"
DEVICE = ("device",)


@dataclass(frozen=True)
class Case:
    """A stream, its bound and its windows."""

    stream: str
    bound: str
    size: str
    keys: tuple[str, ...] = ()
    cap: str | None = None

    @property
    def title(self) -> str:
        whose = f"per_key, cap {self.cap}" if self.cap else "log"
        return f"| {self.stream} | {', '.join(self.keys) or 'none'} | {whose} | {self.bound} | {self.size} |"


CASES = [
    Case("safecast, reversed", "30m", "1h"),
    Case("safecast, reversed", "30m", "1h", DEVICE),
    Case("safecast, by upload", "30m", "1h"),
    Case("safecast, by upload", "30m", "1h", DEVICE),
    Case("safecast, reversed", "20m", "1h", DEVICE, "6h"),
    Case("safecast, reversed", "45m", "5m"),
    Case("phones d-1", "0s", "200ms"),
    Case("phones d-2", "0s", "200ms"),
    Case("phones d-2", "0s", "500ms"),
    Case("phones d-1", "0s", "500ms"),
    Case("simulated regimes", "2s", "5s"),
    Case("simulated drift", "2s", "5s"),
    Case("simulated outages", "0s", "2s"),
    Case("safecast, reversed", "30m", "5m"),
    Case("safecast, reversed", "30m", "15m"),
    Case("safecast, by upload", "45m", "15m"),
    Case("safecast, reversed", "45m", "5m", DEVICE),
    Case("safecast, reversed", "20m", "15m", DEVICE, "6h"),
    Case("simulated outages", "0s", "5s", DEVICE),
    Case("gateways", "0s", "1m"),
]
BANDS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.995)
"""Windows are judged together by what they said, between these edges."""


def windows(shared: Path, case: Case) -> pl.DataFrame:
    """Each window that came out with what it said (`completeness`), what it held (`n`) and what came too late (`lost`)."""
    plan = STREAMS[case.stream](shared).plan
    assert plan.event_time is not None
    clock = plan.event_time.clock if case.cap is None else et.per_key("device", cap=case.cap)
    timed = et.Stream(replace(plan, event_time=replace(plan.event_time, strategy=et.bounded(case.bound), clock=clock)))
    counted = timed.group_by(*case.keys).window(et.tumbling(case.size), completeness=True).agg(n=et.count())
    out: et.Outcome = counted.run(show=False)
    identity = [*case.keys, "window_start"]
    lost = out.late.group_by(identity).agg(pl.len().cast(pl.Int64).alias("lost"))
    return out.results.join(lost, on=identity, how="left", nulls_equal=True).with_columns(pl.col("lost").fill_null(0))


def said_90_to_95(made: pl.DataFrame) -> pl.DataFrame:
    """The windows that said so, with all the events that there were of each."""
    told = made.filter(pl.col("completeness").is_between(0.90, 0.95, closed="left"))
    return told.with_columns((pl.col("n") + pl.col("lost")).alias("all"))


def share_there(told: pl.DataFrame) -> float:
    return float(told.select(pl.col("n").sum() / pl.col("all").sum()).item())


def off(made: pl.DataFrame) -> float:
    """How far what windows said is from what they held, on average over all their events: by bands of what they said."""
    told = made.drop_nulls("completeness").with_columns(
        (pl.col("n") + pl.col("lost")).alias("all"),
        pl.sum_horizontal((pl.col("completeness") >= edge).cast(pl.Int64) for edge in BANDS).alias("band"),
    )
    said = (pl.col("completeness") * pl.col("all")).sum()
    by_band = told.group_by("band").agg((said - pl.col("n").sum()).abs().alias("off"), pl.col("all").sum())
    return float(by_band.select(pl.col("off").sum() / pl.col("all").sum()).item())


def row(case: Case, made: pl.DataFrame) -> str:
    told = said_90_to_95(made)
    apart = f"{off(made):.1%}{' (no)' if off(made) > 0.01 else ''} |"
    if not told.height:
        return f"{case.title} {apart} 0 | | |"
    said = told.select((pl.col("completeness") * pl.col("all")).sum() / pl.col("all").sum()).item()
    there = share_there(told)
    mark = "" if 0.89 <= there <= 0.96 else " (no)"
    return f"{case.title} {apart} {told.height:,} | {said:.1%} | {there:.1%}{mark} |"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_docs_show_what_windows_said_and_what_they_held(shared: Path, case: Case) -> None:
    shown = [line for line in DOCS.read_text().splitlines() if line.startswith(case.title)]
    assert shown == [row(case, windows(shared, case))]


def test_hourly_windows_of_devices_are_calibrated(shared: Path) -> None:
    for case in (CASES[1], CASES[3], CASES[4]):
        told = said_90_to_95(windows(shared, case))
        assert told.height >= 300
        assert 0.89 <= share_there(told) <= 0.95, case.title


def test_recorded_streams_together_are_calibrated(shared: Path) -> None:
    recorded = [case for case in CASES if not case.stream.startswith("simulated")]
    told = pl.concat([said_90_to_95(windows(shared, case)).select("completeness", "n", "all") for case in recorded])
    said = told.select((pl.col("completeness") * pl.col("all")).sum() / pl.col("all").sum()).item()
    line = f"**{told.height:,} windows, said {said:.1%}, were there {share_there(told):.1%}**"
    assert line in DOCS.read_text()
    assert 0.90 <= share_there(told) <= 0.95
