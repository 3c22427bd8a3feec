"""Scores: how far a value is from what the values of its key before it suggest.

Law: a value never judges itself; values that are null or not finite are neither judged nor remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

import polars as pl

from eventide.engine.detection.past import Past, pieces
from eventide.engine.detection.stage import AT, Codes, Frames, Taken, judged
from eventide.engine.keys import CODE
from eventide.engine.solid import solid
from eventide.plan import Anomaly
from eventide.semantics.detection import Ewma, HalfSpaceTrees, Hampel, Method, Seasonal, ZScore

_MAD_TO_STD: Final = 1.4826
"""A normal distribution's standard deviation in median absolute deviations (Rousseeuw and Croux, 1993)."""

_SLOT: Final = "_slot"
_SCORED: Final = {"pos": pl.Int64(), "expected": pl.Float64(), "score": pl.Float64()}


class Scorer(Protocol):
    """A method at work: `pos`, `expected` and `score` of rows with `_code`, `x` and `pos`, key by key in order."""

    def score(self, new: pl.DataFrame) -> pl.DataFrame: ...

    def snapshot(self) -> Frames: ...

    def restore(self, frames: Frames) -> None: ...


class Scoring:
    """The stage that adds `score`, `expected` and `is_anomaly`."""

    def __init__(self, anomaly: Anomaly, schema: Mapping[str, pl.DataType]) -> None:
        self._anomaly = anomaly
        self._method = anomaly.method
        period = isinstance(self._method, Seasonal)
        names = (*anomaly.by, _SLOT) if period else anomaly.by
        self._codes = Codes(names, {**schema, _SLOT: pl.Int64()})
        self._scorer = scorer(anomaly.method)

    def take(self, given: Taken) -> Taken:
        rows = given.rows
        value = pl.col(self._anomaly.column).cast(pl.Float64)
        slotted = rows if not isinstance(self._method, Seasonal) else rows.with_columns(_slot(self._method))
        usable = rows.select(judged(rows) & value.is_finite().fill_null(False)).to_series()
        named = pl.DataFrame(
            [
                self._codes.of(slotted.filter(usable)),
                rows.filter(usable).select(value.alias("x")).to_series(),
                pl.int_range(rows.height, dtype=pl.Int64, eager=True).filter(usable).alias("pos"),
            ]
        )
        scored = self._scorer.score(named) if named.height else pl.DataFrame(schema=_SCORED)
        return replace(given, rows=self._added(rows, scored), waiting=None)

    def _added(self, rows: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
        places = rows.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("pos"))
        found = places.join(scored, on="pos", how="left", maintain_order="left")
        prefix = self._anomaly.prefix
        return rows.with_columns(
            found.get_column("score").alias(f"{prefix}score"),
            found.get_column("expected").alias(f"{prefix}expected"),
            (found.get_column("score").abs() > self._method.threshold).fill_null(False).alias(f"is_{prefix}anomaly"),
        )

    def snapshot(self) -> Frames:
        return {**self._scorer.snapshot(), **self._codes.snapshot()}

    def restore(self, frames: Frames) -> None:
        self._scorer.restore(frames)
        self._codes.restore(frames)


def scorer(method: Method) -> Scorer:
    """The method at work."""
    match method:
        case ZScore(rows, _, least_scale):
            return Windowed(rows, least_scale, robust=False)
        case Hampel(rows, _, least_scale):
            return Windowed(rows, least_scale, robust=True)
        case Seasonal(cycles=cycles, least_scale=least_scale):
            return Windowed(cycles, least_scale, robust=True)
        case Ewma():
            return Smoothed(method)
        case HalfSpaceTrees():
            from eventide.engine.models.trees import Trees

            return Trees(method)


