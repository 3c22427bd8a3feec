"""PyIceberg's way to files, with those on a disk of this machine synced.

Law: PyIceberg finds it by its name, in the properties of a catalog (`local.synced`).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from eventide.connectors.iceberg.local import SyncedStream

if TYPE_CHECKING:
    from pyiceberg.io import OutputStream

_AT_ONCE = 2**20


class SyncedFile(PyArrowFile):
    """A file of this machine's disk."""

    def create(self, overwrite: bool = False) -> OutputStream:
        """A stream into the file, which is on the disk when it is closed."""
        if not overwrite and self.exists():
            raise FileExistsError(f"Cannot create file, already exists: {self.location}")
        return cast("OutputStream", io.BufferedWriter(SyncedStream(Path(self._path)), _AT_ONCE))


class SyncedFiles(PyArrowFileIO):
    """Arrow's files; those of this machine's disk are synced."""

    def new_output(self, location: str) -> PyArrowFile:
        """A file to write."""
        scheme, netloc, path = self.parse_location(location, self.properties)
        if scheme != "file":
            return super().new_output(location)
        return SyncedFile(location, path, self.fs_by_scheme(scheme, netloc))
