"""Fingerprints of files: a text that changes when their size or time does.

Law: nothing is opened; a missing file has a fingerprint too, so that its return is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from eventide.flow import is_remote, place_of


def fingerprint_of(paths: Iterable[Path]) -> str:
    """Names, sizes in bytes and times of change of files."""
    return ";".join(_one(path) for path in paths)


def _one(path: Path) -> str:
    try:
        if is_remote(path):
            return f"{path}:{place_of(path)[0].size(path)}"
        seen = path.stat()
    except OSError:
        return f"{path}:missing"
    return f"{path}:{seen.st_size}:{seen.st_mtime_ns}"