class Windowed:
    """Against the last `rows` values: mean and standard deviation, or median and scaled MAD."""

    def __init__(self, rows: int, least_scale: float, *, robust: bool) -> None:
        self._rows = rows
        self._least = least_scale
        self._measure = _robust if robust else _moments
        self._past = Past(rows, {"x": pl.Float64()})

    def score(self, new: pl.DataFrame) -> pl.DataFrame:
        found = [pl.DataFrame(schema=_SCORED)]
        full = pieces(self._past.stacked(new), ["x"], self._rows, itself=False)
        found.extend(_score(self._measure(solid(piece), self._rows), self._least) for piece in full)
        return pl.concat(found)

    def snapshot(self) -> Frames:
        return self._past.snapshot()

    def restore(self, frames: Frames) -> None:
        self._past.restore(frames)


def _moments(table: pl.DataFrame, rows: int) -> pl.DataFrame:
    return table.with_columns(pl.col("xs").list.mean().alias("expected"), pl.col("xs").list.std(ddof=1).alias("scale"))


def _robust(table: pl.DataFrame, rows: int) -> pl.DataFrame:
    values = table.get_column("xs").list.to_array(rows)
    expected = values.arr.median()
    whose = pl.int_range(table.height * rows, dtype=pl.Int64, eager=True) // rows
    off = (values.reshape((-1,)) - expected.gather(whose)).abs().reshape((table.height, rows)).arr.median()
    return table.with_columns(expected.alias("expected"), (off * _MAD_TO_STD).alias("scale"))


def _score(rows: pl.DataFrame, least_scale: float) -> pl.DataFrame:
    """Distance over scale; where nothing moves, a value as expected scores 0 and any other without bound."""
    off = pl.col("x") - pl.col("expected")
    scale = pl.max_horizontal("scale", pl.lit(least_scale))
    score = pl.when(off == 0).then(0.0).otherwise(off / scale)
    return rows.select("pos", "expected", score.alias("score"))


class Smoothed:
    """Against an exponentially weighted mean, in exponentially weighted standard deviations."""

    def __init__(self, method: Ewma) -> None:
        self._method = method
        columns = {CODE: pl.Int64(), "m": pl.Float64(), "v": pl.Float64(), "n": pl.Int64()}
        self._state = pl.DataFrame(schema=columns)

    def score(self, new: pl.DataFrame) -> pl.DataFrame:
        alpha = self._method.alpha
        known = self._state.join(new.select(CODE).unique(), on=CODE, how="semi")
        fresh = {"pos": pl.Int64(), "n": pl.Int64(), "v": pl.Float64()}
        old = known.select(CODE, pl.col("m").alias("x"), pl.lit(None, dtype=pl.Int64).alias("pos"), "n", "v")
        first = new.with_columns(pl.lit(None, dtype=fresh[name]).alias(name) for name in ("n", "v"))
        table = pl.concat([old, first.select(old.columns)]).sort(CODE, maintain_order=True)
        table = table.with_columns(
            pl.col("x").ewm_mean(alpha=alpha, adjust=False).over(CODE).alias("m"),
            (pl.col("n").first().fill_null(1).over(CODE) + pl.int_range(pl.len()).over(CODE)).alias("count"),
        ).with_columns(pl.col("m").shift(1).over(CODE).alias("expected"))
        square = (1 - alpha) * (pl.col("x") - pl.col("expected")).pow(2)
        table = solid(table).with_columns(pl.coalesce("v", square.fill_null(0.0)).alias("part"))
        table = table.with_columns(pl.col("part").ewm_mean(alpha=alpha, adjust=False).over(CODE).alias("var"))
        table = table.with_columns(pl.col("var").shift(1).over(CODE).sqrt().alias("scale"))
        last = table.group_by(CODE).last().select(CODE, "m", pl.col("var").alias("v"), pl.col("count").alias("n"))
        self._state = pl.concat([self._state.join(last, on=CODE, how="anti"), last])
        warm = table.filter(pl.col("pos").is_not_null() & (pl.col("count") > self._method.warmup))
        return _score(solid(warm), self._method.least_scale)

    def snapshot(self) -> Frames:
        return {"smoothed": self._state}

    def restore(self, frames: Frames) -> None:
        self._state = frames["smoothed"]


def _slot(method: Seasonal) -> pl.Expr:
    """The place in the period."""
    return (pl.col(AT).mod(method.period_us) // method.slot_us).alias(_SLOT)
