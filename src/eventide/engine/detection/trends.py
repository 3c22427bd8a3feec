"""Trends: the line through the last rows of a key, and when it meets a value.

Law: the line is fitted by least squares to the rows alone, with times measured from the newest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from eventide.engine.detection.past import Past, beginnings, pieces
from eventide.engine.detection.stage import AT, Codes, Frames, Taken, judged
from eventide.engine.solid import solid
from eventide.flow import INSTANT
from eventide.plan import Trend

_FITTED: Final = {"pos": pl.Int64(), "slope": pl.Float64(), "reaches_at": INSTANT, "reaches_error": pl.Duration("us")}
_FAR_S: Final = 3.0e11
"""Seconds from which on an instant no longer fits into microseconds of 64 bits, with room."""

_LATEST_US: Final = 253_402_300_799_000_000


class TrendLine:
    """The stage that adds `slope`, `reaches_at` and `reaches_error`."""

    def __init__(self, trend: Trend, schema: Mapping[str, pl.DataType]) -> None:
        self._trend = trend
        self._codes = Codes(trend.by, schema)
        self._past = Past(trend.rows - 1, {"t": pl.Int64(), "x": pl.Float64()})

    def take(self, given: Taken) -> Taken:
        rows = given.rows
        value = pl.col(self._trend.column).cast(pl.Float64)
        usable = rows.select(judged(rows) & value.is_finite().fill_null(False)).to_series()
        used = rows.filter(usable)
        places = pl.int_range(rows.height, dtype=pl.Int64, eager=True).filter(usable).alias("pos")
        new = used.select(pl.col(AT).alias("t"), value.alias("x")).with_columns(self._codes.of(used), places)
        found = [pl.DataFrame(schema=_FITTED)]
        if new.height:
            stacked, columns, last = self._past.stacked(new), ["t", "x"], self._trend.rows
            found.append(_fitted(solid(beginnings(stacked, columns, last)), self._trend.to))
            full = pieces(stacked, columns, last, itself=True)
            found.extend(_fitted(solid(piece), self._trend.to) for piece in full)
        return replace(given, rows=self._added(rows, pl.concat(found)), waiting=None)

    def _added(self, rows: pl.DataFrame, fitted: pl.DataFrame) -> pl.DataFrame:
        places = rows.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("pos"))
        found = places.join(fitted, on="pos", how="left", maintain_order="left").drop("pos")
        return rows.with_columns(found.get_column(name).alias(self._trend.prefix + name) for name in found.columns)

    def snapshot(self) -> Frames:
        return {**self._past.snapshot(), **self._codes.snapshot()}

    def restore(self, frames: Frames) -> None:
        self._past.restore(frames)
        self._codes.restore(frames)


def _fitted(rows: pl.DataFrame, to: float) -> pl.DataFrame:
    """Slope, the instant at which the line meets `to`, and its standard error.

    With s the times in seconds from the newest row: b = Sxy / Sxx, s* = mean(s) + (to - mean(x)) / b, and
    var(s*) = (SSE / (n - 2)) / b^2 * (1 / n + (s* - mean(s))^2 / Sxx).
    """
    table = rows.filter(pl.col("xs").list.len() >= 3)
    table = table.with_columns(((pl.col("ts") - pl.col("t")).list.eval(pl.element().cast(pl.Float64) / 1e6)).alias("s"))
    table = table.with_columns(
        pl.col("s").list.mean().alias("s_mean"),
        pl.col("xs").list.mean().alias("x_mean"),
        pl.col("xs").list.len().alias("n"),
    )
    table = table.with_columns(
        (pl.col("s") - pl.col("s_mean")).alias("ds"), (pl.col("xs") - pl.col("x_mean")).alias("dx")
    )
    table = table.with_columns(
        (pl.col("ds") * pl.col("ds")).list.sum().alias("sxx"), (pl.col("ds") * pl.col("dx")).list.sum().alias("sxy")
    ).filter(pl.col("sxx") > 0)
    table = table.with_columns((pl.col("sxy") / pl.col("sxx")).alias("slope"))
    table = table.with_columns((pl.col("dx") - pl.col("ds") * pl.col("slope")).alias("rest"))
    ahead = pl.col("s_mean") + (to - pl.col("x_mean")) / pl.col("slope")
    table = table.with_columns(
        pl.when((pl.col("slope") != 0) & (ahead >= 0) & (ahead < _FAR_S)).then(ahead).alias("ahead"),
        ((pl.col("rest") * pl.col("rest")).list.sum() / (pl.col("n") - 2)).alias("noise"),
    )
    spread = 1 / pl.col("n") + (pl.col("ahead") - pl.col("s_mean")).pow(2) / pl.col("sxx")
    error = (pl.col("noise") * spread).sqrt() / pl.col("slope").abs()
    instant = pl.col("t") + (pl.col("ahead") * 1e6).round().cast(pl.Int64)
    return table.select(
        "pos",
        "slope",
        pl.when(instant <= _LATEST_US).then(instant).cast(INSTANT).alias("reaches_at"),
        pl.when((instant <= _LATEST_US) & (error < _FAR_S))
        .then((error * 1e6).round().cast(pl.Int64, strict=False))
        .cast(pl.Duration("us"))
        .alias("reaches_error"),
    )
