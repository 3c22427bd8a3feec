"""Places: where an address leads - a path of this machine, or an object store's such as `s3://bucket/prefix`.

Law: an address holds no secrets; what a store wants to know of who asks, it finds where its own tools look (for S3 the
usual AWS environment).
"""

from __future__ import annotations

import re
from os import PathLike, fspath
from pathlib import Path, PosixPath
from urllib.parse import urlsplit

from eventide.flow.disk import Disk, SystemDisk

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Address(PosixPath):
    """A path in an object store. It is taken apart and put together as other paths are; only a disk that knows the
    store can read it.

    >>> str(Address("s3://bucket/a") / "b")
    's3://bucket/a/b'
    """

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is not a path of this machine")


def is_remote(address: str | PathLike[str]) -> bool:
    """True for an address with a scheme, such as `s3://bucket/prefix`; false for paths, also as `file://`.

    >>> is_remote("s3://bucket/state"), is_remote("state/"), is_remote("file:///tmp/state")
    (True, False, False)
    """
    return isinstance(address, Address) or (
        _REMOTE.match(fspath(address)) is not None and not fspath(address).startswith("file://")
    )


def place_of(address: str | PathLike[str]) -> tuple[Disk, Path]:
    """The disk that an address is on, and its path there. Raises `ValueError` when the address holds a secret or
    nothing can read its scheme.
    """
    if not is_remote(address):
        return SystemDisk(), Path(fspath(address).removeprefix("file://"))
    from eventide.flow.objects import object_disk

    return object_disk(remote_path(address)), remote_path(address)


def remote_path(address: str | PathLike[str]) -> Address:
    """The path of an address with a scheme. Raises `ValueError` when it is not one or holds a secret."""
    if isinstance(address, Address):
        return address
    parts = urlsplit(fspath(address))
    if "@" in parts.netloc:
        raise ValueError(
            f"an address of {parts.scheme}:// holds a user or a password: leave them out. S3 takes them from the "
            "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a profile (AWS_PROFILE)"
        )
    if not parts.netloc or parts.query:
        raise ValueError(f"{fspath(address)!r} is not an address: write for example s3://bucket/folder")
    return Address(fspath(address))
