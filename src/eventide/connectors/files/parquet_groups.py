"""A Parquet file that grows: groups of rows as files in a hidden folder, put together when they are to be seen.

Law: memory holds one group, however many rows there are.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

_GROUP_ROWS = 262_144
_GROUP_BYTES = 64 * 2**20


@dataclass
class ParquetGroups:
    """The rows that are to be the Parquet file at `path`."""

    path: Path
    _held: list[pl.DataFrame] = field(default_factory=list)
    _groups: list[Path] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        self._folder = self.path.with_name(f".{self.path.name}.groups")
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run that ended without cleaning up

    def write(self, frame: pl.DataFrame) -> None:
        self._held.append(frame)
        self._rows += frame.height
        self._bytes += int(frame.estimated_size())
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._put_down()

    def _put_down(self) -> None:
        """Write what is held as a group."""
        if not self._held:
            return
        self._folder.mkdir(exist_ok=True)
        group = self._folder / f"{len(self._groups):08d}.parquet"
        whole = pl.concat(self._held, how="vertical_relaxed")
        whole.write_parquet(group)
        self._groups.append(group)
        self._held, self._rows, self._bytes = [whole.clear()], 0, 0  # its types are those of the next group

    def copy_to(self, path: Path) -> None:
        """Write all rows so far as one file."""
        if not self._groups:
            whole = pl.concat(self._held, how="vertical_relaxed") if self._held else pl.DataFrame()
            whole.write_parquet(path)
            self._held = [whole]
            return
        if self._rows:
            self._put_down()
        pl.scan_parquet(self._groups, glob=False).sink_parquet(path, row_group_size=_GROUP_ROWS)

    def remove(self) -> None:
        """Leave nothing beside the file."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._held, self._groups = [], []
