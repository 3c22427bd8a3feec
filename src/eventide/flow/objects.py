"""An object store as a disk, through fsspec: whole objects, no renames, nothing to sync.

Law: an object is put whole or not at all, and is there to stay when the put returns. While a lock is held, nothing is
written or removed unless its lease is known to be good.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, cast

from eventide.flow.clock import SystemClock, WallClock
from eventide.flow.disk import Head
from eventide.flow.lease import LEASE_US, Lease
from eventide.flow.places import Address

_T = TypeVar("_T")


class Objects(Protocol):
    """What is used of a file system of fsspec."""

    def cat_file(self, path: str) -> bytes: ...

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite") -> object: ...

    def info(self, path: str) -> Mapping[str, object]: ...

    def ls(self, path: str, detail: bool = True) -> list[str]: ...

    def find(self, path: str) -> list[str]: ...

    def rm_file(self, path: str) -> None: ...

    def invalidate_cache(self) -> None: ...


def _say(text: str) -> None:
    print(f"eventide: {text}", file=sys.stderr)


@dataclass
class ObjectDisk:
    """Objects of a store. A lock is lent for `lease_us` and renewed by a thread while it is held."""

    objects: Objects
    lease_us: int = LEASE_US
    clock: WallClock = field(default_factory=SystemClock)
    say: Callable[[str], None] = _say
    _leases: list[Lease] = field(default_factory=list)

    def read(self, path: Path) -> bytes:
        return _told(lambda: self.objects.cat_file(str(path)))

    def size(self, path: Path) -> int | None:
        try:
            found = self._fresh(lambda: self.objects.info(str(path)))
        except FileNotFoundError:
            return None
        return int(cast("int", found["size"])) if found["type"] == "file" else None

    def names(self, folder: Path) -> list[str]:
        try:
            found = self._fresh(lambda: self.objects.ls(str(folder), detail=False))
        except FileNotFoundError:
            return []
        names = {name.rstrip("/").rpartition("/")[2] for name in found if not str(folder).endswith(name.rstrip("/"))}
        return sorted(names)

    def make_folder(self, folder: Path) -> None:
        """A store has no folders: names with slashes are enough."""

    def write(self, path: Path, data: bytes, head: Head | None = None) -> None:
        self._check()
        begin = b"" if head is None else self.read(head.path)[: head.size]
        if head is not None and len(begin) < head.size:
            raise OSError(errno.EIO, f"{head.path} has only {len(begin):,} of {head.size:,} bytes")
        self.put(path, begin + data)

    def sync(self, path: Path) -> None:
        """What was put is there to stay."""

    def publish(self, path: Path, data: bytes, head: Head | None = None) -> None:
        self.write(path, data, head)

    def create(self, path: Path, data: bytes) -> None:
        """Put an object where none is. Raises `FileExistsError` when there is one."""
        _told(lambda: self.objects.pipe_file(str(path), data, mode="create"))

    def put(self, path: Path, data: bytes) -> None:
        """Put an object, whatever the locks say: what locks themselves are made of."""
        _told(lambda: self.objects.pipe_file(str(path), data))

    def drop(self, path: Path) -> None:
        """Remove an object, whatever the locks say. One that is not there is left at that."""
        with suppress(FileNotFoundError):
            _told(lambda: self.objects.rm_file(str(path)))

    def remove(self, path: Path) -> None:
        self._check()
        with suppress(FileNotFoundError):
            for name in self._fresh(lambda: self.objects.find(str(path))):
                _told(partial(self.objects.rm_file, name))

    @contextmanager
    def hold(self, path: Path, holder: str) -> Iterator[str | None]:
        lease = Lease(self, path, holder, self.lease_us, self.clock, self.say)
        taken = lease.take()
        if taken is not None:
            yield taken
            return
        self._leases.append(lease)
        try:
            yield None
        finally:
            self._leases.remove(lease)
            lease.give_back()

    def _check(self) -> None:
        for lease in self._leases:
            lease.check()

    def _fresh(self, look: Callable[[], _T]) -> _T:
        """What a look finds now, not what an earlier one found."""
        self.objects.invalidate_cache()
        return _told(look)


def object_disk(address: Address, lease_us: int = LEASE_US) -> ObjectDisk:
    """The store of an address. Raises `ValueError` when what its scheme needs is not installed."""
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # fsspec has no types
    except ImportError:
        raise ValueError(f'{address} needs fsspec and s3fs: install "eventide[s3]"') from None
    try:
        objects, _ = url_to_fs(str(address), skip_instance_cache=True)
    except (ImportError, ValueError) as fault:
        raise ValueError(f"nothing that is installed can read {address}: {fault}") from None
    return ObjectDisk(cast("Objects", objects), lease_us)


def _told(work: Callable[[], _T]) -> _T:
    """What the work gives; faults of a store's client as those of a system."""
    try:
        return work()
    except OSError:
        raise
    except Exception as fault:
        # clients have exceptions of their own for a server that is away or a missing key
        text = " ".join(str(fault).split()) or type(fault).__name__
        if "credentials" in text.lower():
            text += " (set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
        raise OSError(errno.EIO, text) from None
