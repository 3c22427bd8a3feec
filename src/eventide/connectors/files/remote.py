"""Files in an object store: which ones an address stands for.

Law: what begins with a dot is hidden, as on a disk; files are in order of their names.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path

from eventide.connectors.patience import source_fault
from eventide.flow import is_remote, place_of, remote_path


def is_for_many(address: str) -> bool:
    """True for a folder, which ends with a slash, and for a pattern of names in one."""
    return address.endswith("/") or has_magic(address)


def files_at(address: str) -> list[Path]:
    """The files that an address, a folder or a pattern stands for now. Raises `SourceError` when the store does not
    answer.
    """
    path = remote_path(address)
    if not is_for_many(address):
        return [path]
    folder, pattern = (path, "*") if address.endswith("/") else (path.parent, path.name)
    try:
        names = place_of(folder)[0].names(folder)
    except OSError as fault:
        text = f"cannot list {folder}: {fault.strerror or fault}. Check the address, its store and the rights there"
        raise source_fault(text, fault) from None
    return [folder / name for name in names if fnmatchcase(name, pattern) and not name.startswith(".")]


def check_address(address: str) -> None:
    """Refuse an address that cannot be one. Raises `ValueError`."""
    if is_remote(address):
        path = remote_path(address)
        if has_magic(str(path.parent)):
            raise ValueError(f"{address}: only the last part of an address may be a pattern")


def missing_extra(path: str) -> str | None:
    """The extra of Eventide that has to be installed for a path; None for one of this machine."""
    from importlib.util import find_spec

    return "s3" if is_remote(path) and find_spec("fsspec") is None else None
