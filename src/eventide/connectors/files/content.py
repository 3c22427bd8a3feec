"""The content of a file as bytes: plain, compressed, or from a pipe.

Law: reading takes memory for what was asked and no more; content that ends too early or cannot be decompressed says
so, after all bytes in front of the fault.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, get_args

from eventide.errors import SourceError

Compression = Literal["by_name", "none", "gzip", "zstd"]

_PIECE_BYTES = 2048
"""So much compressed content is taken at once; the most it can become is known for both methods."""

_PIPE_BYTES = 64 * 1024
_PIPE_PIECES_MOST = 64


class Content(Protocol):
    """Bytes in their order."""

    @property
    def ended(self) -> bool:
        """True when there will be no more bytes."""

    @property
    def fault(self) -> str | None:
        """Why the content ended too early, once it has."""

    def read(self, size: int) -> bytes:
        """About `size` of the next bytes; none when none are there now."""

    def skip(self, size: int) -> None:
        """Leave out the next bytes."""

    def close(self) -> None:
        """Release what is held."""


def open_content(path: str, compression: Compression, *, follow: bool, arrived: threading.Event) -> Content:
    """Open a file, or standard input as `"-"`. `arrived` is set when a pipe has more."""
    inflate = _method(path, compression)
    plain = _open_plain(path, follow, arrived)
    return plain if inflate is None else Compressed(plain, inflate)


def _open_plain(path: str, follow: bool, arrived: threading.Event) -> Content:
    if path == "-":
        return Piped(_standard_input, arrived)
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            return Piped(lambda: _named_pipe(path), arrived)
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - it is closed with the reader
    except OSError as fault:
        raise SourceError(
            f"cannot open {path}: {fault.strerror or fault}. Check the path and its permissions"
        ) from None
    return PlainContent(Path(path), file, follow)


class PlainContent:
    """A file read as it stands. A followed file is watched: it may grow, and nothing else."""

    fault: str | None = None

    def __init__(self, path: Path, file: BinaryIO, follow: bool) -> None:
        self._path = path
        self._file = file
        self._follow = follow
        self._read = 0
        self._last = b""
        self.ended = False

    def read(self, size: int) -> bytes:
        if self._follow:
            self._watch()
        found = self._file.read(size)
        if found:
            self._read += len(found)
            self._last = (self._last + found[-64:])[-64:]
        elif not self._follow:
            self.ended = True
        return found

    def _watch(self) -> None:
        """Raise when what was read is not what the file holds any more."""
        held = os.fstat(self._file.fileno())
        if held.st_size < self._read:
            raise SourceError(
                f"{self._path} was cut from {self._read:,} or more to {held.st_size:,} bytes while it was followed: "
                "a followed file may only grow. Write to a new file and follow the folder"
            )
        if held.st_size == self._read:
            try:
                named = os.stat(self._path)
            except FileNotFoundError:
                return
            if (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino):
                raise self._replaced()
        elif self._last != os.pread(self._file.fileno(), len(self._last), self._read - len(self._last)):
            raise self._replaced()

    def _replaced(self) -> SourceError:
        return SourceError(
            f"{self._path} was replaced or written anew while it was followed: a followed file may only grow. "
            "Write to a new file and follow the folder"
        )

    def skip(self, size: int) -> None:
        there = os.fstat(self._file.fileno()).st_size
        if there < self._read + size:
            raise SourceError(
                f"{self._path} has {there:,} bytes and reading was to go on behind {self._read + size:,}: "
                "it was cut or replaced"
            )
        self._read += size
        self._last = b""
        self._file.seek(self._read)

    def close(self) -> None:
        self._file.close()


class _Inflate(Protocol):
    """One frame or member being decompressed."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_Zlib = type(zlib.decompressobj())


def _up_to_the_damage(frame: _Inflate, piece: bytes) -> bytes:
    made = b""
    for place in range(len(piece)):
        try:
            made += frame.decompress(piece[place : place + 1])
        except zlib.error:
            break
    return made


