"""The lock of a state folder: one run at a time.

Law: a lock that nobody holds cannot remain; whoever holds it is named to those who come second.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from eventide.engine.epochs.folder import StateFolder
from eventide.errors import CheckpointError


@contextmanager
def locked(folder: StateFolder) -> Iterator[None]:
    """Hold the folder, which is made if it is not there. Raises `CheckpointError` when another run holds it."""
    try:
        folder.disk.make_folder(folder.path)
        hold = folder.disk.hold(folder.path / "lock", f"process {os.getpid()} on {socket.gethostname()}")
        holder = hold.__enter__()
    except OSError as fault:
        raise CheckpointError(
            f"cannot use {folder.path} as a state folder: {fault.strerror or fault}. Check the path and its permissions"
        ) from None
    try:
        if holder is not None:
            raise CheckpointError(
                f"{folder.path} belongs to a run that is still going ({holder}): stop it, or give this one a folder of "
                "its own"
            )
        yield
    finally:
        hold.__exit__(None, None, None)
