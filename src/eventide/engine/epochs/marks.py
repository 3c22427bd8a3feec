"""Marks: what the wall clock decided in a run about silent and new logs, at which places, so that a replay repeats it.

Law: a mark is on the disk before anything that follows from it comes out. A replay reads each log up to the mark's
places, does what the mark says, and goes on; where a crash cut the run does not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from eventide.engine.epochs.files import sealed, unsealed
from eventide.errors import CheckpointError
from eventide.flow import Disk

Places = dict[str, dict[str, int]]
"""Offsets by source and log: the log's next row."""


class Mark(msgspec.Struct, frozen=True):
    """The wall clock declared a log `idle`, an idle log came `back`, all were idle and the windows were `close`d, or
    a new log was `found` in mid-run.

    `floor` is the stream watermark (microseconds) at that moment, `places` how far each log was read, `over` which
    logs had ended, by source.
    """

    number: int
    kind: Literal["idle", "back", "close", "found"]
    source: str
    log: str
    floor: int
    places: Places
    over: dict[str, list[str]] = {}


class Marks:
    """The marks of a state folder: those still to be repeated, and the next ones."""

    def __init__(self, disk: Disk, folder: Path, behind: int) -> None:
        self._disk = disk
        self._folder = folder
        self.last = behind
        self.pending = [mark for mark in _read(disk, folder) if mark.number > behind]

    def record(self, mark: Mark) -> None:
        """Write a mark that has just been decided."""
        try:
            self._disk.make_folder(self._folder)
            self._disk.publish(self._folder / _name(mark.number), sealed(msgspec.json.encode(mark)))
        except OSError as fault:
            raise CheckpointError(
                f"cannot write to {self._folder}: {fault.strerror or fault}. Mend that and start again: nothing is lost"
            ) from None
        self.last = mark.number

    def repeated(self) -> None:
        """The first pending mark was repeated."""
        self.last = self.pending.pop(0).number

    def room(self, source: str, log: str, offset: int, rows: int) -> int:
        """How many of so many rows of a log come before the next mark."""
        if not self.pending:
            return rows
        place = self.pending[0].places.get(source, {}).get(log)
        return 0 if place is None else max(min(rows, place - offset), 0)

    def knows(self, source: str, log: str) -> bool:
        """True when the next mark was made with this log there, or none is left."""
        return not self.pending or log in self.pending[0].places.get(source, {})

    def reached(self, places: Mapping[str, Mapping[str, int]]) -> bool:
        """True when every log has been read up to the next mark."""
        wanted = self.pending[0].places
        return all(
            offset <= places.get(source, {}).get(log, offset)
            for source, logs in wanted.items()
            for log, offset in logs.items()
        )

    def prune(self, behind: int) -> None:
        """Remove the marks that lie behind every kept checkpoint."""
        for name in self._disk.names(self._folder):
            if name.endswith(".json") and int(name.removesuffix(".json")) <= behind:
                self._disk.remove(self._folder / name)


def _name(number: int) -> str:
    return f"{number:08}.json"


def _read(disk: Disk, folder: Path) -> list[Mark]:
    names = [name for name in disk.names(folder) if name.endswith(".json") and not name.startswith(".")]
    marks = []
    for name in names:
        try:
            marks.append(msgspec.json.decode(unsealed(disk.read(folder / name)), type=Mark))
        except (CheckpointError, msgspec.DecodeError, OSError) as fault:
            raise CheckpointError(
                f"{folder / name}: {fault}. It says when a log was declared idle; without it a replay may judge "
                "lateness differently. Restore it from a copy, or remove it to go on without"
            ) from None
    return marks
