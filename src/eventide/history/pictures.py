"""Pictures of a run: arrival against event time, lateness by device, one device's doses.

Law: a picture shows the rows it is given; what it leaves out is written on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from eventide.errors import EventideError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"on time": "#0072B2", "corrected": "#E69F00", "late": "#D55E00", "refused": "#999999"}
"""What became of an event, in colours that colour-blind people tell apart (Okabe and Ito, 2008)."""

_LINES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
_FAR_S = 30 * 86_400
_BIN_EDGES_S = [0.0, *(10 ** (step / 4) for step in range(0, 25))]


def figure(width: float = 9.0, height: float = 4.8) -> tuple[Figure, Axes]:
    """An empty picture. Raises `EventideError` when matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EventideError('pictures need matplotlib: install "eventide[pictures]"') from None
    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    return drawn, axes


def arrival_against_event_time(events: pl.DataFrame) -> Figure:
    """When events happened and when they arrived, with the watermark as a line.

    `events` has `time` and `arrival` (instants), `class` (a key of `COLOURS`) and `watermark` (an instant or null).
    """
    drawn, axes = figure()
    lateness_s = (pl.col("arrival") - pl.col("time")).dt.total_seconds()
    far = lateness_s.abs() > _FAR_S
    near = events.filter(~far)
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
    line = near.filter(pl.col("watermark").is_not_null()).sort("arrival")
    if line.height:
        shown = line.filter(pl.col("watermark") >= near["time"].min())
        axes.plot(
            shown["watermark"].to_list(),
            shown["arrival"].to_list(),
            color="black",
            linewidth=1.2,
            label="watermark of the log",
        )
    behind = near.filter(pl.col("class").is_in(["late", "corrected"])).height
    axes.set_title(f"{behind:,} of {near.height:,} readings came behind their windows", loc="left")
    axes.set_xlabel("event time (UTC)")
    axes.set_ylabel("arrival time (UTC)")
    if near.height < events.height:
        left_out = events.height - near.height
        axes.annotate(
            f"{left_out:,} readings with clocks more than 30 days off are not drawn",
            (0.99, 0.02),
            xycoords="axes fraction",
            ha="right",
            fontsize=8,
        )
    axes.legend(loc="upper left", fontsize=8, frameon=False, markerscale=2.5)
    _dates(drawn, axes, both=True)
    return drawn


def lateness_histogram(events: pl.DataFrame) -> Figure:
    """How far arrivals are behind event times, by key; the keys with most events, and the rest together."""
    drawn, axes = figure(height=4.2)
    seconds = events.select("key", (pl.col("arrival") - pl.col("time")).dt.total_seconds().cast(pl.Float64).alias("s"))
    near = seconds.filter(pl.col("s").abs() <= _FAR_S).with_columns(pl.col("s").clip(lower_bound=0.0))
    most = near["key"].value_counts(sort=True)["key"].head(6).to_list()
    groups = [near.filter(pl.col("key") == key)["s"].to_list() for key in most]
    rest = near.filter(~pl.col("key").is_in(most))["s"].to_list()
    names = [str(key) for key in most] + (["all others"] if rest else [])
    series = [*groups, rest] if rest else groups
    axes.hist(series, bins=_BIN_EDGES_S, stacked=True, label=names, color=list(_LINES[: len(series)]))
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([0, 10, 60, 600, 3_600, 36_000], ["0", "10 s", "1 min", "10 min", "1 h", "10 h"])
    axes.minorticks_off()
    axes.set_xlim(0, max(60.0, float(near["s"].max() or 0) * 1.1))  # type: ignore[arg-type] # a column of floats
    middle = near["s"].median()
    axes.set_title(f"Half of the readings arrive within {_length(float(middle or 0))}", loc="left")  # type: ignore[arg-type]
    axes.set_xlabel("arrival time less event time")
    axes.set_ylabel("readings")
    axes.legend(fontsize=8, frameon=False, title="device", title_fontsize=8)
    return drawn


def doses_of(results: pl.DataFrame, events: pl.DataFrame, key: str, threshold: float | None = None) -> Figure:
    """One device's windows over time: mean and peak, windows that got readings after their end marked, late readings
    as ticks.

    `results` has `key`, `window_start`, `window_end`, `mean`, `peak`, in the order in which rows came out; `events`
    has `key`, `time` and `class`.
    """
    drawn, axes = figure()
    mine = results.filter((pl.col("key") == key) & pl.col("mean").is_not_null())
    last = mine.unique("window_start", keep="last").sort("window_start")
    starts = last["window_start"].to_list()
    axes.plot(starts, last["mean"].to_list(), color=_LINES[0], linewidth=1.1, label="mean")
    axes.plot(starts, last["peak"].to_list(), color=_LINES[4], linewidth=0.7, label="peak")
    own = events.filter(pl.col("key") == key)
    moments = own.filter(pl.col("class") == "corrected").select("time").sort("time")
    found = moments.join_asof(
        last.select("window_start", "window_end", "mean"), left_on="time", right_on="window_start"
    )
    corrected = found.filter(pl.col("time") < pl.col("window_end")).unique("window_start")
    if corrected.height:
        axes.scatter(
            corrected["window_start"].to_list(),
            corrected["mean"].to_list(),
            s=22,
            facecolors="none",
            edgecolors=COLOURS["corrected"],
            label=f"corrected later ({_windows(corrected.height)})",
        )
    lost = own.filter(pl.col("class") == "late")["time"].to_list()
    if lost:
        axes.plot(
            lost,
            [0.02] * len(lost),
            "|",
            color=COLOURS["late"],
            markersize=10,
            transform=axes.get_xaxis_transform(),
            label=f"late readings ({len(lost):,})",
        )
    if threshold is not None and last.height and float(last["peak"].max() or 0) > threshold / 3:  # type: ignore[arg-type]
        axes.axhline(threshold, color="black", linewidth=0.8, linestyle="--", label=f"alert above {threshold:g}")
    axes.set_title(f"{key}: 5-minute doses, {_windows(corrected.height)} put right by late readings", loc="left")
    axes.set_ylabel("counts a minute")
    axes.set_xlabel("event time (UTC)")
    axes.legend(fontsize=8, frameon=False, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    _dates(drawn, axes)
    return drawn


def _dates(drawn: Figure, axes: Axes, *, both: bool = False) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for axis in (axes.xaxis, axes.yaxis) if both else (axes.xaxis,):
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        axis.set_major_locator(locator)
        axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _windows(count: int) -> str:
    return "1 window" if count == 1 else f"{count:,} windows"


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
