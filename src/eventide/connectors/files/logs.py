"""Many files as logs: each a log of its own, or all of them as one.

Law: files are read in order of their names, hidden ones left out; one log of many files holds one file open at a time.
A store that is away is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import Protocol

import polars as pl

from eventide.connectors.files.remote import files_at, is_for_many
from eventide.connectors.patience import Patience
from eventide.errors import SourceError
from eventide.flow import OFFSET, Batch, LogReader, Position, ReadContext, is_remote


class Files(Protocol):
    """A source whose path may stand for many files."""

    @property
    def path(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def follow(self) -> bool: ...

    @property
    def one_log(self) -> bool: ...

    def reader(self, path: Path, log: str, context: ReadContext, position: Position) -> LogReader:
        """Open one of the files."""


def stands_for_many(path: str) -> bool:
    """True for a folder and for a pattern."""
    if is_remote(path):
        return is_for_many(path)
    return path != "-" and (Path(path).is_dir() or (has_magic(path) and not Path(path).exists()))


def files_of(path: str) -> list[Path]:
    """The files that a path, folder or pattern stands for now, in order of their names."""
    if is_remote(path):
        return files_at(path)
    if not stands_for_many(path):
        return [Path(path)]
    pattern = str(Path(path) / "*") if Path(path).is_dir() else path
    return sorted(Path(found) for found in glob(pattern, recursive=True) if Path(found).is_file())


def holds(path: str, file: Path) -> bool:
    """True when a file is one of those that a path, folder or pattern stands for, or would be once it is there."""
    if path == "-" or is_remote(path):
        return False
    place, wanted = file.resolve(), Path(path).resolve()
    if Path(path).is_dir():
        return place.parent == wanted and not place.name.startswith(".")
    if not stands_for_many(path):
        return place == wanted
    return place in (one.resolve() for one in files_of(path)) or (
        place.parent == wanted.parent and fnmatchcase(place.name, wanted.name)
    )


def check_settings(*, follow: bool, one_log: bool) -> None:
    """Refuse settings of files that exclude each other."""
    if follow and one_log:
        raise ValueError(
            "follow=True and one_log=True exclude each other: nobody knows when the first of several files has ended. "
            "Leave one of them out"
        )


@dataclass
class FileLogs:
    """The logs of a set of files."""

    source: Files
    context: ReadContext
    positions: Mapping[str, Position]
    given: dict[Path, LogReader] = field(default_factory=dict)
    _patience: Patience = field(init=False)
    _looked: bool = False

    def __post_init__(self) -> None:
        self._patience = Patience(self.source.path, self.context.clock)

    @property
    def may_grow(self) -> bool:
        return self.source.follow and stands_for_many(self.source.path)

    def discover(self) -> Sequence[LogReader]:
        if self.given and not self.may_grow:
            return []
        new = [path for path in self._there() if path not in self.given]
        if not self.given and not new and not self.source.follow:
            raise SourceError(f"no file matches {self.source.path!r}: check the path")
        if self.source.one_log and stands_for_many(self.source.path):
            chained = ChainedReader(self.source, new, self.context, self.positions.get(self.source.name, {}))
            self.given.update((path, chained) for path in new)
            return [chained]
        made = []
        for path in new:
            log = self._log(path)
            reader = self.source.reader(path, log, self.context, self.positions.get(log, {}))
            self.given[path] = reader
            made.append(reader)
        return made

    def _there(self) -> list[Path]:
        """The files that there are. Which logs a run has from its start on must be known, so the first look waits for a
        store that is away; later ones find nothing new while it is.
        """
        if not self._looked:
            found = self._patience.insist(lambda: files_of(self.source.path))
            self._looked = True
            return found
        return self._patience.attempt(lambda: files_of(self.source.path)) or []

    def _log(self, path: Path) -> str:
        if not stands_for_many(self.source.path):
            return self.source.name
        return _relative(self.source.path, path)

    def close(self) -> None:
        for reader in self.given.values():
            reader.close()


def _relative(pattern: str, path: Path) -> str:
    """A file's name below the folder in front of the first part with a wildcard."""
    if is_remote(path):
        return path.name
    parts: list[str] = []
    for part in Path(pattern).parts:
        if has_magic(part) and not Path(*parts, part).exists():
            break
        parts.append(part)
    root = Path(*parts) if parts else Path()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


class ChainedReader:
    """Several files read one after the other as one log."""

    def __init__(self, source: Files, paths: Sequence[Path], context: ReadContext, position: Position) -> None:
        self.log = source.name
        self._source = source
        self._context = context
        self._left = list(paths)
        self._base = 0
        self._part: LogReader | None = None
        if "file" in position:
            name = str(position["file"])
            found = [place for place, path in enumerate(paths) if _relative(source.path, path) == name]
            if not found:
                raise SourceError(f"{source.path}: there is no file {name!r} any more, where reading was to go on")
            self._left = self._left[found[0] :]
            self._base = int(position.get("base") or 0)
        self._open(position if "file" in position else {})

    def _open(self, position: Position = {}) -> None:  # noqa: B006 - nobody changes it
        own = {**position, "offset": int(position.get("offset") or 0) - self._base} if position else {}
        self._file = _relative(self._source.path, self._left[0])
        self._part = self._source.reader(self._left.pop(0), self.log, self._context, own)

    @property
    def finished(self) -> bool:
        return self._part is None or (self._part.finished and not self._left)

    def read(self, rows_max: int) -> Batch | None:
        while self._part is not None:
            batch = self._part.read(rows_max)
            if batch is not None:
                return replace(
                    batch,
                    rows=batch.rows.with_columns(pl.col(OFFSET) + self._base),
                    refused=batch.refused.with_columns(pl.col(OFFSET) + self._base),
                )
            if not self._part.finished or not self._left:
                return None
            self._base += int(self._part.position()["offset"] or 0)
            self._part.close()
            self._open()
        return None

    def position(self) -> Position:
        assert self._part is not None
        own = self._part.position()
        return {**own, "offset": self._base + int(own["offset"] or 0), "base": self._base, "file": self._file}

    def close(self) -> None:
        if self._part is not None:
            self._part.close()
