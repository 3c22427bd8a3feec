"""Patience with a store: one that does not answer is asked again, without anybody standing still for it.

Law: what failed is tried again from where it stood, so a store that was away costs time and no row. That it is away is
said once, and once that it answers again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl

from eventide.errors import SourceError
from eventide.flow import WallClock

WAITS_S: tuple[float, ...] = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)

_MENDED_ELSEWHERE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_T = TypeVar("_T")

logger = logging.getLogger("eventide.stores")


class StoreAway(SourceError):
    """A store does not answer: it may, if it is asked again."""


def source_fault(text: str, fault: Exception, *, distant: bool = True) -> SourceError:
    """An error of a source in words, as one that waiting may mend if it looks like that."""
    return (StoreAway if distant and _is_away(fault) else SourceError)(text)


def _is_away(fault: Exception) -> bool:
    """True when a client could not reach its store; what it was told there is for the user to mend."""
    if isinstance(fault, OSError):
        return not isinstance(fault, _MENDED_ELSEWHERE) and "credentials" not in str(fault).lower()
    return isinstance(fault, pl.exceptions.PolarsError) and "object-store error" in str(fault)


@dataclass
class Patience:
    """The attempts at one store. `where` names it in log lines."""

    where: str
    clock: WallClock
    _waits: Iterator[float] = field(default_factory=lambda: iter(WAITS_S))
    _until_us: int | None = None

    def attempt(self, work: Callable[[], _T]) -> _T | None:
        """What the work gives; None while it is too early to try again. Raises `StoreAway` when it was tried often
        enough, and what else the work raises.
        """
        if self._until_us is not None and self.clock.now_us() < self._until_us:
            return None
        try:
            found = work()
        except StoreAway as fault:
            self._later(fault)
            return None
        if self._until_us is not None:
            logger.warning("%s: its store answers again", self.where)
            self._waits, self._until_us = iter(WAITS_S), None
        return found

    def insist(self, work: Callable[[], _T]) -> _T:
        """What the work gives, however many attempts it takes."""
        never = threading.Event()
        while (found := self.attempt(work)) is None:
            assert self._until_us is not None
            self.clock.wait(never, max(self._until_us - self.clock.now_us(), 1))
        return found

    def _later(self, fault: StoreAway) -> None:
        wait_s = next(self._waits, None)
        if wait_s is None:
            raise fault
        if self._until_us is None:
            logger.warning("%s: its store does not answer, waiting for it: %s", self.where, fault)
        self._until_us = self.clock.now_us() + round(wait_s * 1e6)
