"""Files of an Iceberg table on a disk of this machine: synced when they are closed, because PyIceberg syncs nothing.

Law: a file that is closed is on the disk, with its name. PyIceberg closes data, manifests and metadata before it tells
the catalog of them, so what the catalog knows is there.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from eventide.flow import SystemDisk

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

_FILES = "py-io-impl"


def synced(catalog: Catalog) -> Catalog:
    """The catalog, with files of this machine's disk synced: where its warehouse is a path or a `file:` address, and
    its configuration names no other way to write files.
    """
    if str(catalog.properties.get("warehouse", "")).startswith(("/", "file:")):
        catalog.properties.setdefault(_FILES, "eventide.connectors.iceberg.files.SyncedFiles")
    return catalog


class SyncedStream(io.FileIO):
    """A new file, synced with its name when it is closed."""

    def __init__(self, path: Path) -> None:
        self._disk = SystemDisk()
        self._path = path
        self._disk.make_folder(path.parent)
        super().__init__(path, "wb")

    def close(self) -> None:
        if self.closed:
            return
        try:
            os.fsync(self.fileno())
        finally:
            super().close()
        self._disk.sync(self._path.parent)
