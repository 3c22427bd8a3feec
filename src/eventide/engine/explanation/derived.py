"""Explanations where streams are joined or captures merged: an event is asked about on its own side, a window behind
the stream that the sides make.

Law: each side is explained by its own clocks; what the sides make stands where the step between them lets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from eventide.engine.derived import DerivedPipeline
from eventide.engine.explanation import events, windows
from eventide.engine.explanation.events import EventExplanation
from eventide.engine.explanation.holding import Holding, holding, holding_lines, needed_line, pace_line
from eventide.engine.explanation.moment import Moment
from eventide.engine.explanation.windows import AskedWindow, WindowExplanation
from eventide.engine.explanation.words import watermark_text
from eventide.engine.snapshot import Snapshot
from eventide.errors import EventideError
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import Merge, Plan


def explain_window(moment: Moment, key: object, at_us: int, *, reread: bool = True) -> WindowExplanation:
    """The window of a key that holds an instant, whatever the stream in front of it is made of."""
    if moment.plan.derived is None:
        return windows.explain_window(moment, key, at_us, reread=reread)
    tail = _part(moment, "tail", _pipeline(moment).tail.plan)
    return _BehindDerived(tail, moment, tail.key_of(key), at_us).answer()


def explain_event(moment: Moment, log: str | None, offset: int) -> EventExplanation:
    """The event at an offset of a log, on the side that reads the log."""
    if moment.plan.derived is None:
        return events.explain_event(moment, log, offset)
    sides = _sides(moment)
    found = {name: side for side in sides for name in side.logs}
    if log is None and len(found) == 1:
        (log,) = found
    if log is None:
        raise ValueError(f"log= is missing: the stream has {len(found)} logs: {', '.join(map(repr, found)) or 'none'}")
    if log not in found:
        raise EventideError(f"there is no log {log!r} in this stream: it has {', '.join(map(repr, found)) or 'none'}")
    told = explain_event(found[log], log, offset)
    if told.fate != "on time":
        return told
    return replace(told, lines=(*told.lines, _joined_line(moment, sides.index(found[log]))))


def find_event(moment: Moment, values: Mapping[str, object]) -> tuple[str, int, int]:
    """Log and offset of the first event with these values, on the first side that has such columns and events."""
    if moment.plan.derived is None:
        return events.find_event(moment, values)
    fault: Exception | None = None
    for side in _sides(moment):
        try:
            return find_event(side, values)
        except (EventideError, ValueError) as told:
            fault = told
    assert fault is not None
    raise fault


class _BehindDerived(AskedWindow):
    """A window over what the sides of a moment make. Its own log is that of the derived stream, which no source has:
    it is not read again, and the sides say what holds it back.
    """

    def __init__(self, tail: Moment, whole: Moment, key: Mapping[str, object], at_us: int) -> None:
        self.whole = whole
        super().__init__(tail, key, at_us, reread=False)

    def _held_by(self, end: int) -> tuple[str, Moment, Holding, int] | None:
        """The stream that is furthest from what it has to reach: its name, moment, clock, and the instant."""
        # windows close one microsecond behind the derived watermark
        furthest = _furthest(self.whole, end + 1)
        return None if furthest is None else furthest[1:]

    def _holding(self, end: int) -> Holding | None:
        held = self._held_by(end)
        return None if held is None else held[2]

    def _open_lines(self, end: int, found: Holding | None) -> Iterator[str]:
        held = self._held_by(end)
        if held is None:
            yield from super()._open_lines(end, None)
            return
        name, side, by, wanted = held
        stands = watermark_text(self.watermark)
        yield f"the stream in front of it ({stands}) is made of others: {name} is furthest behind"
        yield from holding_lines(side, by, wanted)
        yield needed_line(side, by, {}, wanted)
        yield pace_line(side, by)

    def _late_line(self, start: int, end: int) -> Iterator[str]:
        """Events are late on their sides, where there are no windows."""
        yield from ()


def _furthest(moment: Moment, goal: int, whose: str = "") -> tuple[int, str, Moment, Holding, int] | None:
    """Of the streams that one is made of in the end, the one that is furthest from where the made one is at `goal`."""
    made, sides = _pipeline(moment), _sides(moment)
    furthest: tuple[int, str, Moment, Holding, int] | None = None
    for number, side in enumerate(sides):
        reached = side.clocks.stream
        alone = [reached if place == number else END_OF_TIME for place in range(len(sides))]
        wanted = goal + (max(reached - made.made_by.held_back(alone), 0) if reached > NO_WATERMARK else 0)
        name = f"{_side_name(moment, number)}{whose}"
        if side.plan.derived is not None:  # made rows are handed on one microsecond behind, too
            mine = _furthest(side, wanted + 1, f" of {name}")
        else:
            found = holding(side, {}, None, wanted)
            mine = None if found is None else (wanted - reached, name, side, found, wanted)
        if mine is not None and (furthest is None or mine[0] > furthest[0]):
            furthest = mine
    return furthest


def _pipeline(moment: Moment) -> DerivedPipeline:
    assert isinstance(moment.pipeline, DerivedPipeline)
    return moment.pipeline


def _sides(moment: Moment) -> list[Moment]:
    return [_part(moment, f"side{number}", side.plan) for number, side in enumerate(_pipeline(moment).sides)]


def _part(moment: Moment, name: str, plan: Plan) -> Moment:
    """The moment of a part of a derived pipeline."""
    saved = Snapshot(moment.saved.values["parts"][name], moment.saved.part(f"{name}."))
    return replace(moment, plan=plan, saved=saved)


def _side_name(moment: Moment, number: int) -> str:
    return "the stream" if isinstance(moment.plan.derived, Merge) else ("the left stream", "the right stream")[number]


def _joined_line(moment: Moment, number: int) -> str:
    if isinstance(moment.plan.derived, Merge):
        return "rows of one capture become one row: all but its first are counted as duplicates"
    return f"it went into the join as a row of {_side_name(moment, number)}"
