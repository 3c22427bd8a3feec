"""A lock in an object store: numbered objects, each created once, lent for a time and renewed by a thread.

Law: a number is created by one holder only, and the highest number holds the lock. A holder that cannot be sure of its
lease writes nothing; one whose number is not the highest any more never does again. What it put on its way before
that moment may still arrive: an object store cannot refuse it.
"""

from __future__ import annotations

import errno
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import msgspec

from eventide.flow.clock import WallClock

LEASE_US: Final = 15_000_000
"""For so long a lock stays taken when its holder was killed."""

_EARLIER = "another run that came first"


class Numbered(Protocol):
    """What a lock needs of a store."""

    def read(self, path: Path) -> bytes: ...

    def names(self, folder: Path) -> list[str]: ...

    def create(self, path: Path, data: bytes) -> None: ...

    def put(self, path: Path, data: bytes) -> None: ...

    def drop(self, path: Path) -> None: ...


class Note(msgspec.Struct, frozen=True):
    """What a lock's object says: who holds it, and a count that moves while the holder lives."""

    holder: str
    token: str
    beat: int = 0
    released: bool = False


@dataclass
class Lease:
    """One attempt at a lock, whose objects are in the folder `path`."""

    store: Numbered
    path: Path
    holder: str
    lease_us: int
    clock: WallClock
    say: Callable[[str], None]
    number: int = 0
    _note: Note = field(default_factory=lambda: Note("", ""))
    _good_us: int = 0
    _lost: bool = False
    _over: threading.Event = field(default_factory=threading.Event)
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def take(self) -> str | None:
        """Take the lock. Gives None, or who holds it. Waits for as long as a lease when a holder does not move."""
        last = max(self._numbers(), default=0)
        if last and (living := self._living(last)) is not None:
            return living
        self._note = Note(self.holder, uuid.uuid4().hex)
        self.number = last + 1
        began_us = self.clock.now_us()
        try:
            self.store.create(self._object(self.number), msgspec.json.encode(self._note))
        except FileExistsError:
            # a put whose answer was lost is tried again, and then finds itself
            try:
                found = self._read(self.number)
            except FileNotFoundError:
                return _EARLIER
            if found.token != self._note.token:
                return found.holder
        self._good_us = began_us
        for number in self._numbers():
            if number < self.number:
                self.store.drop(self._object(number))
        self._thread = threading.Thread(target=self._renew_now_and_then, name="eventide-lease", daemon=True)
        self._thread.start()
        return None

    def _living(self, number: int) -> str | None:
        """Who holds a number, when its count moves within a lease; None when it was given back or does not move."""
        try:
            return self._watch(number, self._read(number))
        except FileNotFoundError:  # a later number takes the earlier ones away
            return _EARLIER

    def _watch(self, number: int, seen: Note) -> str | None:
        if seen.released:
            return None
        self.say(
            f"{self.path} was not given back by {seen.holder}: looking for up to {self.lease_us // 1_000_000} s "
            "whether it is still there"
        )
        never, until_us = threading.Event(), self.clock.now_us() + self.lease_us
        while self.clock.now_us() < until_us:
            self.clock.wait(never, self.lease_us // 10)
            if (now := self._read(number)) != seen:
                return None if now.released else now.holder
        return None

    def check(self) -> None:
        """Raise `OSError` unless the lease is good for a while longer."""
        if not self._lost and self.clock.now_us() - self._good_us > self.lease_us * 2 // 3:
            self._renew()
        if self._lost:
            raise OSError(errno.ESTALE, f"another run has taken {self.path} over while this one was held up")

    def _renew_now_and_then(self) -> None:
        while not self._over.is_set() and not self._lost:
            self.clock.wait(self._over, self.lease_us // 3)
            if self._over.is_set():
                return
            try:
                self._renew()
            except OSError:
                continue  # `check` tells it to the run, if it writes before a later attempt works

    def _renew(self) -> None:
        with self._busy:
            began_us = self.clock.now_us()
            if max(self._numbers(), default=0) != self.number:
                self._lost = True
                return
            self._note = msgspec.structs.replace(self._note, beat=self._note.beat + 1)
            self._put(self.number, self._note)
            # another may have come between looking and writing: it wins, its number is the higher one
            self._lost = max(self._numbers(), default=0) != self.number
            if not self._lost:
                self._good_us = began_us

    def give_back(self) -> None:
        """End the lease, so that the next holder need not wait."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        try:
            if not self._lost and max(self._numbers(), default=0) == self.number:
                self._put(self.number, msgspec.structs.replace(self._note, released=True))
        except OSError:
            return  # the next one waits instead

    def _numbers(self) -> list[int]:
        return sorted(int(name) for name in self.store.names(self.path) if name.isdigit())

    def _object(self, number: int) -> Path:
        return self.path / f"{number:08}"

    def _read(self, number: int) -> Note:
        data = self.store.read(self._object(number))
        try:
            return msgspec.json.decode(data, type=Note)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return Note("somebody", data[:64].hex())

    def _put(self, number: int, note: Note) -> None:
        self.store.put(self._object(number), msgspec.json.encode(note))
