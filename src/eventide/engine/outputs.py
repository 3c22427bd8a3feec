"""Outputs of a pipeline: frames by name, and the forms in which rows are shown.

Law: an empty frame is no frame; hidden columns stay inside.
"""

from __future__ import annotations

import polars as pl

from eventide.flow import LOG
from eventide.plan import DEAD_LETTERS

Outputs = dict[str, list[pl.DataFrame]]
"""Frames by output name, in the order in which they came out."""


def put(outputs: Outputs, name: str, frame: pl.DataFrame) -> None:
    """Add a frame to an output, unless it is empty."""
    if frame.height:
        outputs.setdefault(name, []).append(frame)


def put_all(outputs: Outputs, more: Outputs) -> None:
    """Add frames behind those there are."""
    for name, frames in more.items():
        for frame in frames:
            put(outputs, name, frame)


def refuse(outputs: Outputs, log: str, refused: pl.DataFrame) -> None:
    """Add refused rows of a log to the dead letters."""
    if refused.height:
        put(outputs, DEAD_LETTERS, refused.select(pl.lit(log).alias(LOG), pl.all()))


def visible(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that users see."""
    return frame.select(name for name in frame.columns if not name.startswith("_"))
