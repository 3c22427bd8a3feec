"""The intake: what a thread has got from a server and a reader has not taken yet, bounded in entries and bytes.

Law: a reader never waits for a server; a thread that is ahead waits for the reader, so memory stays bounded whatever
the server sends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

ENTRIES_MOST = 100_000
BYTES_MOST = 64 * 2**20


class Closed(Exception):
    """Nobody reads any more: the thread shall end."""


@dataclass(frozen=True, slots=True)
class Piece(Generic[T]):
    """Something taken in, with how many entries and bytes it stands for."""

    content: T
    entries: int
    size_bytes: int


class Intake(Generic[T]):
    """A queue between a thread that waits for a server and a reader that must not. `wake` is set when something
    came.
    """

    def __init__(
        self, wake: threading.Event, *, entries_most: int = ENTRIES_MOST, bytes_most: int = BYTES_MOST
    ) -> None:
        self._wake = wake
        self._entries_most = entries_most
        self._bytes_most = bytes_most
        self._pieces: deque[Piece[T]] = deque()
        self._entries = self._bytes = 0
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], None], name: str) -> None:
        """Do the work in a thread of its own. When it returns the log has ended, when it raises it has failed."""
        self._thread = threading.Thread(target=self._work, args=(work,), daemon=True, name=f"eventide-{name}")
        self._thread.start()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Closed:
            pass
        except BaseException as fault:  # told by the reader, whatever it is
            self._fault = fault
        with self._changed:
            self._ended = True
        self._wake.set()

    def put(self, content: T, entries: int, size_bytes: int) -> None:
        """Hand something to the reader, waiting for room. A piece larger than the bound is let in alone. Raises
        `Closed` when nobody reads any more.
        """
        with self._changed:
            self._changed.wait_for(self._has_room)
            if self._closed:
                raise Closed
            self._pieces.append(Piece(content, entries, size_bytes))
            self._entries += entries
            self._bytes += size_bytes
        self._wake.set()

    def _has_room(self) -> bool:
        fits = self._entries < self._entries_most and self._bytes < self._bytes_most
        return self._closed or not self._pieces or fits

    @property
    def has_room(self) -> bool:
        """True when `put` would not wait."""
        with self._changed:
            return self._has_room()

    def take(self) -> T | None:
        """The next thing, or None. Raises what the thread raised, behind all that it had put before."""
        with self._changed:
            if self._pieces:
                piece = self._pieces.popleft()
                self._entries -= piece.entries
                self._bytes -= piece.size_bytes
                self._changed.notify_all()
                return piece.content
            if self._fault is not None and not self._closed:
                raise self._fault
        return None

    @property
    def finished(self) -> bool:
        """True when the log has ended and all was taken."""
        with self._changed:
            return self._ended and not self._pieces and self._fault is None

    @property
    def closed(self) -> bool:
        """True when nobody reads any more."""
        return self._closed

    def wait_closed(self, seconds: float) -> bool:
        """Wait so long, or until nobody reads any more; True in that case."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Nobody reads any more. Waits for the thread, which is told by its next `put`."""
        with self._changed:
            self._closed = True
            self._pieces.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)
