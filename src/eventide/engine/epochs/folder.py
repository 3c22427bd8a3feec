"""A state folder: the last checkpoints of a run, and which of them can be trusted.

Law: a checkpoint is used only when every bit of it is as it was written; otherwise the one before is, and it is said
loudly. A folder whose checkpoints are all damaged is refused: beginning anew is the user's decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TypeVar

from eventide.engine.epochs.checkpoint import Checkpoint
from eventide.engine.epochs.files import MANIFEST, Manifest, from_files, manifest_of, to_files
from eventide.engine.epochs.pieces import Pieces
from eventide.errors import CheckpointError
from eventide.flow import Disk, SystemDisk, is_remote, place_of, store

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
    pieces: Pieces = field(default_factory=Pieces)
    _referred: dict[int, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kept < 1:
            raise ValueError(f"checkpoints_kept={self.kept} must be at least 1; 2 or more survive a damaged disk")

    @classmethod
    def at(cls, address: str | PathLike[str], kept: int = _KEPT) -> StateFolder:
        """The folder of a path, or of an address such as `s3://bucket/prefix`. Raises `CheckpointError` for an address
        that cannot be one.
        """
        if not isinstance(address, str | PathLike):
            raise CheckpointError(f"state={address!r} is not the path or address of a folder")
        if not fspath(address):
            raise CheckpointError("state='' is not the path of a folder: is a variable not set? Leave it out for none")
        try:
            disk, path = place_of(address)
        except ValueError as fault:
            raise CheckpointError(str(fault)) from None
        return cls(path, disk, kept)

    @property
    def files(self) -> Disk:
        """The disk of files whose paths are of this machine: another than the state's when that is far away."""
        return SystemDisk() if is_remote(self.path) else self.disk

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are, each in a folder named by its epoch."""
        return self.path / "checkpoints"

    @property
    def shared(self) -> Path:
        """Where the files are that several checkpoints refer to."""
        return self.path / "pieces"

    @property
    def marks(self) -> Path:
        """Where the marks of idleness are."""
        return self.path / "marks"

    def epochs(self) -> list[int]:
        """The epochs of the checkpoints that are there, whole or not, in order. One without a manifest was never
        finished and does not count.
        """
        return _told(self._epochs)

    def _epochs(self) -> list[int]:
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
        """Write a checkpoint, sure to last on return; gives how many bytes were written."""
        planned = self.pieces.planned(checkpoint)
        self.pieces.forget()
        self._referred.pop(checkpoint.epoch, None)
        if planned.files:
            self.disk.make_folder(self.shared)
            for name, data in planned.files.items():
                self.disk.write(self.shared / name, data)
                self.disk.sync(self.shared / name)
            self.disk.sync(self.shared)
        written = _Counted(to_files(checkpoint, version, planned.shared), sum(map(len, planned.files.values())))
        store(self.disk, self.checkpoints / _name(checkpoint.epoch), written, MANIFEST)
        self.disk.sync(self.checkpoints)
        self.pieces.written(planned)
        return written.passed

    def prune(self, epoch: int) -> int:
        """Remove what the newest checkpoint, of this epoch, makes unnecessary; gives the oldest epoch that is kept.

        Beside the last ones, one is kept that shares no file with the newest: damage to a shared file then costs time.
        """
        names = [name for name in self.disk.names(self.checkpoints) if name.isdigit()]
        epochs = sorted(int(name) for name in names if int(name) <= epoch)
        kept, newest = set(epochs[-self.kept :]), self._shared_by(epoch)
        if newest:
            kept |= set([old for old in epochs if newest.isdisjoint(self._shared_by(old))][-1:])
        for old in epochs:
            if old not in kept:
                # without its manifest it is no checkpoint any more, so a crash in between leaves nothing that misleads
                self.disk.remove(self.checkpoints / _name(old) / MANIFEST)
                self.disk.remove(self.checkpoints / _name(old))
        self._prune_shared(kept)
        return min(kept)

    def _prune_shared(self, kept: set[int]) -> None:
        """Remove the files that none of these checkpoints refers to."""
        used = set().union(*map(self._shared_by, kept))
        for name in self.disk.names(self.shared):
            if name not in used:
                self.disk.remove(self.shared / name)

    def _shared_by(self, epoch: int) -> frozenset[str]:
        """The shared files that a checkpoint refers to; none where it is damaged: they are of no use to it."""
        if epoch not in self._referred:
            try:
                files = manifest_of(self.disk.read(self.checkpoints / _name(epoch) / MANIFEST)).files
            except (CheckpointError, FileNotFoundError):
                files = {}
            self._referred[epoch] = frozenset(name for name, part in files.items() if part.shared)
        return self._referred[epoch]


@dataclass
class _Counted:
    """Files, and how many bytes have passed."""

    files: Iterable[tuple[str, bytes]]
    passed: int

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for name, data in self.files:
            self.passed += len(data)
            yield name, data


def read_checkpoint(folder: Path, reading: Disk) -> Checkpoint:
    """The checkpoint or savepoint in a folder. Raises `CheckpointError` when it is not whole."""
    manifest = read_manifest(folder, reading)
    return _told(lambda: from_files(manifest, lambda name: _file(manifest, name, folder, reading)))


def _file(manifest: Manifest, name: str, folder: Path, disk: Disk) -> bytes:
    """One of a checkpoint's files. A savepoint has the shared ones in its own folder."""
    shared = folder.parent.parent / "pieces"
    if manifest.files[name].shared and disk.size(folder / name) is None:
        return disk.read(shared / name)
    return disk.read(folder / name)


def read_manifest(folder: Path, disk: Disk) -> Manifest:
    """The manifest in a folder. Raises `CheckpointError` when it is damaged or missing."""
    if _told(lambda: disk.size(folder / MANIFEST)) is None:
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


def save_to(folder: StateFolder, target: StateFolder) -> Checkpoint:
    """Copy the newest whole checkpoint to a folder of its own. Raises `CheckpointError` when there is none or the
    target is taken.
    """
    if _told(lambda: target.disk.names(target.path)):
        raise CheckpointError(f"{target.path} is not empty: give a new folder for the savepoint")
    found = folder.newest().checkpoint
    if found is None:
        raise CheckpointError(f"there is no checkpoint in {folder.path} yet: wait for the first one")
    source = folder.checkpoints / _name(found.epoch)

    def copied() -> None:
        manifest = read_manifest(source, folder.disk)
        files = {name: _file(manifest, name, source, folder.disk) for name in manifest.files}
        files[MANIFEST] = folder.disk.read(source / MANIFEST)
        store(target.disk, target.path, files.items(), MANIFEST)
        target.disk.sync(target.path.parent)

    _told(copied)
    return read_checkpoint(target.path, target.disk)
