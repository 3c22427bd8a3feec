"""Progress of a long run: one line on the screen with rows, rows a second, watermark, lag, late and dead.

Law: it looks and does not touch; on something that is not a terminal it says nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from eventide.instants import END_OF_TIME, NO_WATERMARK, duration_text, instant_text
from eventide.runners.embedded import Running

_EVERY_S = 0.25


def progress(running: Running) -> Callable[[], None]:
    """An observer for a run that keeps a line on standard error up to date."""
    if not sys.stderr.isatty():
        return lambda: None
    began = last = time.monotonic()

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _EVERY_S:
            return
        last = now
        sys.stderr.write(f"\r\033[K{line(running, now - began, time.time_ns() // 1000)}")
        sys.stderr.flush()

    return beat


def line(running: Running, elapsed_s: float, now_us: int) -> str:
    """The line, after so many seconds, at a moment of the wall clock."""
    total = running.pipeline.accounting.total
    parts = [f"{total.received:,} rows", f"{total.received / max(elapsed_s, 1e-6):,.0f} rows/s"]
    watermark = running.pipeline.stream_watermark
    if watermark is not None and NO_WATERMARK < watermark < END_OF_TIME:
        lag_us = max(now_us - watermark, 0) // 1_000_000 * 1_000_000
        parts += [f"watermark {instant_text(watermark)}", f"lag {duration_text(lag_us)}"]
    parts += [f"{total.late:,} late", f"{total.dead_letters:,} dead letters"]
    return "  ".join(parts)


def clear() -> None:
    """Take the line off the screen."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
