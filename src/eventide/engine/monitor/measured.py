"""What the monitor measured, as frames: by log, by key, histograms, and clocks that look wrong.

Law: every figure says whether it is exact or comes from samples; nothing is read but what the monitor counted and where
the clocks stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import polars as pl

from eventide.engine.clocks import Clocks
from eventide.engine.monitor.scale import COARSE, FINE, quantiles, upper_us
from eventide.engine.monitor.skew import suspects
from eventide.engine.monitor.tally import Tally
from eventide.flow import INSTANT
from eventide.instants import NO_WATERMARK, duration_text
from eventide.semantics.eventtime import Adaptive, EventTime

_LENGTH: Final = pl.Duration("us")
_SHARES = (0.5, 0.9, 0.99, 0.999)


class LogCounts(msgspec.Struct):
    """What is counted exactly of a log: admitted events, those behind their watermark, how far at most, the front (the
    largest event time) and the newest arrival. Microseconds.
    """

    events: int = 0
    behind: int = 0
    behind_us_max: int = 0
    front: int = NO_WATERMARK
    arrival_us_max: int | None = None


@dataclass(frozen=True)
class Measured:
    """How far the events of a run came behind, as four frames.

    `logs`: a row for each log. Exact: `events`, `behind` (events behind their watermark), `late_rate` (their share),
    `behind_max`, `front`, `watermark`, `lag` (newest arrival - watermark), `skew` (how far the log's front is behind
    the furthest one), `idle`, `finished`; `wanted_rate` is what `adaptive` was asked for. From samples: quantiles of
    displacement (front of the log before an event - its event time) and of lateness (arrival - event time).

    `keys`: a row for each log and key, those that cost most first, from samples: `events`, `behind`, `share` of the
    whole displacement, and quantiles. `histogram`: counts between `above` and `upto` by log and measure
    (`displacement`, `lateness`, `behind`). `suspects`: devices whose clock looks wrong, with the reason.
    """

    logs: pl.DataFrame
    keys: pl.DataFrame
    histogram: pl.DataFrame
    suspects: pl.DataFrame

    def __str__(self) -> str:
        lines = [_line(row) for row in self.logs.iter_rows(named=True)]
        lines += [
            f"suspect: {row['log']}: {row['who']}: {row['reason']}" for row in self.suspects.iter_rows(named=True)
        ]
        return "\n".join(lines) or "nothing measured: no event was admitted"


def together(parts: Sequence[Measured]) -> Measured:
    """What was measured of several streams; `skew` is that among the logs of each stream."""
    return Measured(
        pl.concat([part.logs for part in parts], how="diagonal_relaxed"),
        pl.concat([part.keys for part in parts], how="diagonal_relaxed"),
        pl.concat([part.histogram for part in parts], how="diagonal_relaxed"),
        pl.concat([part.suspects for part in parts], how="diagonal_relaxed"),
    )


def measured(
    settings: EventTime, keys: Sequence[str], logs: Mapping[str, tuple[LogCounts, Tally, Tally]], clocks: Clocks
) -> Measured:
    """The frames of what was counted, by log: exact counts, samples, and rows that the guards refused."""
    samples = {log: tally for log, (_, tally, _) in logs.items()}
    inner = tuple(f"_key{number}" for number in range(len(keys)))
    histogram = _by_log({log: tally.histogram for log, tally in samples.items()}, _HISTOGRAM)
    by_key = _by_log({log: tally.by_key for log, tally in samples.items()}, {})
    key_histogram = _by_log({log: tally.key_histogram for log, tally in samples.items()}, {})
    refused = _by_log({log: tally.by_key for log, (_, _, tally) in logs.items()}, {})
    wanted = settings.strategy.late_rate if isinstance(settings.strategy, Adaptive) else None
    return Measured(
        _logs({log: counts for log, (counts, _, _) in logs.items()}, histogram, clocks, wanted),
        _keys(by_key, key_histogram, inner).rename(dict(zip(inner, map(_shown, keys), strict=True)), strict=False),
        _edges(histogram),
        suspects(by_key, key_histogram, refused, dict(zip(inner, keys, strict=True))),
    )


_HISTOGRAM = {"log": pl.String(), "measure": pl.String(), "bucket": pl.Int32(), "n": pl.Int64()}


def _shown(key: str) -> str:
    """The name of a key column in the frame of keys: its own, unless a figure has that name."""
    return f"{key}_key" if key in _TAKEN or key.split("_", maxsplit=1)[0] in ("displacement", "lateness") else key


_TAKEN = ("log", "events", "behind", "share", "ahead")


def _by_log(frames: Mapping[str, pl.DataFrame | None], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The frames of all logs as one, with the log's name."""
    named = [frame.select(pl.lit(log).alias("log"), pl.all()) for log, frame in frames.items() if frame is not None]
    return pl.concat(named) if named else pl.DataFrame(schema=dict(schema))


