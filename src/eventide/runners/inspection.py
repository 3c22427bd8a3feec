"""Inspection: questions to a run - at its end, while it goes on, or from a saved snapshot.

Law: a question is answered from one consistent moment between two batches, and changes nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from eventide.engine.snapshot import Snapshot
from eventide.instants import When, instant_us
from eventide.plan import Stream

if TYPE_CHECKING:
    from eventide.engine.explanation import EventExplanation, Moment, WindowExplanation


@dataclass(frozen=True)
class Inspection:
    """A moment of a run that can be asked. `Outcome` and `Running` have the same two questions."""

    moment: Moment

    def explain(self, *, key: object = None, at: When, reread: bool = True) -> WindowExplanation:
        """The state of a key's window, who holds it open, what it waits for and when it will close.

        `key` is the key's value, several in the order of `group_by`, or a mapping by name; leave it out for windows
        without keys. `at` is the start of the window or an instant in it. With `reread` the events that closed it are
        looked for by reading the sources again, where they can be read again.

        Raises `PlanError` when the plan has no windows, `ValueError` when the key does not fit.
        """
        from eventide.engine.explanation import explain_window

        return explain_window(self.moment, key, instant_us(at, "at"), reread=reread)

    def explain_event(
        self, *, log: str | None = None, offset: int | None = None, values: Mapping[str, object] | None = None
    ) -> EventExplanation:
        """What became of an event, and by which earlier event and rule: read from its log again.

        Name the event by its log and offset (`_log` and `_offset` of late rows and dead letters), or by values of its
        columns: the first event that has them all. A stream with one log needs no `log`.

        Raises `EventideError` when there is no such event or the source cannot be read again.
        """
        from eventide.engine.explanation import explain_event, find_event

        if values is not None:
            log, offset, _ = find_event(self.moment, values)
        if offset is None:
            raise ValueError("offset= is missing: name an event by log= and offset=, or by values={column: value}")
        if not isinstance(offset, int):
            raise ValueError(f"offset={offset!r} is not a whole number: see _offset in the late output")
        return explain_event(self.moment, log, offset)


def inspect(stream: Stream, snapshot: Snapshot, outputs: Mapping[str, pl.DataFrame] | None = None) -> Inspection:
    """A saved snapshot of a stream's run, to be asked. `outputs` may hold frames of its outputs, as the run kept them.

    >>> from eventide import col
    >>> import eventide as et
    >>> rows = [{"k": "a", "at": 0, "x": 1.0}]
    >>> stream = et.from_rows(rows, schema={"k": str, "at": et.Instant, "x": float})
    >>> sums = stream.event_time("at", et.bounded("2s")).group_by("k").window(et.tumbling("1m")).agg(s=col("x").sum())
    >>> saved = sums.run(show=False).snapshot()
    >>> inspect(sums, saved).explain(key="a", at="1970-01-01").state
    'past'
    """
    from eventide.engine.explanation import Moment

    return Inspection(Moment(stream.plan, snapshot, outputs or {}))


class Desk:
    """Where questions to a running pipeline wait until it is between two batches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Moment], Future[Moment]]] = deque()
        self._thread = threading.get_ident()
        self._over = False

    @property
    def over(self) -> bool:
        """True when the run has ended."""
        return self._over

    def ask(self, look: Callable[[], Moment]) -> Moment:
        """The moment that `look` finds between two batches. From the run's own thread it looks at once."""
        with self._lock:
            if self._over or threading.get_ident() == self._thread:
                return look()
            answer: Future[Moment] = Future()
            self._waiting.append((look, answer))
        return answer.result()

    def serve(self) -> None:
        """Answer what waits; called by the run between two batches."""
        while self._waiting:
            look, answer = self._waiting.popleft()
            try:
                answer.set_result(look())
            except Exception as fault:
                answer.set_exception(fault)

    def close(self) -> None:
        """The run is over: nothing moves any more, so every later question is answered at once."""
        with self._lock:
            self._over = True
        self.serve()
