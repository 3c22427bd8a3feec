"""The journal of one source: a folder of segments, each named by the offset of its first record.

Law: a segment ends where the next begins. What stands in it behind that was never confirmed, nor was what a crash tore
at the end of the last; a segment that ends too early, or has a whole group behind a torn one, is damaged and said so.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from eventide.connectors.journal import groups
from eventide.errors import SourceError
from eventide.flow import GrowingDisk

_SUFFIX = ".log"
_BEGIN = "begin"
_CHUNK_BYTES = 2**20


class Record(NamedTuple):
    """What was accepted: its offset, when it came, and its bytes."""

    offset: int
    arrival_us: int
    value: bytes


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """A journal is full when it holds `most_bytes` that are not worked off, and begins a new segment behind
    `segment_bytes`, or an eighth of that. `in_order` is for its keeper.
    """

    most_bytes: int = 2 * 2**30
    segment_bytes: int = 32 * 2**20
    in_order: bool = False


@dataclass
class _Segment:
    first: int
    size: int
    """Up to where it is confirmed; for one that was there before, its length."""


@dataclass
class _Cursor:
    """Where reading goes on: a place in the segment `first`, in front of offset `reached`; `left` are records before
    that which were unpacked and not handed out.
    """

    first: int
    salt: bytes
    reached: int
    place: int = groups.HEADER_BYTES
    left: list[Record] = field(default_factory=list)

    @property
    def next(self) -> int:
        return self.left[0].offset if self.left else self.reached


class Journal:
    """Records on a disk. One thread appends, another reads and lets go."""

    def __init__(
        self,
        disk: GrowingDisk,
        folder: Path,
        settings: JournalSettings | None = None,
        salt: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Open the journal in a folder, or begin one. Raises `SourceError` when it is damaged, `OSError` when the disk
        does not answer.
        """
        self.folder = folder
        self.cut_bytes = 0
        """How many bytes at the end were not whole when it was opened."""
        self._disk = disk
        self._settings = settings or JournalSettings()
        self._segment_bytes = min(self._settings.segment_bytes, self._settings.most_bytes // 8)
        self._salt = salt
        self._lock = threading.Lock()
        self._growing: bytes | None = None
        """The salt of the last segment while it may grow."""
        self._cursor: _Cursor | None = None
        disk.make_folder(folder)
        self.begin = self.worked_off = self._read_begin()
        names = [name for name in disk.names(folder) if name.endswith(_SUFFIX) and not name.startswith(".")]
        firsts = sorted(int(name.removesuffix(_SUFFIX)) for name in names)
        self._segments = [_Segment(first, disk.size(self._path(first)) or 0) for first in firsts]
        self.next = self._find_end()
        if self.begin > self.next:
            raise self._damaged(f"it ends at {self.next:,}, but was let go of up to {self.begin:,}")

    @property
    def first(self) -> int:
        """The offset of the first record that is still there."""
        with self._lock:
            return max(self._segments[0].first, self.begin) if self._segments else self.next

    @property
    def room_bytes(self) -> int:
        """How much more should be accepted before something is worked off; 0 or less when it is full."""
        with self._lock:
            ends = [*(one.first for one in self._segments[1:]), self.next]
            waiting = (one.size for one, end in zip(self._segments, ends, strict=False) if end > self.worked_off)
            return self._settings.most_bytes - sum(waiting)

    @property
    def is_full(self) -> bool:
        """True when nothing more should be accepted before something was worked off."""
        return self.room_bytes <= 0

    def append(self, values: Sequence[bytes], arrivals_us: Sequence[int]) -> int:
        """Keep records, sure to last on return; gives the offset of the first. Raises `OSError`, and then none of them
        counts.
        """
        if self._growing is None or self._segments[-1].size >= self._segment_bytes:
            self._begin_segment()
        segment, salt = self._segments[-1], self._growing
        assert salt is not None
        data = groups.packed(salt, self.next, values, arrivals_us)
        path = self._path(segment.first)
        try:
            self._disk.append(path, data)
            self._disk.sync(path)
        except BaseException:
            self._growing = None  # nobody knows what stands at its end: the next group goes into a segment of its own
            raise
        first = self.next
        with self._lock:
            segment.size += len(data)
            self.next += len(values)
        return first

    def read(self, offset: int, rows_most: int, bytes_most: int) -> list[Record]:
        """Records from an offset on; at least one if it is there. Raises `SourceError` when what was confirmed is
        damaged or gone.
        """
        if offset >= self.next:
            return []
        cursor = self._at(offset)
        found: list[Record] = []
        size = 0
        while len(found) < rows_most and size < bytes_most:
            if not cursor.left and not self._refill(cursor):
                break
            part = cursor.left[: rows_most - len(found)]
            taken = 0
            while taken < len(part) and size < bytes_most:
                size += len(part[taken].value)
                taken += 1
            found += part[:taken]
            cursor.left = cursor.left[taken:]
        return found

    def let_go(self, offset: int, worked_off: int | None = None) -> None:
        """Nobody will ask for what stands in front of an offset; whole segments in front of it are removed. What stands
        in front of `worked_off` does not count any more for a journal that is full, though it may be asked for.
        """
        self.worked_off = max(self.worked_off, offset if worked_off is None else worked_off)
        if offset <= self.begin:
            return
        text = b"%d" % offset
        self._disk.publish(self.folder / _BEGIN, b"%s %d\n" % (text, zlib.crc32(text)))
        with self._lock:
            self.begin = offset
            ends = [one.first for one in self._segments[1:]]
            gone = self._segments[: sum(end <= offset for end in ends)]
            self._segments = self._segments[len(gone) :]
        for one in gone:
            self._disk.remove(self._path(one.first))

    def label(self, name: str, value: str) -> str:
        """A value that the journal has for ever: the given one, if it has none yet."""
        path = self.folder / name
        if self._disk.size(path) is None:
            self._disk.publish(path, value.encode())
        return self._disk.read(path).decode()

    def _begin_segment(self) -> None:
        """Put the next segment in place, whole with its header."""
        salt = self._salt(16)
        head = groups.header(salt)
        self._disk.publish(self._path(self.next), head)
        with self._lock:
            self._segments = [one for one in self._segments if one.first < self.next]
            self._segments.append(_Segment(self.next, len(head)))
        self._growing = salt

    def _find_end(self) -> int:
        """Look through the last segment, and make sure of what it holds: its last sync may not have been answered."""
        if not self._segments:
            return self.begin
        last = self._segments[-1]
        path = self._path(last.first)
        self._disk.sync(path)
        data = self._disk.read(path)
        salt = self._salt_of(data, last.first)
        end, behind = groups.HEADER_BYTES, last.first
        for found in groups.places(data, salt):
            if found.first != behind:
                raise self._damaged(f"segment {last.first} has offset {found.first:,} where {behind:,} should be")
            end, behind = found.end, found.behind
        if groups.is_group_behind(data, end, salt):
            raise self._damaged(f"segment {last.first} cannot be read from offset {behind:,} on")
        self.cut_bytes, last.size = len(data) - end, end
        return behind

    def _at(self, offset: int) -> _Cursor:
        """The cursor at an offset."""
        if self._cursor is not None and self._cursor.next == offset:
            return self._cursor
        with self._lock:
            before = [one.first for one in self._segments if one.first <= offset]
        if not before:
            raise self._damaged(f"offset {offset:,} is gone: it begins at {self.first:,}")
        self._cursor = cursor = self._opened(before[-1])
        while cursor.reached <= offset:
            cursor.left = []
            if not self._refill(cursor):
                raise self._damaged(f"offset {offset:,} is not there")
        cursor.left = [one for one in cursor.left if one.offset >= offset]
        return cursor

    def _opened(self, first: int) -> _Cursor:
        data = self._disk.part(self._path(first), 0, groups.HEADER_BYTES)
        return _Cursor(first, self._salt_of(data, first), first)

    def _refill(self, cursor: _Cursor) -> bool:
        """Unpack the next groups; False at the end of what is confirmed."""
        with self._lock:
            segment = next((one for one in self._segments if one.first == cursor.first), None)
            behind = next((one.first for one in self._segments if one.first > cursor.first), self.next)
        if cursor.reached >= self.next:
            return False
        if cursor.reached >= behind:
            moved = self._opened(behind)
            cursor.first, cursor.salt, cursor.place = moved.first, moved.salt, moved.place
            return self._refill(cursor)
        if segment is None:
            raise self._damaged(f"segment {cursor.first} is gone")
        data = self._chunk(cursor, segment.size)
        place = 0
        for found in groups.places(data, cursor.salt, 0):
            if found.first != cursor.reached or found.behind > behind:
                break
            group = groups.unpacked(data, place, found)
            cursor.left += map(Record, range(group.first, group.behind), group.arrivals_us, group.values)
            place, cursor.reached = found.end, found.behind
        if not place:
            raise self._damaged(f"segment {cursor.first} cannot be read from offset {cursor.reached:,} on")
        cursor.place += place
        return True

    def _chunk(self, cursor: _Cursor, end: int) -> bytes:
        """The bytes of at least the next group."""
        path, room = self._path(cursor.first), end - cursor.place
        data = self._disk.part(path, cursor.place, min(_CHUNK_BYTES, room))
        size = groups.size_at(data, 0)
        if size is not None and len(data) < size <= room:
            data += self._disk.part(path, cursor.place + len(data), size - len(data))
        return data

    def _read_begin(self) -> int:
        path = self.folder / _BEGIN
        if self._disk.size(path) is None:
            return 0
        try:
            text, checksum = self._disk.read(path).split()
            if int(checksum) != zlib.crc32(text):
                raise ValueError
            return int(text)
        except ValueError:
            raise self._damaged(f"the file {_BEGIN} is not as it was written") from None

    def _salt_of(self, data: bytes, first: int) -> bytes:
        try:
            return groups.salt_of(data)
        except groups.NoSegment:
            raise self._damaged(f"segment {first} does not begin as one") from None

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:020}{_SUFFIX}"

    def _damaged(self, what: str) -> SourceError:
        return SourceError(
            f"the journal in {self.folder} is damaged: {what}. It holds what was accepted and not yet taken into a "
            "checkpoint: restore it from a copy, or move it away to go on without"
        )
