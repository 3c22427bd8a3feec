"""A Delta table on a disk of this machine: its commits are made sure here, because the library syncs nothing.

Law: when `sync` returns, every commit is on the disk, with the files that it added and their names. Of the commits
behind the last that was made sure, a power cut may have left any part: those that are not whole are taken away, and
their rows come again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from eventide.errors import SinkError
from eventide.flow import SystemDisk, is_remote

OURS = "eventide"
"""The entry of a commit's information that names the output that made it."""

_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\..*parquet")
_WITH_FILES = ("add", "cdc")

Action = Mapping[str, Any]


def local_table(path: str) -> LocalTable | None:
    """What keeps a table's commits; None for one in a store, which keeps what it confirmed."""
    if is_remote(path):
        return None
    return LocalTable(Path(unquote(urlsplit(path).path) if path.startswith("file://") else path))


@dataclass
class LocalTable:
    """The files of a table. `sure` is the newest version of which all is on the disk; None where nobody knows yet."""

    folder: Path
    sure: int | None = None
    disk: SystemDisk = field(default_factory=SystemDisk)

    @property
    def log(self) -> Path:
        """The folder of commits."""
        return self.folder / "_delta_log"

    def make_folder(self) -> None:
        """Make the table's folder, with its name."""
        self.disk.make_folder(self.folder)

    def sync(self) -> None:
        """Make sure of all commits. Raises `OSError`."""
        versions = self._versions()
        if self.sure is None:
            files = [Path(place) / name for place, _, names in os.walk(self.folder) for name in names]
        else:
            new = [version for version in versions if version > self.sure]
            files = [file for version in new for file in self._files(version)]
            files += [self._commit(version) for version in new]
        self._sync(files)
        self.sure = versions[-1] if versions else -1

    def sync_checkpoint(self) -> None:
        """Make sure of the newest checkpoint that the library has written. Raises `OSError`."""
        names = self.disk.names(self.log)
        checkpoints = [name for name in names if _CHECKPOINT.fullmatch(name)]
        self._sync([self.log / name for name in (*checkpoints[-1:], "_last_checkpoint") if name in names])

    def mend(self, sure: int, application: str) -> None:
        """Take away what a power cut left torn of the commits behind a version that was made sure. Raises `SinkError`
        where commits of others came behind it.
        """
        versions = self._versions()
        whole = max(sure, self._mend_checkpoints(sure))
        while whole + 1 in versions and self._is_whole(whole + 1, application):
            whole += 1
        torn = [version for version in versions if version > whole]
        if any(self._maker(version) != application and self._is_whole(version, application) for version in torn[1:]):
            raise SinkError(
                f"version {whole + 1} of delta table {self.folder} was torn by a stop of the machine, and others have "
                f"committed behind it: restore the table to version {whole}, and start again"
            )
        for version in reversed(torn):
            self._set_aside(self._commit(version))
        if torn:
            self.disk.sync(self.log)
        self.sure = sure if versions and versions[-1] >= sure else None

    def _mend_checkpoints(self, sure: int) -> int:
        """Take away those that are torn, which commits make up for; gives the version of the newest (-1: none)."""
        kept = -1
        for name in self.disk.names(self.log):
            found = _CHECKPOINT.fullmatch(name)
            if found is not None and int(found[1]) >= sure and not _is_readable(self.log / name):
                self._set_aside(self.log / name)
            elif found is not None:
                kept = int(found[1])
        hint = self.log / "_last_checkpoint"
        if self.disk.size(hint) is not None and _version_of(self.disk.read(hint)) != kept:
            self.disk.remove(hint)  # the library finds it without
        return kept

    def _is_whole(self, version: int, application: str) -> bool:
        actions = self._actions(version)
        files = [action[kind] for action in actions for kind in _WITH_FILES if kind in action]
        if self._maker(version) == application and "txn" not in actions[-1]:
            return False  # the library writes it last
        return bool(actions) and all(self._is_there(file) for file in files)

    def _is_there(self, file: Mapping[str, Any]) -> bool:
        place = self._place(str(file["path"]))
        return place is None or (self.disk.size(place) == file.get("size") and _is_readable(place))

    def _maker(self, version: int) -> str | None:
        """The output that made a commit; None for others, and where its first line is torn."""
        found = [action["commitInfo"] for action in self._actions(version) if "commitInfo" in action]
        return found[0].get(OURS) if found and isinstance(found[0], dict) else None

    def _files(self, version: int) -> Iterator[Path]:
        for action in self._actions(version):
            for kind in _WITH_FILES:
                place = self._place(str(action[kind]["path"])) if kind in action else None
                if place is not None:
                    yield place

    def _place(self, path: str) -> Path | None:
        """Where a file of a commit is; None for one that a clone takes from another table."""
        return None if urlsplit(path).scheme else self.folder / unquote(path)

    def _actions(self, version: int) -> list[Action]:
        """The actions of a commit; none when it is torn."""
        try:
            found = [json.loads(line) for line in self.disk.read(self._commit(version)).splitlines()]
        except ValueError:
            return []
        return found if all(isinstance(action, dict) for action in found) else []

    def _versions(self) -> list[int]:
        return [int(found[1]) for name in self.disk.names(self.log) if (found := _COMMIT.fullmatch(name))]

    def _commit(self, version: int) -> Path:
        return self.log / f"{version:020}.json"

    def _set_aside(self, path: Path) -> None:
        self.disk.rename(path, path.with_name(f"{path.name}.torn"))

    def _sync(self, files: list[Path]) -> None:
        """Sync files and all their folders. One that somebody has removed needs none."""
        folders = {self.log, self.folder}
        for file in files:
            folders |= {folder for folder in file.parents if folder.is_relative_to(self.folder)}
        for path in (*files, *sorted(folders, reverse=True)):
            try:
                self.disk.sync(path)
            except FileNotFoundError:
                continue


def _is_readable(path: Path) -> bool:
    """True when all of a Parquet file can be read."""
    try:
        # all of it, in parts
        pl.scan_parquet(path, hive_partitioning=False).select(pl.all().null_count()).collect(engine="streaming")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return False
    return True


def _version_of(hint: bytes) -> int | None:
    """The version of the checkpoint that is said to be the last."""
    try:
        found = json.loads(hint)
    except ValueError:
        return None
    return found.get("version") if isinstance(found, dict) else None
