"""The recommendation: the strategy and clock that reach a late rate with the shortest delay, in the library's words.

Law: only what the table shows is recommended, and the text says by which figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from eventide.advice.bounds import Bounds
from eventide.instants import duration_text, length_text

_MUCH_SHORTER = 0.8
_OVER = 1.5


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to write, and why. `code` holds the arguments of `event_time`."""

    code: str
    reason: str


def recommend(found: Bounds, key: str | None, late_rate: float) -> Recommendation:
    """The simplest choice whose delay others do not undercut by a fifth: a bound on the log's clock, a bound on clocks
    by key, then `adaptive`.
    """
    choices = [_fixed(found, clock, key, late_rate) for clock in ("log", "key")]
    choices += [_adaptive(found, clock, key, late_rate) for clock in ("log", "key")]
    best: tuple[float, str, str] | None = None
    for choice in choices:
        if choice is not None and (best is None or choice[0] < _MUCH_SHORTER * best[0]):
            best = choice
    if best is None:
        return Recommendation("et.adaptive(" + f"{late_rate:g})", "no bound of the table reaches the wanted late rate")
    return Recommendation(best[1], best[2])


def _fixed(found: Bounds, clock: str, key: str | None, late_rate: float) -> tuple[float, str, str] | None:
    good = found.of(clock, "bounded").filter(pl.col("late_rate") <= late_rate)
    if not good.height:
        return None
    row = good.row(0, named=True)
    bound = f'et.bounded("{duration_text(round(row["setting"] * 1e6))}")'
    return _choice(row, bound, clock, key, found.cap_us)


def _adaptive(found: Bounds, clock: str, key: str | None, late_rate: float) -> tuple[float, str, str] | None:
    rows = found.of(clock, "adaptive").filter(
        (pl.col("setting") == late_rate) & (pl.col("late_rate") <= _OVER * late_rate)
    )
    if not rows.height:
        return None
    longest = "" if clock == "log" else f', max="{duration_text(found.cap_us)}"'
    return _choice(rows.row(0, named=True), f"et.adaptive({late_rate:g}{longest})", clock, key, found.cap_us)


def _choice(row: dict[str, object], strategy: str, clock: str, key: str | None, cap_us: int) -> tuple[float, str, str]:
    whose = "" if clock == "log" else f', clock=et.per_key("{key}", cap="{duration_text(cap_us)}")'
    delay = row["delay"]
    delay_us = pl.Series([delay], dtype=pl.Duration("us")).cast(pl.Int64)[0]
    rate = float(str(row["late_rate"]))
    reason = f"{rate:.3%} late, the watermark {length_text(delay_us)} behind on average"
    return float(delay_us), strategy + whose, reason
