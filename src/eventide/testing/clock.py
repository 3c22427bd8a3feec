"""A wall clock that tests move.

Law: it never waits; waiting moves it, so a test of pacing or idleness takes no time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from eventide.instants import Duration, microseconds


@dataclass
class TestClock:
    """Processing time under control: `advance` moves it, and so does waiting."""

    __test__ = False  # a tool for tests, not a test

    time_us: int = 0

    def now_us(self) -> int:
        return self.time_us

    def wait(self, signal: threading.Event, timeout_us: int) -> None:
        if not signal.is_set():
            self.time_us += timeout_us

    def advance(self, duration: Duration) -> None:
        """Move forward by a duration."""
        self.time_us += microseconds(duration)
