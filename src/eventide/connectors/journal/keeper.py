"""The keeper: a thread that writes to a journal what others hand over, many of them with one sync.

Law: who handed something over hears of it after the sync, with its offset, or with the fault, and then it does not
count. What waits for the disk is bounded.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eventide.connectors.journal.journal import Journal
from eventide.flow import WallClock

WAITING_BYTES_MOST = 32 * 2**20
_GROUP_BYTES = 8 * 2**20
_RECORD_BYTES = 64
"""What a record costs beside its bytes."""

Done = Callable[[int | OSError], None]
"""Called by the keeper's thread with the first offset, or with what went wrong."""


@dataclass(frozen=True, slots=True)
class _Handed:
    values: Sequence[bytes]
    arrival_us: int
    size_bytes: int
    done: Done


class Full(Exception):
    """There is no room now: try again a little later."""


class Ended(Exception):
    """Nothing is accepted any more."""


class Keeper:
    """Writes to a journal in a thread of its own. `wake` is set when something was kept. With `in_order`, behind a
    fault all that follows is refused too, so that what is sent again does not stand behind what came after it.
    """

    def __init__(self, journal: Journal, clock: WallClock, wake: threading.Event, *, in_order: bool = False) -> None:
        self.journal = journal
        self.fault: OSError | None = None
        """What went wrong at the last attempt; None when it went well."""
        self._in_order = in_order
        self._clock = clock
        self._wake = wake
        self._handed: deque[_Handed] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="eventide-journal")
        self._thread.start()

    def hand(self, values: Sequence[bytes], done: Done, *, wait: bool = False) -> None:
        """Hand records over, which arrive now. Raises `Full` when there is no room and it shall not `wait` for it,
        `Ended` after `close`.
        """
        size = sum(map(len, values)) + _RECORD_BYTES * len(values)
        with self._changed:
            while wait and not self._has_room() and not self._closed:
                self._changed.wait(0.05)  # the journal gets room without saying so here
            if not self._has_room():
                raise Ended if self._closed else Full
            self._waiting_bytes += size
            self._handed.append(_Handed(values, self._clock.now_us(), size, done))
            self._changed.notify_all()

    @property
    def has_room(self) -> bool:
        """True when `hand` would accept something."""
        with self._changed:
            return self._has_room()

    def _has_room(self) -> bool:
        return not self._closed and self._waiting_bytes < min(WAITING_BYTES_MOST, self.journal.room_bytes)

    def close(self) -> None:
        """Accept nothing more, write what was handed over, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._handed or self._closed)
                if not self._handed:
                    return
                together = self._next_group()
            self._keep(together)

    def _next_group(self) -> list[_Handed]:
        together = [self._handed.popleft()]
        size = together[0].size_bytes
        while self._handed and size + self._handed[0].size_bytes <= _GROUP_BYTES:
            together.append(self._handed.popleft())
            size += together[-1].size_bytes
        return together

    def _keep(self, together: Sequence[_Handed]) -> None:
        values = [value for one in together for value in one.values]
        arrivals_us = [one.arrival_us for one in together for _ in one.values]
        answer: int | OSError
        if self._in_order and self.fault is not None:
            answer = self.fault
        else:
            try:
                answer, self.fault = self.journal.append(values, arrivals_us), None
            except OSError as fault:
                answer = self.fault = fault
        with self._changed:
            self._waiting_bytes -= sum(one.size_bytes for one in together)
            self._changed.notify_all()
        for one in together:
            one.done(answer)
            answer = answer + len(one.values) if isinstance(answer, int) else answer
        self._wake.set()
