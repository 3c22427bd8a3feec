"""A state folder: the last checkpoints of a run, and which of them can be trusted.

Law: a checkpoint is used only when every bit of it is as it was written; otherwise the one before is, and it is said
loudly. A folder whose checkpoints are all damaged is refused: beginning anew is the user's decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from eventide.engine.epochs.checkpoint import Checkpoint
from eventide.engine.epochs.files import MANIFEST, Manifest, from_files, manifest_of, to_files
from eventide.errors import CheckpointError
from eventide.flow import Disk, SystemDisk, store

_KEPT = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Damage:
    """A checkpoint that cannot be used, and why."""

    epoch: int
    why: str

    def __str__(self) -> str:
        return f"checkpoint {self.epoch} is not used: {self.why}"


@dataclass(frozen=True, slots=True)
class Found:
    """The newest checkpoint that is whole, and the newer ones that are not."""

    checkpoint: Checkpoint | None
    damaged: tuple[Damage, ...] = ()


@dataclass
class StateFolder:
    """The folder `path`, in which the last `kept` checkpoints stay."""

    path: Path
    disk: Disk = field(default_factory=SystemDisk)
    kept: int = _KEPT

    def __post_init__(self) -> None:
        if self.kept < 1:
            raise ValueError(f"kept={self.kept} must be at least 1; 2 or more survive a damaged disk")

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are, each in a folder named by its epoch."""
        return self.path / "checkpoints"

    @property
    def marks(self) -> Path:
        """Where the marks of idleness are."""
        return self.path / "marks"

    def epochs(self) -> list[int]:
        """The epochs of the checkpoints that are there, whole or not, in order. One without a manifest was never
        finished and does not count.
        """
        names = [name for name in self.disk.names(self.checkpoints) if name.isdigit()]
        return [int(name) for name in names if self.disk.size(self.checkpoints / name / MANIFEST) is not None]

    def newest(self) -> Found:
        """The newest checkpoint that is whole. Raises `CheckpointError` when there are some and none is."""
        damaged: list[Damage] = []
        for epoch in reversed(self.epochs()):
            try:
                return Found(self.read(epoch), tuple(damaged))
            except CheckpointError as fault:
                damaged.append(Damage(epoch, str(fault)))
        if damaged:
            listed = "\n".join(f"  - {one}" for one in damaged)
            raise CheckpointError(
                f"no checkpoint in {self.path} can be used:\n{listed}\n"
                "Restore the folder from a copy, start another folder from a savepoint, or remove it to begin anew"
            )
        return Found(None)

    def read(self, epoch: int) -> Checkpoint:
        """One checkpoint. Raises `CheckpointError` when a bit of it is not as it was written."""
        found = read_checkpoint(self.checkpoints / _name(epoch), self.disk)
        if found.epoch != epoch:
            raise CheckpointError(f"its folder says epoch {epoch}, its manifest {found.epoch}")
        return found

    def manifest(self, epoch: int) -> Manifest:
        """What the manifest of one checkpoint says. Raises `CheckpointError` when it is damaged or missing."""
        return read_manifest(self.checkpoints / _name(epoch), self.disk)

    def write(self, checkpoint: Checkpoint, version: str) -> int:
        """Write a checkpoint, sure to last on return; gives its size in bytes."""
        files = to_files(checkpoint, version)
        store(self.disk, self.checkpoints / _name(checkpoint.epoch), files, MANIFEST)
        self.disk.sync(self.checkpoints)
        return sum(map(len, files.values()))

    def prune(self, epoch: int) -> int:
        """Remove what the newest checkpoint, of this epoch, makes unnecessary; gives the oldest epoch that is kept."""
        names = [name for name in self.disk.names(self.checkpoints) if name.isdigit()]
        epochs = sorted(int(name) for name in names if int(name) <= epoch)
        for old in epochs[: -self.kept]:
            # without its manifest it is no checkpoint any more, so a crash in between leaves nothing that misleads
            self.disk.remove(self.checkpoints / _name(old) / MANIFEST)
            self.disk.remove(self.checkpoints / _name(old))
        return epochs[-self.kept :][0]


def read_checkpoint(folder: Path, disk: Disk | None = None) -> Checkpoint:
    """The checkpoint or savepoint in a folder. Raises `CheckpointError` when it is not whole."""
    reading = disk or SystemDisk()
    return _told(lambda: from_files(read_manifest(folder, reading), lambda name: reading.read(folder / name)))


def read_manifest(folder: Path, disk: Disk) -> Manifest:
    """The manifest in a folder. Raises `CheckpointError` when it is damaged or missing."""
    if disk.size(folder / MANIFEST) is None:
        raise CheckpointError(f"there is no checkpoint in {folder}: it has no {MANIFEST}")
    try:
        return manifest_of(_told(lambda: disk.read(folder / MANIFEST)))
    except CheckpointError as fault:
        raise CheckpointError(f"{MANIFEST}: {fault}") from None


def _told(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except OSError as fault:
        raise CheckpointError(f"it cannot be read: {fault.strerror or fault}") from None


def _name(epoch: int) -> str:
    return f"{epoch:08}"


def save_to(folder: StateFolder, target: Path) -> Checkpoint:
    """Copy the newest whole checkpoint to a folder of its own. Raises `CheckpointError` when there is none or the
    target is taken.
    """
    if folder.disk.names(target):
        raise CheckpointError(f"{target} is not empty: give a new folder for the savepoint")
    found = folder.newest().checkpoint
    if found is None:
        raise CheckpointError(f"there is no checkpoint in {folder.path} yet: wait for the first one")
    source = folder.checkpoints / _name(found.epoch)

    def copied() -> None:
        manifest = read_manifest(source, folder.disk)
        files = {name: folder.disk.read(source / name) for name in (*manifest.files, MANIFEST)}
        store(folder.disk, target, files, MANIFEST)
        folder.disk.sync(target.parent)

    _told(copied)
    return read_checkpoint(target, folder.disk)
