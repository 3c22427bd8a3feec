"""The picture of an advice: completeness against delay, for clocks by log and by key, with `adaptive` on it.

Law: every point is a row of the table; the scales are written at their axes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import polars as pl

from eventide.errors import EventideError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eventide.advice.bounds import Bounds

_COLOURS: Final = {"log": "#0072B2", "key": "#D55E00"}
_LATE_LEAST = 1e-5
_TICKS_S: Final = (
    (0.0, "0"),
    (0.001, "1 ms"),
    (0.01, "10 ms"),
    (0.1, "100 ms"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3_600.0, "1 h"),
    (21_600.0, "6 h"),
    (86_400.0, "1 d"),
    (864_000.0, "10 d"),
    (8_640_000.0, "100 d"),
    (86_400_000.0, "1,000 d"),
)


def completeness_against_delay(found: Bounds, key: str | None, events: int) -> Figure:
    """The figure. Up is better, left is better; the upper axis ends where nothing was late."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EventideError('pictures need matplotlib: install "eventide[pictures]"') from None
    drawn = Figure(figsize=(8.6, 5.0), layout="constrained")
    axes = drawn.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    floor = max(_LATE_LEAST, 0.5 / max(events, 1))
    for clock, colour in _COLOURS.items():
        named = "one clock a log" if clock == "log" else f"one clock for each {key}"
        _line(axes, found.of(clock, "bounded"), colour, named, floor)
        _stars(axes, found.of(clock, "adaptive"), colour, named, floor)
    _scales(axes, found.table, floor)
    axes.set_title("What a bound buys: events in time against how long results wait", loc="left")
    axes.set_xlabel("mean delay of the watermark behind the newest event")
    axes.set_ylabel("events in time for their window")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return drawn


def _nines(late_rate: float, floor: float) -> float:
    return -math.log10(max(late_rate, floor))


def _points(rows: pl.DataFrame, floor: float) -> tuple[list[float], list[float]]:
    delays = (rows.get_column("delay").cast(pl.Int64) / 1e6).to_list()
    return delays, [_nines(rate, floor) for rate in rows.get_column("late_rate")]


def _line(axes: Axes, rows: pl.DataFrame, colour: str, named: str, floor: float) -> None:
    if not rows.height:
        return
    x, y = _points(rows, floor)
    axes.plot(x, y, color=colour, marker="o", markersize=3.5, linewidth=1.2, label=f"bounded, {named}")
    shown: list[tuple[float, float]] = []
    for place, (setting, at) in enumerate(zip(rows.get_column("setting"), zip(x, y, strict=True), strict=True)):
        if place and any(abs(at[1] - other[1]) < 0.22 for other in shown):
            continue
        shown.append(at)
        left = colour == _COLOURS["log"] and at[0] > 0  # to the left of 0 the scale has its own words
        offset, side = ((-5, 4), "right") if left else ((6, -3), "left")
        axes.annotate(_length(setting), at, offset, textcoords="offset points", fontsize=7, color=colour, ha=side)


def _stars(axes: Axes, rows: pl.DataFrame, colour: str, named: str, floor: float) -> None:
    if not rows.height:
        return
    x, y = _points(rows, floor)
    axes.scatter(
        x, y, color=colour, marker="*", s=110, edgecolors="black", linewidths=0.5, zorder=3, label=f"adaptive, {named}"
    )
    offset, side = ((-6, -11), "right") if colour == _COLOURS["log"] else ((7, 4), "left")
    for setting, at in zip(rows.get_column("setting"), zip(x, y, strict=True), strict=True):
        axes.annotate(f"{setting * 100:g} %", at, offset, textcoords="offset points", fontsize=7, ha=side)


def _scales(axes: Axes, table: pl.DataFrame, floor: float) -> None:
    delays = (table.get_column("delay").cast(pl.Int64) / 1e6).to_list()
    least = min((delay for delay in delays if delay > 0), default=1.0)
    most = max([*delays, 2 * least])
    linear = max((at for at, _ in _TICKS_S if 0 < at <= least), default=0.001)
    axes.set_xscale("symlog", linthresh=linear)
    ticks = [(at, text) for at, text in _TICKS_S if at == 0 or linear <= at <= most * 1.5]
    axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    axes.minorticks_off()
    axes.set_xlim(-0.05 * linear, most * 1.6)
    shares = [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
    top = _nines(0.0, floor)
    kept = [(_nines(1 - share, floor), text) for share, text in shares if _nines(1 - share, floor) < top - 0.15]
    axes.set_yticks([*(at for at, _ in kept), top], [*(text for _, text in kept), "all"])
    axes.set_ylim(-0.05, top + 0.15)


def _length(seconds: float) -> str:
    from eventide.advice.recommend import length_text

    return length_text(seconds * 1e6)
