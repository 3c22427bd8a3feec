"""The wall clock, always handed in, so that tests and simulations can move it.

Law: nothing in Eventide asks the operating system for the time except `SystemClock`.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class WallClock(Protocol):
    """Processing time: what the source of a batch, idleness and pacing ask for the present moment."""

    def now_us(self) -> int:
        """Microseconds since 1970-01-01 UTC."""

    def wait(self, signal: threading.Event, timeout_us: int) -> None:
        """Return when `signal` is set or `timeout_us` microseconds have passed, whichever comes first."""


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def wait(self, signal: threading.Event, timeout_us: int) -> None:
        signal.wait(timeout_us / 1e6)
