"""The picture of an advice: completeness against delay, for clocks by log and by key, with `adaptive` on it.

Law: every point is a row of the table; the scales are written at their axes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import polars as pl

from eventide.figures import figure, length_axis
from eventide.instants import length_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    from eventide.advice.bounds import Bounds

_COLOURS: Final = {"log": "#0072B2", "key": "#D55E00"}
_LATE_LEAST = 1e-5
Place: TypeAlias = tuple[tuple[int, int], Literal["left", "right"]]
"""Where words stand beside a point: so many typographic points off, and on which side of that they begin."""


def completeness_against_delay(found: Bounds, key: str | None, events: int) -> Figure:
    """The figure. Up is better, left is better; the upper axis ends where nothing was late."""
    drawn, axes = figure(8.6, 5.0)
    floor = max(_LATE_LEAST, 0.5 / max(events, 1))
    stars: list[Annotation] = []
    dots: list[Annotation] = []
    for clock, colour in _COLOURS.items():
        named = "one clock a log" if clock == "log" else f"one clock for each {key}"
        dots += _line(axes, found.of(clock, "bounded"), colour, named, floor)
        stars += _stars(axes, found.of(clock, "adaptive"), colour, named, floor)
    _scales(axes, found.table, floor)
    axes.set_title("What a bound buys: events in time against how long results wait", loc="left")
    axes.set_xlabel("mean delay of the watermark behind the newest event")
    axes.set_ylabel("events in time for their window")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    _thin_out(drawn, [*stars, *dots])
    return drawn


def _nines(late_rate: float, floor: float) -> float:
    return -math.log10(max(late_rate, floor))


def _points(rows: pl.DataFrame, floor: float) -> tuple[list[float], list[float]]:
    delays = (rows.get_column("delay").cast(pl.Int64) / 1e6).to_list()
    return delays, [_nines(rate, floor) for rate in rows.get_column("late_rate")]


def _line(axes: Axes, rows: pl.DataFrame, colour: str, named: str, floor: float) -> list[Annotation]:
    if not rows.height:
        return []
    x, y = _points(rows, floor)
    axes.plot(x, y, color=colour, marker="o", markersize=3.5, linewidth=1.2, label=f"bounded, {named}")
    texts = []
    for setting, at in zip(rows.get_column("setting"), zip(x, y, strict=True), strict=True):
        left = colour == _COLOURS["log"] and at[0] > 0  # to the left of 0 the scale has its own words
        place: Place = ((-5, 4), "right") if left else ((5, 4), "left") if at[0] == 0 else ((5, -9), "left")
        texts.append(_said(axes, length_text(setting * 1e6), at, place, colour))
    return texts


def _stars(axes: Axes, rows: pl.DataFrame, colour: str, named: str, floor: float) -> list[Annotation]:
    if not rows.height:
        return []
    x, y = _points(rows, floor)
    axes.scatter(
        x, y, color=colour, marker="*", s=110, edgecolors="black", linewidths=0.5, zorder=3, label=f"adaptive, {named}"
    )
    place: Place = ((-7, -3), "right") if colour == _COLOURS["log"] else ((7, -3), "left")
    wishes: dict[tuple[float, float], list[str]] = {}
    for setting, at in zip(rows.get_column("setting"), zip(x, y, strict=True), strict=True):
        wishes.setdefault(at, []).append(f"{setting * 100:g}")
    return [_said(axes, f"{', '.join(rates)} %", at, place) for at, rates in wishes.items()]


def _said(axes: Axes, text: str, at: tuple[float, float], place: Place, colour: str = "black") -> Annotation:
    offset, side = place
    return axes.annotate(text, at, offset, textcoords="offset points", fontsize=7, ha=side, color=colour)


def _thin_out(drawn: Figure, texts: list[Annotation]) -> None:
    """Take away words that would stand on others. The first ones stay."""
    drawn.draw_without_rendering()
    kept: list[Bbox] = []
    for text in texts:
        box = text.get_window_extent()
        if any(box.overlaps(other) for other in kept):
            text.remove()
        else:
            kept.append(box)


def _scales(axes: Axes, table: pl.DataFrame, floor: float) -> None:
    delays = (table.get_column("delay").cast(pl.Int64) / 1e6).to_list()
    least = min((delay for delay in delays if delay > 0), default=1.0)
    most = max([*delays, 2 * least])
    linear = length_axis(axes, least, most * 1.5)
    axes.set_xlim(-0.05 * linear, most * 1.6)
    shares = [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")]
    top = _nines(0.0, floor)
    kept = [(_nines(1 - share, floor), text) for share, text in shares if _nines(1 - share, floor) < top - 0.15]
    axes.set_yticks([*(at for at, _ in kept), top], [*(text for _, text in kept), "all"])
    axes.set_ylim(-0.05, top + 0.15)
