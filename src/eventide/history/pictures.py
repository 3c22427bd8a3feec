"""Pictures of a run: arrival against event time, lateness by key, one key's windows, completeness of first results.

Law: a picture shows the rows it is given; what it leaves out is written on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from eventide.errors import EventideError
from eventide.figures import date_axis, figure, length_axis
from eventide.instants import length_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"on time": "#0072B2", "corrected": "#E69F00", "late": "#D55E00", "refused": "#999999"}
"""What became of an event, in colours that colour-blind people tell apart (Okabe and Ito, 2008)."""

_LINES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
_FAR_S = 30 * 86_400
_BINS_PER_DECADE = 4


def arrival_against_event_time(events: pl.DataFrame, title: str | None = None, line: str = "watermark") -> Figure:
    """When events happened and when they arrived, with a watermark as a line for each log.

    `events` has `time` and `arrival` (instants), `class` (a key of `COLOURS`), `watermark` (an instant or null) and,
    where there are several, `_log`. `line` names the line.
    """
    drawn, axes = figure()
    near = _near(events)
    for name, colour in COLOURS.items():
        part = near.filter(pl.col("class") == name)
        if part.height:
            axes.scatter(
                part["time"].to_list(),
                part["arrival"].to_list(),
                s=5,
                color=colour,
                linewidths=0,
                alpha=0.7,
                label=f"{name} ({part.height:,})",
            )
    drawn_logs, logs = _watermarks(axes, near, line)
    behind = near.filter(pl.col("class").is_in(["late", "corrected"])).height
    axes.set_title(title or f"{behind:,} of {near.height:,} events came behind their windows", loc="left")
    axes.set_xlabel("event time (UTC)")
    axes.set_ylabel("arrival time (UTC)")
    told = [_left_out(events, near)]
    if drawn_logs < logs:
        told.append(f"lines of {drawn_logs} of {logs} logs")
    notes = "; ".join(text for text in told if text)
    axes.annotate(notes, (0.99, 0.02), xycoords="axes fraction", ha="right", fontsize=8)
    axes.legend(loc="upper left", fontsize=8, frameon=False, markerscale=2.5)
    date_axis(axes.xaxis)
    date_axis(axes.yaxis)
    return drawn


def _near(events: pl.DataFrame) -> pl.DataFrame:
    """The events that can be drawn to scale: arrived within 30 days of their time."""
    near = events.filter((pl.col("arrival") - pl.col("time")).dt.total_seconds().abs() <= _FAR_S)
    if events.height and not near.height:
        raise EventideError(
            "there is nothing to draw: no event arrived within 30 days of its time. Events that were recorded have "
            "their arrivals in a column: name it with arrival= in read_csv and the like"
        )
    return near


def _left_out(events: pl.DataFrame, near: pl.DataFrame) -> str:
    count = events.height - near.height
    return f"{_events(count)} more than 30 days off, not drawn" if count else ""


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"


def _watermarks(axes: Axes, events: pl.DataFrame, name: str) -> tuple[int, int]:
    """A line for each log: its watermark over arrival time. How many are drawn, and how many logs there are."""
    known = events.filter(pl.col("watermark").is_not_null(), pl.col("arrival").is_not_null()).sort("arrival")
    logs = known.partition_by("_log", maintain_order=True) if "_log" in known.columns else [known]
    for number, part in enumerate(logs[: len(_LINES)]):
        shown = part.filter(pl.col("watermark") >= events["time"].min())
        if not shown.height:
            continue
        label = name if len(logs) == 1 else f"{name} of {part['_log'][0]}"
        colour = "black" if len(logs) == 1 else _LINES[number]
        axes.plot(shown["watermark"].to_list(), shown["arrival"].to_list(), color=colour, linewidth=1.2, label=label)
    return len(logs[: len(_LINES)]), len(logs)


def lateness_histogram(events: pl.DataFrame, keyed_by: str = "device", counted: str = "events") -> Figure:
    """How far arrivals are behind event times, by `key`; the keys with most events, and the rest together. `counted`
    says what is counted.
    """
    drawn, axes = figure(height=4.2)
    lateness_us = (pl.col("arrival") - pl.col("time")).dt.total_microseconds()
    within = _near(events)
    near = within.select("key", (lateness_us.cast(pl.Float64) / 1e6).alias("s"))
    ahead = near.filter(pl.col("s") < 0).height
    near = near.with_columns(pl.col("s").clip(lower_bound=0.0))
    most = near["key"].value_counts(sort=True)["key"].head(6).to_list()
    groups = [near.filter(pl.col("key") == key)["s"].to_list() for key in most]
    rest = near.filter(~pl.col("key").is_in(most))["s"].to_list()
    names = [str(key) for key in most] + (["all others"] if rest else [])
    series = [*groups, rest] if rest else groups
    least_s = _least(near["s"])
    decades = int(math.log10(_FAR_S / least_s)) + 1
    steps = range(decades * _BINS_PER_DECADE + 1)
    edges = [0.0, *(least_s * 10 ** (step / _BINS_PER_DECADE) for step in steps)]
    axes.hist(series, bins=edges, stacked=True, label=names, color=list(_LINES[: len(series)]))
    furthest_s = max(60 * least_s, float(near["s"].max() or 0) * 1.1)  # type: ignore[arg-type] # a column of floats
    length_axis(axes, least_s, furthest_s)
    axes.set_xlim(0, furthest_s)
    middle = near["s"].median()
    axes.set_title(f"Half of the events arrive within {length_text(float(middle or 0) * 1e6)}", loc="left")  # type: ignore[arg-type]
    told = [_left_out(events, within), f"{_events(ahead)} dated ahead of arrival drawn at 0" if ahead else ""]
    notes = "; ".join(text for text in told if text)
    axes.set_xlabel("arrival time less event time" + (f"\n({notes})" if notes else ""))
    axes.set_ylabel(counted)
    axes.legend(fontsize=8, frameon=False, title=keyed_by, title_fontsize=8)
    return drawn


def _least(lateness_s: pl.Series) -> float:
    """Where the logarithmic scale begins: the power of ten that a hundredth of the lengths above zero stay below, from
    a millisecond to a second.
    """
    least = lateness_s.filter(lateness_s > 0).quantile(0.01)
    return 1.0 if least is None else min(1.0, max(0.001, 10.0 ** math.floor(math.log10(least))))


def windows_of(  # noqa: PLR0913 - the parts of a picture, each with a default
    results: pl.DataFrame,
    columns: Sequence[str],
    late: pl.DataFrame | None = None,
    *,
    corrected: pl.DataFrame | None = None,
    title: str = "",
    threshold: float | None = None,
    unit: str = "",
) -> Figure:
    """One key's windows over time: each column's last value, revised windows marked, late events as ticks.

    `results` has `window_start`, `window_end`, `revision` and the columns, in the order in which rows came out; `late`
    has `time`. So has `corrected`, the events behind their windows' ends that count: they mark a window that began with
    one, too, which its results do not tell. Lines are broken where a window is missing. A thin line at a circle leads
    to the window's first value. `threshold` is drawn as a line; `unit` is written at the axis.
    """
    drawn, axes = figure()
    last = results.unique("window_start", keep="last").sort("window_start")
    follows = pl.col("window_start") <= pl.col("window_end").shift(1)
    parts = last.with_columns((~follows).fill_null(True).cum_sum().alias("_part")).partition_by("_part")
    for number, name in enumerate(columns):
        colour = _LINES[number % len(_LINES)]
        for part in parts:
            values = (part["window_start"].to_list(), part[name].to_list())
            label = name if part is parts[0] else None
            axes.plot(*values, color=colour, linewidth=1.1, marker=".", markersize=2.5, label=label)
    revised = _revised(results, columns[0], corrected) if columns else last.clear()
    if revised.height:
        _mark_revised(axes, revised)
    lost = [] if late is None else late["time"].to_list()
    if lost:
        axes.plot(
            lost,
            [0.02] * len(lost),
            "|",
            color=COLOURS["late"],
            markersize=10,
            transform=axes.get_xaxis_transform(),
            label=f"late events ({len(lost):,})",
        )
    if threshold is not None:
        axes.axhline(threshold, color="black", linewidth=0.8, linestyle="--", label=f"{threshold:g} {unit}".strip())
    axes.set_title(f"{title}{_windows(last.height)}, {revised.height:,} put right by later events", loc="left")
    axes.set_ylabel(", ".join(columns) + (f" ({unit})" if unit else ""))
    axes.set_xlabel("event time (UTC)")
    axes.legend(fontsize=8, frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    date_axis(axes.xaxis)
    return drawn


def _revised(results: pl.DataFrame, column: str, corrected: pl.DataFrame | None) -> pl.DataFrame:
    """The windows that took events behind their end, with the first and the last value of a column."""
    first = results.filter(~pl.col("early")) if "early" in results.columns else results
    by_window = first.group_by("window_start", maintain_order=True).agg(
        pl.col(column).first().alias("first"),
        pl.col(column).last().alias("last"),
        (pl.col("revision").max() > pl.col("revision").min()).alias("revised"),
    )
    took = pl.col("window_start").is_in(_windows_with(results, corrected).implode())
    known = by_window.filter(pl.col("revised") | took, pl.col("last").is_not_null())
    return known.with_columns(pl.coalesce("first", "last").alias("first")).sort("window_start")


def _windows_with(results: pl.DataFrame, events: pl.DataFrame | None) -> pl.Series:
    """The starts of the windows that have any of the events."""
    bounds = results.select("window_start", "window_end").unique().sort("window_start")
    if events is None:
        return bounds["window_start"].clear()
    found = events.select("time").sort("time").join_asof(bounds, left_on="time", right_on="window_start")
    return found.filter(pl.col("time") < pl.col("window_end"))["window_start"].unique()


def _mark_revised(axes: Axes, revised: pl.DataFrame) -> None:
    starts = revised["window_start"].to_list()
    axes.vlines(starts, revised["first"].to_list(), revised["last"].to_list(), color="black", linewidth=0.8)
    axes.scatter(
        starts,
        revised["last"].to_list(),
        s=22,
        facecolors="none",
        edgecolors="black",
        label=f"corrected later ({_windows(revised.height)})",
    )


def completeness_over_time(windows: pl.DataFrame, *, said: bool = False) -> Figure:
    """How complete first results were.

    `windows` has `window_start` and `share`, the share of the final number of events that the first result held; and
    with `said` also `completeness`, the share that the result itself expected: drawn one against the other.
    """
    drawn, axes = figure(height=4.2)
    whole = windows.filter(pl.col("share") >= 1.0).height
    axes.set_title(f"{whole:,} of {_windows(windows.height)} were complete in their first result", loc="left")
    axes.set_ylabel("share of the final events in the first result")
    axes.set_ylim(0, 1.05)
    if said:
        known = windows.drop_nulls("completeness")
        axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="as said")
        points = known["completeness"].to_list(), known["share"].to_list()
        axes.scatter(*points, s=6, color=_LINES[0], alpha=0.4, label="a window")
        binned = known.group_by((pl.col("completeness") * 20).floor().clip(0, 19).alias("bin")).agg(
            pl.col("completeness").mean(), pl.col("share").mean()
        )
        binned = binned.sort("bin")
        axes.plot(
            binned["completeness"].to_list(), binned["share"].to_list(), color=_LINES[5], marker="o", label="mean"
        )
        least = min([0.9, *known["completeness"].to_list(), *known["share"].to_list()])
        axes.set_xlim(math.floor(least * 10) / 10, 1.01)
        axes.set_ylim(math.floor(least * 10) / 10, 1.02)
        axes.set_xlabel("completeness said by the first result")
        axes.legend(fontsize=8, frameon=False, loc="lower right")
        return drawn
    starts, shares = windows["window_start"].to_list(), windows["share"].to_list()
    axes.scatter(starts, shares, s=6, color=_LINES[0], alpha=0.4, label="a window")
    mean = windows.group_by("window_start").agg(pl.col("share").mean()).sort("window_start")
    axes.plot(mean["window_start"].to_list(), mean["share"].to_list(), color=_LINES[5], label="mean of all keys")
    axes.set_xlabel("window (UTC)")
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    date_axis(axes.xaxis)
    return drawn


def _windows(count: int) -> str:
    return "1 window" if count == 1 else f"{count:,} windows"
