"""The tally of one log: events looked at, folded into histograms and into one row for each key.

Law: samples are folded after every 65,536 of them, counted from the log's beginning, and keys are forgotten only then,
so a tally is the same however the log was cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from eventide.engine.monitor.scale import COARSE, FINE, bucket
from eventide.instants import NO_WATERMARK

FOLD_SAMPLES = 65_536
KEYS_KEPT = 4_096
_PIECES_MOST = 256
ROLLOVER_US = 1_024 * 7 * 86_400_000_000
"""1,024 weeks: after so long the week number of GPS begins anew (IS-GPS-200, section 20.3.3.3.1.1)."""

_NEAR_ROLLOVER_US = 2 * 86_400_000_000
MEASURES = ("displacement", "lateness", "behind")

Frames = dict[str, pl.DataFrame]

_SUMS = ("events", "behind", "ahead", "rolled_over", "displacement_ms_sum")
_LEAST = ("lateness_us_min",)
_MOST = ("displacement_us_max", "lateness_us_max")


@dataclass
class Tally:
    """Samples of a log not folded yet, and what the folded ones add up to.

    A sample has the key columns, `t`, `front` and `before` (microseconds, null: none yet), `arrival` (null: unknown)
    and `weight`: for how many events it stands.
    """

    keys: Sequence[str]
    waiting: list[pl.DataFrame] = field(default_factory=list)
    waiting_rows: int = 0
    histogram: pl.DataFrame | None = None
    by_key: pl.DataFrame | None = None
    key_histogram: pl.DataFrame | None = None

    def add(self, samples: pl.DataFrame) -> None:
        """Take samples; fold as soon as there are enough."""
        self.waiting.append(samples)
        self.waiting_rows += samples.height
        if self.waiting_rows < FOLD_SAMPLES:
            if len(self.waiting) >= _PIECES_MOST:
                self.waiting = [pl.concat(self.waiting)]
            return
        rows = pl.concat(self.waiting)
        while rows.height >= FOLD_SAMPLES:
            self._fold(rows.head(FOLD_SAMPLES))
            rows = rows.slice(FOLD_SAMPLES)
        self.waiting, self.waiting_rows = [rows], rows.height

    def folded(self) -> Tally:
        """A copy in which nothing waits."""
        whole = Tally(self.keys, [], 0, self.histogram, self.by_key, self.key_histogram)
        if self.waiting_rows:
            whole._fold(pl.concat(self.waiting))
        return whole

    def _fold(self, samples: pl.DataFrame) -> None:
        measured = _measured(samples)
        fine = [
            measured.group_by(bucket(pl.col(name), FINE).alias("bucket"))
            .agg(pl.col("weight").sum().alias("n"))
            .select(pl.lit(name).alias("measure"), "bucket", "n")
            for name in MEASURES
        ]
        parts = pl.concat(fine).filter(pl.col("bucket").is_not_null())
        self.histogram = _added(self.histogram, parts, ["measure", "bucket"])
        if self.keys:
            self._fold_keys(measured)

    def _fold_keys(self, measured: pl.DataFrame) -> None:
        keys = list(self.keys)
        rows = measured.group_by(keys).agg(_key_row())
        kept = rows if self.by_key is None else _joined(pl.concat([self.by_key, rows]), keys)
        coarse = [
            measured.group_by(*keys, bucket(pl.col(name), COARSE).alias("bucket"))
            .agg(pl.col("weight").sum().alias("n"))
            .select(*keys, pl.lit(name).alias("measure"), "bucket", "n")
            for name in ("displacement", "lateness")
        ]
        parts = pl.concat(coarse).filter(pl.col("bucket").is_not_null())
        self.key_histogram = _added(self.key_histogram, parts, [*keys, "measure", "bucket"])
        if kept.height > 2 * KEYS_KEPT:
            worst = [pl.col("behind"), pl.col("displacement_ms_sum"), pl.col("events")]
            order = kept.sort([*worst, *keys], descending=[True] * 3 + [False] * len(keys), nulls_last=True)
            kept = order.head(KEYS_KEPT)
            self.key_histogram = self.key_histogram.join(kept.select(keys), on=keys, how="semi", nulls_equal=True)
        self.by_key = kept

    def dump(self) -> Frames:
        """The tally as frames."""
        frames = {
            "histogram": self.histogram,
            "by_key": self.by_key,
            "key_histogram": self.key_histogram,
            "waiting": pl.concat(self.waiting) if self.waiting_rows else None,
        }
        return {name: frame for name, frame in frames.items() if frame is not None}

    @classmethod
    def load(cls, keys: Sequence[str], frames: Mapping[str, pl.DataFrame]) -> Tally:
        """The tally that `dump` gave."""
        waiting = frames.get("waiting")
        kept = [] if waiting is None else [waiting]
        height = 0 if waiting is None else waiting.height
        return cls(keys, kept, height, frames.get("histogram"), frames.get("by_key"), frames.get("key_histogram"))


def _measured(samples: pl.DataFrame) -> pl.DataFrame:
    """Samples with their displacement, their lateness and how far they stood behind the watermark, in microseconds."""
    time = pl.col("t")
    before = pl.when(pl.col("before") > NO_WATERMARK).then(pl.col("before"))
    return samples.with_columns(
        (pl.col("front") - time).clip(lower_bound=0).fill_null(0).alias("displacement"),
        (pl.col("arrival") - time).alias("lateness"),
        (before - time).clip(lower_bound=0).fill_null(0).alias("behind"),
    )


def _key_row() -> list[pl.Expr]:
    late, weight = pl.col("lateness"), pl.col("weight")
    turns = (late.cast(pl.Float64) / ROLLOVER_US).round().cast(pl.Int64)
    rolled = (turns != 0) & ((late - turns * ROLLOVER_US).abs() < _NEAR_ROLLOVER_US)
    displaced = pl.col("displacement")
    return [
        weight.sum().alias("events"),
        weight.filter(pl.col("behind") > 0).sum().alias("behind"),
        weight.filter(late < 0).sum().alias("ahead"),
        weight.filter(rolled).sum().alias("rolled_over"),
        # milliseconds: microseconds of clocks that are decades off would not fit
        (displaced // 1_000 * weight).sum().alias("displacement_ms_sum"),
        displaced.max().alias("displacement_us_max"),
        late.min().alias("lateness_us_min"),
        late.max().alias("lateness_us_max"),
    ]


def _joined(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = [pl.col(name).sum() for name in _SUMS]
    least, most = [pl.col(name).min() for name in _LEAST], [pl.col(name).max() for name in _MOST]
    names = [name for name in rows.columns if name not in keys]
    return rows.group_by(keys).agg(sums + least + most).select(*keys, *names)


def _added(counts: pl.DataFrame | None, more: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    both = more if counts is None else pl.concat([counts, more])
    return both.group_by(by).agg(pl.col("n").sum()).select(*by, "n")
