"""The courier: one thread for each target, with a bounded queue, a rate limit and tries with growing pauses.

Law: handing over a message never waits. Each message ends as sent, failed or dropped, and is counted as that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, Full, Queue

from eventide.connectors.notifications.address import Failed, Refused
from eventide.connectors.notifications.message import Message
from eventide.flow import WallClock

_LOOK_US = 100_000
_PAUSE_US_MAX = 60_000_000


@dataclass(frozen=True, slots=True)
class Manner:
    """How messages are sent: at most `most` within `per_us`, each tried `tries` times, pauses from `backoff_us` on."""

    most: int
    per_us: int
    tries: int
    backoff_us: int
    queue: int


@dataclass
class Tally:
    """What became of messages. `undelivered` holds (fate, reason, message) of the last lost ones."""

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    undelivered: deque[tuple[str, str, Message]] = field(default_factory=lambda: deque(maxlen=1_000))


class Courier:
    """Delivers messages to one target. `send` raises `Failed` or `Refused`."""

    def __init__(self, target: str, send: Callable[[Message], None], manner: Manner, clock: WallClock) -> None:
        self.target = target
        self.tally = Tally()
        self._send = send
        self._manner = manner
        self._clock = clock
        self._queue: Queue[Message] = Queue(manner.queue)
        self._recent: deque[int] = deque()
        self._closing, self._halt = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._under_way: Message | None = None
        self._thread = threading.Thread(target=self._run, name=f"notify {target}", daemon=True)
        self._thread.start()

    def hand_over(self, message: Message) -> None:
        """Queue a message; a full queue drops it."""
        try:
            self._queue.put_nowait(message)
        except Full:
            self._count("dropped", "the queue was full", message)

    def close(self, patience_s: float) -> None:
        """Deliver what is queued, for at most so long; the rest has failed."""
        self._closing.set()
        self._thread.join(patience_s)
        self.halt()
        under_way = self._under_way
        if under_way is not None:
            self._settle("failed", "the run ended while it was being sent", under_way)

    def halt(self) -> None:
        """Stop; what is still queued has failed."""
        self._halt.set()
        self._closing.set()
        while True:
            try:
                self._count("failed", "the run ended before it was sent", self._queue.get_nowait())
            except Empty:
                return

    def _run(self) -> None:
        while not self._halt.is_set():
            try:
                message = self._queue.get(timeout=_LOOK_US / 1e6)
            except Empty:
                if self._closing.is_set():
                    return
                continue
            self._under_way = message
            self._settle(*self._deliver(message), message)

    def _deliver(self, message: Message) -> tuple[str, str]:
        """Try until it is sent; what became of the message, and why."""
        reason = "the run ended before it was sent"
        for attempt in range(self._manner.tries):
            self._await_turn()
            if self._halt.is_set():
                break
            try:
                self._send(message)
            except Refused as fault:
                reason = str(fault)
                break
            except Failed as fault:
                reason = str(fault)
                if attempt + 1 < self._manner.tries:
                    self._clock.wait(self._halt, min(self._manner.backoff_us * 2**attempt, _PAUSE_US_MAX))
            except Exception as fault:  # a target's fault must not end the thread; its text may hold a secret
                reason = f"it failed unexpectedly ({type(fault).__name__})"
            else:
                return "sent", ""
        return "failed", reason

    def _await_turn(self) -> None:
        """Wait until fewer than `most` tries lie within the last `per_us`."""
        now_us = self._clock.now_us()
        while self._recent and self._recent[0] <= now_us - self._manner.per_us:
            self._recent.popleft()
        if len(self._recent) >= self._manner.most:
            self._clock.wait(self._halt, self._recent.popleft() + self._manner.per_us - now_us)
        self._recent.append(self._clock.now_us())

    def _settle(self, fate: str, reason: str, message: Message) -> None:
        """The end of the message under way, counted once even if the run does not wait for it."""
        with self._lock:
            if self._under_way is not message:
                return
            self._under_way = None
        self._count(fate, reason, message)

    def _count(self, fate: str, reason: str, message: Message) -> None:
        with self._lock:
            setattr(self.tally, fate, getattr(self.tally, fate) + 1)
            if fate != "sent":
                self.tally.undelivered.append((fate, reason, message))
