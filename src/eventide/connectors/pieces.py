"""Rows as text, cut into pieces for requests and messages.

Law: the cuts depend on nothing but the rows, so that a piece that is sent again is the same piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Line = TypeVar("Line", str, bytes)


def pieces(lines: Sequence[Line], rows_most: int, size_most: int) -> Iterator[list[Line]]:
    """Pieces of so many rows and so much text at most; a longer row stands alone.

    >>> list(pieces(["a", "bb", "cc", "dddd"], 3, 4))
    [['a', 'bb'], ['cc'], ['dddd']]
    """
    piece: list[Line] = []
    size = 0
    for line in lines:
        if piece and (len(piece) == rows_most or size + len(line) > size_most):
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield piece