def _logs(
    counts: Mapping[str, LogCounts], histogram: pl.DataFrame, clocks: Clocks, wanted: float | None
) -> pl.DataFrame:
    highest = max((one.front for one in counts.values()), default=NO_WATERMARK)
    rows = [
        {
            "log": log,
            "events": one.events,
            "behind": one.behind,
            "late_rate": one.behind / one.events if one.events else None,
            "wanted_rate": wanted,
            "behind_max": one.behind_us_max,
            "front": None if one.front == NO_WATERMARK else one.front,
            "watermark": _mark(clocks, log),
            "arrival": one.arrival_us_max,
            "skew": None if one.front == NO_WATERMARK else highest - one.front,
            "idle": log in clocks.logs and clocks.logs[log].idle,
            "finished": log in clocks.logs and clocks.logs[log].finished,
        }
        for log, one in counts.items()
    ]
    made = pl.DataFrame(rows, schema=_LOGS)
    for measure in ("displacement", "lateness"):
        part = quantiles(histogram.filter(pl.col("measure") == measure), ["log"], _SHARES, FINE)
        made = made.join(part.rename({n: f"{measure}_{n}" for n in part.columns if n != "log"}), on="log", how="left")
    lag = (pl.col("arrival") - pl.col("watermark")).cast(_LENGTH).alias("lag")
    instants = [pl.col("front", "watermark").cast(INSTANT), pl.col("behind_max", "skew").cast(_LENGTH)]
    return made.with_columns(lag).with_columns(instants).drop("arrival").sort("log")


_LOGS: Final = {
    "log": pl.String(),
    "events": pl.Int64(),
    "behind": pl.Int64(),
    "late_rate": pl.Float64(),
    "wanted_rate": pl.Float64(),
    "behind_max": pl.Int64(),
    "front": pl.Int64(),
    "watermark": pl.Int64(),
    "arrival": pl.Int64(),
    "skew": pl.Int64(),
    "idle": pl.Boolean(),
    "finished": pl.Boolean(),
}


def _mark(clocks: Clocks, log: str) -> int | None:
    """The watermark of a log by its own events, without the end of time of a log that has ended."""
    if log not in clocks.logs:
        return None
    clock = clocks.logs[log]
    reached = max(clock.watermark, clock.floor)
    return reached if NO_WATERMARK < reached < _FAR else None


_FAR = 2**62


def _keys(by_key: pl.DataFrame, key_histogram: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The rows of keys, the ones that cost most first."""
    if not by_key.height:
        return pl.DataFrame(schema={"log": pl.String(), "events": pl.Int64(), "behind": pl.Int64()})
    group = ["log", *keys]
    made = by_key
    for measure in ("displacement", "lateness"):
        part = quantiles(key_histogram.filter(pl.col("measure") == measure), group, (0.5, 0.99), COARSE)
        named = part.rename({name: f"{measure}_{name}" for name in part.columns if name not in group})
        made = made.join(named, on=group, how="left", nulls_equal=True)
    whole = pl.col("displacement_ms_sum").sum()
    share = pl.when(whole > 0).then(pl.col("displacement_ms_sum") / whole).otherwise(0.0).alias("share")
    shown = [*group, "events", "behind", share, "displacement_p50", "displacement_p99"]
    shown += [pl.col("displacement_us_max").cast(_LENGTH).alias("displacement_max")]
    shown += ["lateness_p50", "lateness_p99", "ahead"]
    order = made.sort(
        ["behind", "displacement_ms_sum", *group], descending=[True, True] + [False] * len(group), nulls_last=True
    )
    return order.select(shown)


def _edges(histogram: pl.DataFrame) -> pl.DataFrame:
    number = pl.col("bucket")
    above, upto = upper_us(number - 1, FINE).cast(_LENGTH), upper_us(number, FINE).cast(_LENGTH)
    return histogram.sort("log", "measure", "bucket").select(
        "log", "measure", above.alias("above"), upto.alias("upto"), "n"
    )


def _line(row: Mapping[str, object]) -> str:
    """A log in a sentence."""
    rate, wanted = row["late_rate"], row["wanted_rate"]
    told = "" if rate is None else f" ({rate:.3%}{'' if wanted is None else f', {wanted:.3%} wanted'})"
    parts = [f"{row['log']}: {row['events']:,} events, {row['behind']:,} behind their watermark{told}"]
    for name, value in (("displacement", row["displacement_p99"]), ("lateness", row["lateness_p99"])):
        if value is not None:
            length_us = int(pl.Series([value], dtype=_LENGTH).cast(pl.Int64)[0])
            parts.append(f"{name} p99 {duration_text(length_us // 1_000 * 1_000)}")
    if row["idle"]:
        parts.append("idle")
    return ", ".join(parts)
