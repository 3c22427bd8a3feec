"""Rows together, one entry at a time: copies, captures, interval and as-of joins.

Law: written from the law (decision 0008), with lists and loops; rows are told by (log, offset).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from eventide.instants import EARLIEST, END_OF_TIME
from eventide.plan import AsofJoin, Deduplicate, Derived, IntervalJoin, Merge
from eventide.semantics.eventtime import EventTime
from eventide.testing.reference.clocks import Clocks
from eventide.testing.reference.entries import Entry, Event, Finished, Heartbeat, Idle, Row

Name = tuple[str, int]
"""A row's log and offset."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row that its door let pass on time."""

    time: int
    name: Name
    row: Row


@dataclass
class PairAnswer:
    """Made rows, each the names of the rows in it (None: no match), in the order in which they come out; late rows;
    copies; refused rows.
    """

    made: list[tuple[Name | None, ...]] = field(default_factory=list)
    late: list[Name] = field(default_factory=list)
    copies: list[Name] = field(default_factory=list)
    refused: list[Name] = field(default_factory=list)


class Entrance:
    """The door of one side."""

    def __init__(self, settings: EventTime, logs: Sequence[str], latest: int, answer: PairAnswer) -> None:
        self.settings, self.latest, self.answer = settings, latest, answer
        self.clocks = Clocks(settings, list(logs), ())

    def take(self, entry: Entry) -> tuple[Accepted, int] | None:
        """The row and W_before, if the entry is a row that the guards let pass."""
        passed = None
        match entry:
            case Event():
                passed = self._event(entry)
            case Heartbeat(log, watermark):
                state = self.clocks.logs[log]
                self.clocks.come_back(state)
                state.watermark = max(state.watermark, watermark)
            case Idle(log):
                self.clocks.logs[log].idle = True
            case Finished(log):
                self.clocks.logs[log].finished = True
        self.clocks.settle()
        return passed

    def _event(self, event: Event) -> tuple[Accepted, int] | None:
        time = event.row[self.settings.column]
        if not isinstance(time, int) or not EARLIEST <= time <= self.latest:
            self.answer.refused.append((event.log, event.offset))
            return None
        self.clocks.come_back(self.clocks.logs[event.log])
        before = self.clocks.before(event.log, event.row)
        self.clocks.observe(event.log, event.row, time)
        return Accepted(time, (event.log, event.offset), event.row), before


def copies_reference(
    step: Deduplicate, settings: EventTime, entries: Iterable[Entry], logs: Sequence[str]
) -> PairAnswer:
    """Which rows of a stream without windows come out, are late, or are copies."""
    answer = PairAnswer()
    door = Entrance(settings, logs, END_OF_TIME, answer)
    seen: list[Accepted] = []
    for entry in entries:
        passed = door.take(entry)
        if passed is None:
            continue
        one, before = passed
        compared = one.time >= before - step.within_us
        if compared and any(_is_copy(step, one, other) for other in seen):
            answer.copies.append(one.name)
        elif one.time < before:
            answer.late.append(one.name)
        else:
            answer.made.append((one.name,))
        seen.append(one)
    return answer


def _is_copy(step: Deduplicate, one: Accepted, other: Accepted) -> bool:
    alike = all(one.row[name] == other.row[name] for name in step.by)
    return alike and one.name[0] == other.name[0] and abs(one.time - other.time) <= step.within_us


def derived_reference(
    derived: Derived, entries: Iterable[Entry], logs: Sequence[Sequence[str]], latest: int = END_OF_TIME - 1_000
) -> PairAnswer:
    """The rows of a derived stream; `logs` are those of each side, `latest` the last event time that doors take."""
    answer = PairAnswer()
    doors = [_door(side.event_time, names, latest, answer) for side, names in zip(derived.sides, logs, strict=True)]
    kind = {Merge: _Captures, IntervalJoin: _Intervals, AsofJoin: _Asof}[type(derived)](derived, answer)
    for entry in entries:
        side = next(number for number, names in enumerate(logs) if entry.log in names)
        passed = doors[side].take(entry)
        new = None
        if passed is not None and passed[0].time < passed[1]:
            answer.late.append(passed[0].name)
        elif passed is not None:
            new = passed[0]
        kind.take(side, new, [door.clocks.stream for door in doors])
    return answer


