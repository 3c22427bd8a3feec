"""A writer that shows rows when they are committed, for sinks that take whole epochs.

Law: what was written since the last commit goes out as the next epoch, counted from 1; what was not committed does not.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl


class ByCommit:
    """Collects frames and hands them to `deliver` at each commit. `look` asks before the first row whether the system
    is there; where it raises, `close` has been called.
    """

    def __init__(
        self,
        deliver: Callable[[int, pl.DataFrame], None],
        close: Callable[[], None],
        look: Callable[[], None] | None = None,
    ) -> None:
        self._deliver = deliver
        self._close = close
        self._frames: list[pl.DataFrame] = []
        self._commits = 0
        try:
            if look is not None:
                look()
        except BaseException:
            close()
            raise

    def write(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    def commit(self) -> None:
        if self._frames:
            self._commits += 1
            self._deliver(self._commits, pl.concat(self._frames, how="vertical_relaxed"))
            self._frames = []

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._close()

    def abort(self) -> None:
        self._frames = []
        self._close()
