"""A cold file: rows of a state on the disk, read again in pieces.

Law: it holds the rows in the order in which they were written, to the bit; it is no part of a checkpoint and goes with
its run.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.memory.memory import Memory
from eventide.errors import SpillError

PIECE_ROWS = 65_536
"""Rows that are packed, and so read, together."""


class ColdFile:
    """One file with the rows of a frame: Arrow, packed by LZ4, in pieces."""

    def __init__(self, memory: Memory, frame: pl.DataFrame) -> None:
        self._memory = memory  # its folder lasts as long as it does
        self._path = memory.path()
        self._schema = frame.schema
        self.rows = frame.height
        try:
            frame.write_ipc(self._path, compression="lz4", record_batch_size=PIECE_ROWS)
            memory.spilled_bytes += self._path.stat().st_size
        except (OSError, pl.exceptions.PolarsError) as fault:
            raise SpillError(
                f"cannot put {frame.estimated_size():,} bytes of state into {self._path.parent}: {fault}. "
                "Give spill= a folder with room, or more memory="
            ) from None

    def read(self, start: int, rows: int) -> pl.DataFrame:
        """Some of the rows, in order."""
        try:
            return pl.scan_ipc(self._path).slice(start, rows).collect()
        except (OSError, pl.exceptions.PolarsError) as fault:
            raise SpillError(f"cannot read state back from {self._path}: {fault}. Start the run again") from None

    def all(self) -> pl.DataFrame:
        """All rows."""
        return self.read(0, self.rows)

    def remove(self) -> None:
        """The rows are not needed any more."""
        self._path.unlink(missing_ok=True)