def _door(settings: EventTime | None, logs: Sequence[str], latest: int, answer: PairAnswer) -> Entrance:
    assert settings is not None
    return Entrance(settings, logs, latest, answer)


def _in_order(one: Accepted) -> tuple[int, Name]:
    return one.time, one.name


class _Intervals:
    def __init__(self, spec: IntervalJoin, answer: PairAnswer) -> None:
        self.spec, self.answer = spec, answer
        self.rows: tuple[list[Accepted], list[Accepted]] = ([], [])
        self.done: set[Name] = set()

    def take(self, side: int, new: Accepted | None, watermarks: list[int]) -> None:
        if new is not None:
            for other in sorted(self.rows[1 - side], key=_in_order):
                left, right = (new, other) if side == 0 else (other, new)
                if self._fits(left, right):
                    self.answer.made.append((left.name, right.name))
                    self.done |= {left.name, right.name}
            self.rows[side].append(new)
        for number in (side, 1 - side):
            if self.spec.how == "outer" or (self.spec.how == "left" and number == 0):
                for one in sorted(self.rows[number], key=_in_order):
                    self._alone(number, one, watermarks[1 - number])

    def _fits(self, left: Accepted, right: Accepted) -> bool:
        keys = [(left.row[one], right.row[other]) for one, other in self.spec.on]
        near = self.spec.lower_us <= right.time - left.time <= self.spec.upper_us
        return near and all(one is not None and one == other for one, other in keys)

    def _alone(self, side: int, one: Accepted, watermark: int) -> None:
        last = one.time + (self.spec.upper_us if side == 0 else -self.spec.lower_us)
        if one.name not in self.done and watermark > last:
            self.done.add(one.name)
            self.answer.made.append((one.name, None) if side == 0 else (None, one.name))


class _Asof:
    def __init__(self, spec: AsofJoin, answer: PairAnswer) -> None:
        self.spec, self.answer = spec, answer
        self.waiting: list[Accepted] = []
        self.right: list[Accepted] = []

    def take(self, side: int, new: Accepted | None, watermarks: list[int]) -> None:
        if new is not None:
            (self.waiting if side == 0 else self.right).append(new)
        for one in sorted(self.waiting, key=_in_order):
            if watermarks[1] > one.time:
                self.waiting.remove(one)
                found = self._last(one)
                if found is not None or self.spec.how == "left":
                    self.answer.made.append((one.name, found))

    def _last(self, left: Accepted) -> Name | None:
        alike = [
            one
            for one in self.right
            if all(left.row[a] is not None and left.row[a] == one.row[b] for a, b in self.spec.on)
            and one.time <= left.time
            and (self.spec.tolerance_us is None or left.time - one.time <= self.spec.tolerance_us)
        ]
        return max(alike, key=_in_order).name if alike else None


class _Captures:
    def __init__(self, spec: Merge, answer: PairAnswer) -> None:
        self.spec, self.answer = spec, answer
        self.open: list[Accepted] = []

    def take(self, side: int, new: Accepted | None, watermarks: list[int]) -> None:
        if new is not None:
            self.open.append(new)
        captures: list[list[Accepted]] = []
        for one in sorted(self.open, key=_in_order):
            for capture in captures:
                alike = all(capture[0].row[name] == one.row[name] for name in self.spec.by)
                if alike and one.time - capture[0].time <= self.spec.within_us:
                    capture.append(one)
                    break
            else:
                captures.append([one])
        for capture in captures:
            if watermarks[0] > capture[0].time + self.spec.within_us:
                self.answer.made.append(tuple(one.name for one in capture))
                self.open = [one for one in self.open if one not in capture]
