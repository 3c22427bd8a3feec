"""The reference: the law, one entry at a time, slow and obvious.

Law: nothing is vectorised and nothing is shared with the engine but the specifications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eventide.instants import EARLIEST, END_OF_TIME
from eventide.semantics.eventtime import KeyClock
from eventide.semantics.windows import Count, Global, Session
from eventide.testing.reference.aggregates import result
from eventide.testing.reference.clocks import Clocks
from eventide.testing.reference.entries import Answer, Entry, Event, Finished, Heartbeat, Idle, Query
from eventide.testing.reference.windows import Content, CountWindows, FixedWindows, Key, Kind, SessionWindows


def reference(query: Query, entries: Iterable[Entry], logs: list[str]) -> Answer:
    """The answer to a query over entries in processing order; `logs` are all logs there are from the start."""
    run = _Run(query, logs)
    for entry in entries:
        run.take(entry)
    return run.answer


class _Run:
    """One pass over the entries."""

    def __init__(self, query: Query, logs: list[str]) -> None:
        self.query = query
        self.answer = Answer()
        self.clocks = Clocks(query.event_time, logs, query.keys)
        kinds: dict[type, Callable[..., Kind]] = {Session: SessionWindows, Count: CountWindows}
        self.windows: Kind = kinds.get(type(query.window), FixedWindows)(query, self._emit)

    def take(self, entry: Entry) -> None:
        match entry:
            case Event():
                self._event(entry)
            case Heartbeat(log, watermark):
                state = self.clocks.logs[log]
                self.clocks.come_back(state)
                state.watermark = max(state.watermark, watermark)
            case Idle(log):
                self.clocks.logs[log].idle = True
            case Finished(log):
                self.clocks.logs[log].finished = True
        self.clocks.settle()
        self.windows.due(self._closing)

    def _closing(self, key: Key) -> int:
        return self.clocks.closing(self._clock_key(key))

    def _clock_key(self, key: Key) -> object:
        clock = self.query.event_time.clock
        inside = isinstance(clock, KeyClock) and clock.key in self.query.keys
        return key[self.query.keys.index(clock.key)] if inside and isinstance(clock, KeyClock) else None

    def _event(self, event: Event) -> None:
        self.answer.received += 1
        time = event.row[self.query.event_time.column]
        reason = self._refusal(time, event.arrival_us)
        if reason is not None:
            self.answer.dead_letters.append({"log": event.log, "offset": event.offset, "reason": reason})
            return
        assert isinstance(time, int)
        self.clocks.come_back(self.clocks.logs[event.log])
        key = tuple(event.row[name] for name in self.query.keys)
        before = self.clocks.before(event.log, event.row)
        kind, start, end = self.windows.add(event, time, key, before, self._closing(key))
        if kind == "late":
            late = {"log": event.log, "offset": event.offset, "start": start, "end": end, "watermark": before}
            self.answer.late.append(late)
        elif kind == "corrected":
            self.answer.corrected += 1
        else:
            self.answer.on_time += 1
        self.clocks.observe(event.log, event.row, time)

    def _refusal(self, time: object, arrival_us: int | None) -> str | None:
        settings = self.query.event_time
        if not isinstance(time, int):
            return "event time is missing"
        if not EARLIEST <= time <= END_OF_TIME - self._reach_us():
            return "event time is out of range"
        if arrival_us is None:
            return None
        if settings.max_future_us is not None and time > arrival_us + settings.max_future_us:
            return "event time is too far in the future"
        if settings.max_age_us is not None and time < arrival_us - settings.max_age_us:
            return "event time is too old"
        return None

    def _reach_us(self) -> int:
        window = self.query.window
        return int(getattr(window, "size_us", getattr(window, "gap_us", 1)))

    def _emit(self, content: Content, key: Key, kind: str, marks: dict[str, object]) -> None:
        """Put out a row of a window."""
        ordered = [(time, row) for time, _, _, row in sorted(content.events, key=lambda event: event[:3])]
        row: dict[str, object] = dict(zip(self.query.keys, key, strict=True))
        is_global = isinstance(self.query.window, Global)
        row["window_start"], row["window_end"] = (None, None) if is_global else (content.start, content.end)
        for name, aggregation in self.query.aggregates:
            row[name] = result(aggregation, ordered, content.start, content.end)
        row["revision"] = content.next - 1 if kind in ("retract", "closing") else content.next
        row["final"] = marks.get("final", False)
        row["early"] = marks.get("early", False)
        row["op"] = "retract" if kind == "retract" else "upsert"
        row["log"], row["window_number"] = marks.get("log"), marks.get("window_number")
        self.answer.results.append(row)
        if kind in ("revision", "first"):
            content.next, content.out = content.next + 1, True
