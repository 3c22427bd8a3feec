"""Progress as plain values and frames, for a worker, and back.

Law: what arrives places every instant of every key as what was sent does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from eventide.engine.clocks.progress import CommonProgress, KeyedProgress, MappedProgress, Progress

_PREFIX = "progress."
Frames = dict[str, pl.DataFrame]


def packed(progress: Progress) -> tuple[dict[str, Any], Frames]:
    """A progress as plain values and named frames."""
    match progress:
        case CommonProgress():
            return {"before": progress.before}, {f"{_PREFIX}steps": progress.steps.to_frame("w")}
        case KeyedProgress():
            values, frames = packed(progress.log)
            frames |= {f"{_PREFIX}own": progress.own, f"{_PREFIX}own_before": progress.own_before.to_frame("w")}
            if progress.others is not None:
                frames[f"{_PREFIX}others"] = progress.others.to_frame("w")
            if progress.closed is not None:
                frames[f"{_PREFIX}closed"] = progress.closed.to_frame("w")
            return values, frames
        case MappedProgress():
            values, frames = packed(progress.progress)
            return values, frames | {f"{_PREFIX}codes": progress.codes.to_frame("code")}
        case _:
            raise TypeError(f"{type(progress).__name__} cannot travel")


def unpacked(values: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> Progress:
    """The progress that was packed."""

    def column(name: str) -> pl.Series:
        return frames[f"{_PREFIX}{name}"].to_series()

    common = CommonProgress(int(values["before"]), column("steps"))
    if f"{_PREFIX}own" not in frames:
        return common
    others, closed = (column(name) if f"{_PREFIX}{name}" in frames else None for name in ("others", "closed"))
    keyed = KeyedProgress(frames[f"{_PREFIX}own"], column("own_before"), common, others, closed)
    return MappedProgress(keyed, column("codes")) if f"{_PREFIX}codes" in frames else keyed
