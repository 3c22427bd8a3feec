"""The window of a file's content that is being read: whole lines to parse, and what is not whole yet.

Law: it holds a block and at most one record of the largest allowed length, however long the file and its lines are.
"""

from __future__ import annotations

import zlib

from eventide.connectors.files.content import Content
from eventide.connectors.formats.text import RAW_MAX, nth_line_end

_READ_BYTES = 64 * 1024
_MARK_BYTES = 64


class Window:
    """Bytes from `byte` on. `mark` is a checksum of the last bytes in front of it."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._held = b""
        self._start = 0
        self._tail = b""
        self._long: tuple[str, int] | None = None
        self.byte = 0

    @property
    def size(self) -> int:
        """How many bytes are held."""
        return len(self._held) - self._start

    @property
    def mark(self) -> int:
        return zlib.crc32(self._tail)

    @property
    def ended(self) -> bool:
        """True when the content has no bytes behind those held."""
        return self._content.ended

    def fill(self, size: int) -> bool:
        """Hold so many bytes if they are there; True when some came."""
        came = False
        while self.size < size:
            more = self._content.read(max(size - self.size, _READ_BYTES))
            if not more:
                break
            self._held, self._start, came = self._held[self._start :] + more, 0, True
        return came

    def lines(self, size: int, most: int) -> bytes:
        """Whole lines, at most so many, about `size` bytes or else one line; at the end of the content what is left."""
        held, start = self._held, self._start
        stop = min(start + size, len(held))
        end = held.rfind(b"\n", start, stop) + 1 or held.find(b"\n", stop) + 1
        if self.ended and self._content.fault is None and (not end or stop == len(held)):
            end = len(held)
        if not end:
            return b""
        if held.count(b"\n", start, end) + (held[end - 1 : end] != b"\n") > most:
            end = nth_line_end(held, most, start, end)
        return held[start:end]

    def has_line_behind(self, size: int) -> bool:
        """True when a line ends behind the first `size` bytes."""
        return self._held.find(b"\n", self._start + size) >= 0

    def take(self, size: int) -> None:
        """Go on behind the first `size` bytes held."""
        begin = max(self._start, self._start + size - _MARK_BYTES)
        self._tail = (self._tail + self._held[begin : self._start + size])[-_MARK_BYTES:]
        self._start += size
        self.byte += size

    def begin(self) -> bytes:
        """The first line held, or all that is held at the content's end, taken out of what marks look at."""
        data = self.lines(1, 1)
        self.take(len(data))
        self._tail = b""
        return data

    def go_to(self, byte: int) -> int:
        """Leave out what stands in front of `byte`, but for the bytes that its mark looks at; gives their number."""
        marked = min(_MARK_BYTES, byte - self.byte)
        gap = byte - marked - self.byte
        if gap <= self.size:
            self._start += gap
        else:
            self._content.skip(gap - self.size)
            self._held, self._start = b"", 0
        self.byte += gap
        return marked

    def text(self) -> str:
        """The beginning of what is held, as text."""
        return self._held[self._start : self._start + 4 * RAW_MAX].decode("utf-8", "replace")[:RAW_MAX]

    def pass_long_line(self) -> str | None:
        """Go on behind a line longer than a record may be; gives its beginning, None when its end is not there."""
        text, gone = self._long or (self.text(), 0)
        while True:
            end = self._held.find(b"\n", self._start) + 1
            piece = end - self._start if end else self.size
            self._tail = (self._tail + self._held[max(self._start, self._start + piece - _MARK_BYTES) : end or None])[
                -_MARK_BYTES:
            ]
            self._start += piece
            gone += piece
            if end or (not self.fill(_READ_BYTES) and self.ended):
                self.byte += gone
                self._long = None
                return text
            if not self.size:
                self._long = (text, gone)
                return None

    @property
    def in_long_line(self) -> bool:
        """True while the end of a long line is waited for."""
        return self._long is not None
