"""The hash by which distinct values are counted, written out slowly: MurmurHash3_x64_128 as its author gives it.

Law: decision 0034: seed 9001, the first half shifted right by one bit, over eight bytes of a number or the UTF-8 of a
text.
"""

from __future__ import annotations

import struct

_ALL = 2**64 - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F


def hash_of(value: object) -> int:
    """The hash of a value, from 0 to below 2^63."""
    return _murmur(_bytes(value), 9001) >> 1


def _bytes(value: object) -> bytes:
    match value:
        case str():
            return value.encode()
        case float() if value != value:  # noqa: PLR0124 - NaN is not equal to itself
            return struct.pack("<Q", 0x7FF8 << 48)
        case float():
            return struct.pack("<d", value or 0.0)
        case int():
            return value.to_bytes(8, "little", signed=True)
    raise TypeError(f"{value!r} has no hash: count texts, numbers, truth values and times")


def _murmur(data: bytes, seed: int) -> int:
    """The first half of the hash."""
    h1 = h2 = seed
    padded = data + bytes(-len(data) % 16)  # zeros change nothing
    for place in range(0, len(padded), 16):
        k1, k2 = struct.unpack("<QQ", padded[place : place + 16])
        h1 ^= _rotated(k1 * _C1 & _ALL, 31) * _C2 & _ALL
        if place + 16 <= len(data):
            h1 = (_rotated(h1, 27) + h2) * 5 + 0x52DCE729 & _ALL
        h2 ^= _rotated(k2 * _C2 & _ALL, 33) * _C1 & _ALL
        if place + 16 <= len(data):
            h2 = (_rotated(h2, 31) + h1) * 5 + 0x38495AB5 & _ALL
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = h1 + h2 & _ALL
    h2 = h2 + h1 & _ALL
    return _mixed(h1) + _mixed(h2) & _ALL


def _rotated(x: int, by: int) -> int:
    return (x << by | x >> 64 - by) & _ALL


def _mixed(h: int) -> int:
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD & _ALL
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53 & _ALL
    return h ^ h >> 33
