"""Groups of records as bytes: what is written with one append and made sure of with one sync.

Law: a group is whole or it is not there; whatever a torn write leaves is told from a group by its checksum. Nobody who
sends records can make up a group: the mark in front of each is a secret of its file.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

_MAGIC = b"EVTJRNL1"
_SALT_BYTES = 16
_MARK_BYTES = 8
_HEAD = struct.Struct("<8sQIII")
_SALTED_BYTES = len(_MAGIC) + _SALT_BYTES
HEADER_BYTES = _SALTED_BYTES + 4
HEAD_BYTES = _HEAD.size
BYTES_MOST = 2**31
"""A group is smaller than that."""


class NoSegment(Exception):
    """A file that does not begin as a segment does."""


def header(salt: bytes) -> bytes:
    """What a segment begins with. `salt` is 16 random bytes."""
    assert len(salt) == _SALT_BYTES
    return _MAGIC + salt + struct.pack("<I", zlib.crc32(_MAGIC + salt))


def salt_of(data: bytes) -> bytes:
    """The salt of a segment that begins so. Raises `NoSegment`."""
    salt = data[len(_MAGIC) : _SALTED_BYTES]
    if len(salt) != _SALT_BYTES or data[:HEADER_BYTES] != header(salt):
        raise NoSegment
    return salt


@dataclass(frozen=True, slots=True)
class Group:
    """Records in a row, and the place behind the group in the bytes it was found in."""

    first: int
    values: Sequence[bytes]
    arrivals_us: Sequence[int]
    end: int

    @property
    def behind(self) -> int:
        """The offset behind the last record."""
        return self.first + len(self.values)


@dataclass(frozen=True, slots=True)
class Place:
    """A group that was not unpacked: its records' offsets, and where it ends."""

    first: int
    behind: int
    end: int


def packed(salt: bytes, first: int, values: Sequence[bytes], arrivals_us: Sequence[int]) -> bytes:
    """A group as bytes."""
    lengths = _little(array("I", map(len, values)))
    payload = b"".join((lengths, _little(array("q", arrivals_us)), *values))
    if len(payload) >= BYTES_MOST:
        raise ValueError(f"a group of {len(payload):,} bytes is too large")
    mark = salt[:_MARK_BYTES]
    return _HEAD.pack(mark, first, len(values), len(payload), _checksum(salt, first, len(values), payload)) + payload


def size_at(data: bytes, place: int) -> int | None:
    """How many bytes the group at a place says it has; None where not even that can be read."""
    if place + HEAD_BYTES > len(data):
        return None
    _, _, _, size, _ = _HEAD.unpack_from(data, place)
    return HEAD_BYTES + int(size)


def place_of(data: bytes, place: int, salt: bytes) -> Place | None:
    """The group at a place; None when none stands there whole."""
    size = size_at(data, place)
    if size is None or place + size > len(data):
        return None
    mark, first, count, _, checksum = _HEAD.unpack_from(data, place)
    payload = memoryview(data)[place + HEAD_BYTES : place + size]
    if mark != salt[:_MARK_BYTES] or checksum != _checksum(salt, first, count, payload):
        return None
    return Place(first, first + count, place + size)


def unpacked(data: bytes, place: int, found: Place) -> Group:
    """The records of a group that was found at a place."""
    count = found.behind - found.first
    start = place + HEAD_BYTES
    lengths, arrivals = array("I"), array("q")
    lengths.frombytes(data[start : start + 4 * count])
    arrivals.frombytes(data[start + 4 * count : start + 12 * count])
    if sys.byteorder == "big":
        lengths.byteswap()
        arrivals.byteswap()
    ends = list(accumulate(lengths, initial=start + 12 * count))
    values = [data[ends[n] : ends[n + 1]] for n in range(count)]
    return Group(found.first, values, arrivals, found.end)


def places(data: bytes, salt: bytes, start: int = HEADER_BYTES) -> Iterator[Place]:
    """The groups of a segment, one behind the other, up to the first that is not whole."""
    while (found := place_of(data, start, salt)) is not None:
        yield found
        start = found.end


def is_group_behind(data: bytes, start: int, salt: bytes) -> bool:
    """True when a whole group stands somewhere behind a place: then what is in front of it was whole once, too."""
    mark = salt[:_MARK_BYTES]
    while (start := data.find(mark, start)) >= 0:
        if place_of(data, start, salt) is not None:
            return True
        start += 1
    return False


def _checksum(salt: bytes, first: int, count: int, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(salt + struct.pack("<QII", first, count, len(payload))))


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()