class Compressed:
    """Compressed content, of one frame or several one after the other."""

    def __init__(self, inner: Content, method: Callable[[], _Inflate]) -> None:
        self._inner = inner
        self._method = method
        self._frame: _Inflate | None = None
        self._ready = bytearray()
        self._waiting = b""
        self._taken = 0
        self._skip = 0
        self._made = 0
        self.fault: str | None = None
        self._over = False

    @property
    def ended(self) -> bool:
        return self._over and not self._ready

    def read(self, size: int) -> bytes:
        self._leave_out()
        while len(self._ready) < size and not self._over and self._more():
            self._leave_out()
        found = bytes(self._ready[:size])
        del self._ready[:size]
        return found

    def _leave_out(self) -> None:
        gone = min(self._skip, len(self._ready))
        del self._ready[:gone]
        self._skip -= gone

    def _more(self) -> bool:
        """Decompress the next piece; False when there is none now."""
        found = self._waiting or self._inner.read(_PIECE_BYTES)
        piece, self._waiting = found[:_PIECE_BYTES], found[_PIECE_BYTES:]
        if not piece:
            if self._inner.ended:
                self._over = True
                if self._frame is not None:
                    self.fault = f"the compressed file is truncated: it ends after {self._made:,} bytes of content"
            return False
        if self._frame is None:
            piece = piece.lstrip(b"\0") if self._taken else piece
            if not piece:
                return True
            self._frame = self._method()
        self._taken += len(piece)
        before = self._frame.copy() if isinstance(self._frame, _Zlib) else None
        try:
            made = self._frame.decompress(piece)
        except Exception as fault:  # each library has its own class for damage
            made = b"" if before is None else _up_to_the_damage(before, piece)
            self._over = True
            where = self._made + len(made)
            self.fault = f"the compressed file is corrupt after {where:,} bytes of content: {fault}"
        self._made += len(made)
        self._ready += made
        if self._over:
            return False
        if self._frame.eof:
            unused, self._frame = self._frame.unused_data, None
            self._waiting = unused + self._waiting
            self._taken -= len(unused)
        return True

    def skip(self, size: int) -> None:
        self._skip += size

    def close(self) -> None:
        self._inner.close()


def check_compression(compression: Compression) -> None:
    """Refuse what is not a compression."""
    if compression not in get_args(Compression):
        raise ValueError(f"compression={compression!r} is unknown: use {', '.join(get_args(Compression))}")


def missing_extra(path: str, compression: Compression) -> str | None:
    """The extra of Eventide that has to be installed for files of a path; None where nothing is."""
    return "zstd" if _kind(path, compression) == "zstd" and find_spec("zstandard") is None else None


def _kind(path: str, compression: Compression) -> str:
    """How a file is compressed; its name decides where nothing is said."""
    if compression != "by_name":
        return compression
    return {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}.get(Path(path).suffix, "none")


def _method(path: str, compression: Compression) -> Callable[[], _Inflate] | None:
    kind = _kind(path, compression)
    if kind == "gzip":
        return lambda: zlib.decompressobj(wbits=31)
    if kind == "zstd":
        try:
            import zstandard
        except ImportError:
            raise SourceError(f'{path} is compressed with zstd: install "eventide[zstd]"') from None
        return lambda: zstandard.ZstdDecompressor().decompressobj()
    return None


class Piped:
    """A pipe, read by a thread of its own, so that nobody waits for whoever writes to it."""

    fault: str | None = None

    def __init__(self, opened: Callable[[], Callable[[int], bytes]], arrived: threading.Event) -> None:
        self._opened = opened
        self._arrived = arrived
        self._pieces: deque[bytes] = deque()
        self._room = threading.Condition()
        self._over = self._closed = False
        self._skip = 0
        self._broken: OSError | None = None
        threading.Thread(target=self._draw, daemon=True, name="eventide-pipe").start()

    def _draw(self) -> None:
        try:
            read = self._opened()
            while piece := read(_PIPE_BYTES):
                with self._room:
                    self._room.wait_for(lambda: len(self._pieces) < _PIPE_PIECES_MOST or self._closed)
                    if self._closed:
                        return
                    self._pieces.append(piece)
                self._arrived.set()
        except OSError as fault:
            self._broken = fault
        finally:
            with self._room:
                self._over = True
            self._arrived.set()

    @property
    def ended(self) -> bool:
        with self._room:
            return self._over and not self._pieces and self._broken is None

    def read(self, size: int) -> bytes:
        taken: list[bytes] = []
        with self._room:
            while self._pieces and sum(map(len, taken)) < size:
                taken.append(self._pieces.popleft())
            self._room.notify_all()
            if not taken and self._over and self._broken is not None:
                raise SourceError(f"the pipe cannot be read: {self._broken}")
        found = b"".join(taken)
        gone = min(self._skip, len(found))
        self._skip -= gone
        return found[gone:]

    def skip(self, size: int) -> None:
        self._skip += size

    def close(self) -> None:
        with self._room:
            self._closed = True
            self._room.notify_all()


def _standard_input() -> Callable[[int], bytes]:
    """What reads standard input past Python's own buffer, whose lock a waiting thread would keep to the very end."""
    descriptor = sys.stdin.fileno()
    return lambda size: os.read(descriptor, size)


def _named_pipe(path: str) -> Callable[[int], bytes]:
    """What reads a named pipe, and closes it at its end."""
    file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - it is closed where it ends

    def read(size: int) -> bytes:
        found = file.read(size)
        if not found:
            file.close()
        return found

    return read
