"""A window explained: its state and content, who holds it open, what it waits for and when it will close.

Law: the state is that of the moment asked about; what the moment cannot tell is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from eventide.engine.explanation.holding import Holding, holding, holding_lines, needed_line, pace_line
from eventide.engine.explanation.moment import Key, Moment, instants
from eventide.engine.explanation.reread import Mover, Rereading, can_reread
from eventide.engine.explanation.words import key_text, place_text, span, watermark_text
from eventide.engine.steps.grid import Grid, grid_of
from eventide.instants import EARLIEST, END_OF_TIME, NO_WATERMARK, instant_text
from eventide.plan import LATE, RESULTS, Filter
from eventide.semantics.eventtime import KeyClock
from eventide.semantics.windows import Count, Session

State = Literal["open", "closed", "corrected", "empty", "past"]
_LOGS_NAMED = 3


@dataclass(frozen=True, slots=True)
class WindowExplanation:
    """What is known of a window; `str` of it is a text for people.

    `state` is `"open"` (its end is ahead of the watermark), `"closed"` (its result is out), `"corrected"` (its result
    was revised `corrections` times after that), `"empty"` (it never had an event) or `"past"` (closed; the results
    were not kept, so whether it had events is not known). `content` holds its aggregates so far, None without an
    event. `closes_us` is the arrival time at which it will close at the present pace. Instants are microseconds.
    """

    key: Mapping[str, Any]
    start_us: int
    end_us: int
    state: State
    content: Mapping[str, Any] | None
    corrections: int
    watermark_us: int
    holding: Holding | None
    lines: tuple[str, ...]

    @property
    def closes_us(self) -> int | None:
        """The arrival time at which the window closes at the present pace; None where that cannot be told."""
        return None if self.holding is None else self.holding.closes_us

    @property
    def title(self) -> str:
        """The window's name."""
        whose = f" of {key_text(self.key)}" if self.key else ""
        if self.start_us <= EARLIEST:
            return f"the window over all time{whose}"
        return f"window [{instant_text(self.start_us)}, {instant_text(self.end_us)}){whose}"

    def __str__(self) -> str:
        return "\n  ".join([f"{self.title}: {self.state}", *self.lines])

    def _repr_html_(self) -> str:
        from eventide.plan.html import lines

        return lines(f"{self.title}: {self.state}", self.lines)


def explain_window(moment: Moment, key: object, at_us: int, *, reread: bool = True) -> WindowExplanation:
    """The window of a key that holds an instant: the one that begins there, else the earliest that covers it."""
    return AskedWindow(moment, moment.key_of(key), at_us, reread and can_reread(moment.plan)).answer()


class AskedWindow:
    """One question about a window, and what the moment says to it."""

    def __init__(self, moment: Moment, key: Key, at_us: int, reread: bool) -> None:
        self.moment, self.key, self.at_us, self.reread = moment, key, at_us, reread
        self.code = moment.code_of(key)
        self.clock_code = moment.clock_code_of(key) if moment.clocks.closes_by_key else None
        self.watermark = moment.closing_watermark(self.clock_code)
        self.held = moment.open_windows(self.code)
        self.kept = _windowed(moment.rows_of(RESULTS, key))
        self.note = ""

    def answer(self) -> WindowExplanation:
        start, end, exists = self._bounds()
        held, rows = self._of(self.held, start), self._of(self.kept, start)
        if (rows is None or not rows.height) and end <= self.watermark:
            rows = self._elsewhere(start, rows)
        state, corrections = self._state(end, held, rows)
        content = self._content(held if state == "open" or rows is None or not rows.height else rows)
        found = self._holding(end) if state == "open" and exists else None
        lines = tuple(self._lines(state, start, end, content, corrections, found))
        return WindowExplanation(self.key, start, end, state, content, corrections, self.watermark, found, lines)

    def _holding(self, end: int) -> Holding | None:
        """Who holds the window open. When a quiet key's clock was moved last is not in the trace: its log tells."""
        found = holding(self.moment, self.key, self.clock_code, end)
        if found is None or found.why != "quiet key" or not self.reread or found.watermark_us <= NO_WATERMARK:
            return found
        last = self.moment.trace.of_log(found.log).last
        mover = Rereading(self.moment).mover(
            found.log, self._clock_key(), found.watermark_us, None if last is None else last.offset + 1
        )
        return found if mover is None else replace(found, since=mover.mark)

    def _clock_key(self) -> pl.DataFrame | None:
        """The key of the clock by which the window closes; None where all keys share one."""
        clock = self.moment.settings.clock
        if isinstance(clock, KeyClock) and self.moment.clocks.closes_by_key:
            return self.moment.row_of(self.key).select(clock.key)
        return None

    def _bounds(self) -> tuple[int, int, bool]:
        """Start and end of the window asked about, and whether there is one (sessions exist only with events)."""
        window = self.moment.query.window
        if not isinstance(window, Session | Count):
            start, end, covering = span_of(grid_of(window), self.at_us)
            if covering > 1 and start != self.at_us:
                self.note = (
                    f"the earliest of {covering} windows that cover {instant_text(self.at_us)}: name another "
                    "by its start"
                )
            return start, end, True
        spans: list[tuple[int, int]] = []
        for frame in (self.kept, self.held):
            if frame is not None and frame.height:
                starts, ends = instants(frame, "window_start"), instants(frame, "window_end")
                spans += [(a, b) for a, b in zip(starts, ends, strict=True) if a is not None and b is not None]
        covering_now = [one for one in spans if one[0] <= self.at_us < one[1]]
        if covering_now:
            return (*covering_now[-1], True)
        gap_us = window.gap_us if isinstance(window, Session) else 1
        near = min(spans, key=lambda one: abs(one[0] - self.at_us), default=None)
        kind = "session" if isinstance(window, Session) else "count window"
        self.note = f"no {kind} of this key holds {instant_text(self.at_us)}"
        if near is not None:
            self.note += f"; the nearest is [{instant_text(near[0])}, {instant_text(near[1])})"
        return self.at_us, self.at_us + gap_us, False

    def _of(self, frame: pl.DataFrame | None, start: int) -> pl.DataFrame | None:
        if frame is None:
            return None
        begins = pl.col("window_start").cast(pl.Int64).fill_null(EARLIEST)
        return frame.filter(begins == start)

    def _elsewhere(self, start: int, rows: pl.DataFrame | None) -> pl.DataFrame | None:
        """The window's rows in another output, where a filter left them out of the results."""
        for branch in self.moment.plan.branches:
            found = self._of(_windowed(self.moment.rows_of(branch.name, self.key)), start)
            if found is not None and found.height:
                self.note = f"not in the results, where a filter left it out, but in the output {branch.name!r}"
                return found
        return rows

    def _state(self, end: int, held: pl.DataFrame | None, rows: pl.DataFrame | None) -> tuple[State, int]:
        if end > self.watermark:
            return "open", 0
        if rows is not None and rows.height:
            corrections = _corrections(rows)
            return ("corrected" if corrections else "closed"), corrections
        if held is not None and held.height:
            corrections = int(held.get_column("revision")[-1])
            return ("corrected" if corrections else "closed"), corrections
        filtered = any(isinstance(step, Filter) for step in self.moment.plan.finish)
        if self.code is None or (self.kept is not None and not filtered):
            return "empty", 0
        return "past", 0

    def _content(self, rows: pl.DataFrame | None) -> dict[str, Any] | None:
        if rows is None or not rows.height:
            return None
        hidden = {*self.key, "window_start", "window_end", "revision", "final", "op", "early", "log", "window_number"}
        last = rows.row(-1, named=True)
        return {name: value for name, value in last.items() if name not in hidden}

    def _lines(
        self,
        state: State,
        start: int,
        end: int,
        content: Mapping[str, Any] | None,
        corrections: int,
        found: Holding | None,
    ) -> Iterator[str]:
        if self.note:
            yield self.note
        if content is not None:
            so_far = "so far: " if state == "open" else "result: "
            yield so_far + ", ".join(f"{name}={_value(value)}" for name, value in content.items())
        elif state == "open":
            yield "no event so far" if self.code is not None else "no event of this key has been accepted so far"
        if state == "open":
            yield from self._open_lines(end, found)
            return
        if state == "empty":
            yield from self._empty_lines(start, end)
        if state == "past":
            yield self._past_line()
        if corrections:
            yield f"corrected {corrections} {'time' if corrections == 1 else 'times'} after its first result"
        yield from self._closed_lines(start, end)
        yield from self._late_line(start, end)

    def _open_lines(self, end: int, found: Holding | None) -> Iterator[str]:
        if not self.moment.had_events:
            yield "the stream has not had any event: no clock has a watermark"
        if self.moment.over:
            yield "the run was stopped before it closed"
        if found is None:
            yield f"{watermark_text(self.watermark)}; no clock that counts holds it back: it waits for the next event"
            yield needed_line(self.moment, None, self.key, end)
            return
        yield from holding_lines(self.moment, found, end)
        yield needed_line(self.moment, found, self.key, end)
        yield pace_line(self.moment, found)

    def _empty_lines(self, start: int, end: int) -> Iterator[str]:
        if not self.moment.had_events:
            refused = self.moment.pipeline.accounting.total.dead_letters
            yield "the stream had no event at all" + (
                f": {refused:,} were refused, see dead_letters" if refused else ""
            )
        elif self.code is None:
            yield "no event of this key was ever accepted"
        else:
            yield "it never had an event: nothing came out for it"
            if self.moment.query.fill_empty:
                yield "empty windows show from the key's first window on, up to the last that has any event"
            near = [] if self.kept is None else sorted(one for one in instants(self.kept, "window_start") if one)
            before = [one for one in near if one < start]
            after = [one for one in near if one >= end]
            if before:
                yield f"the key's window before it that had events begins at {instant_text(before[-1])}"
            if after:
                yield f"the key's next window with events begins at {instant_text(after[0])}"

    def _past_line(self) -> str:
        if any(isinstance(step, Filter) for step in self.moment.plan.finish):
            return "no result was kept for it: it had no event, or a filter behind the windows left its result out"
        return "it is not in the state any more and no results were kept here: its result is out, or it had no event"

    def _is_empty_so_far(self, start: int) -> bool:
        window = self.moment.query.window
        if not self.moment.query.fill_empty or isinstance(window, Session | Count):
            return False
        number = pl.select(grid_of(window).last(pl.lit(start, dtype=pl.Int64))).item()
        return self.moment.is_empty_so_far(self.code, number)

    def _closed_lines(self, start: int, end: int) -> Iterator[str]:
        allowed_us = self.moment.query.lateness.allowed_us
        closed_at = f"{watermark_text(self.watermark)} has reached its end"
        if self.watermark == END_OF_TIME:
            closed_at = "the input has ended, so every window has closed"
        yield closed_at
        if allowed_us and self.watermark < end + allowed_us:
            if self._is_empty_so_far(start):
                yield "no event has come into it so far: its row shows it empty"
            yield f"it takes corrections until the watermark reaches {instant_text(end + allowed_us)}"
        if self.reread and self.moment.had_events:
            yield from self._closer_lines(end)

    def _closer_lines(self, end: int) -> Iterator[str]:
        """By which event each log had reached the window's end."""
        reading = Rereading(self.moment)
        key = self._clock_key()
        logs = list(self.moment.trace.logs)
        for log in logs[:_LOGS_NAMED]:
            last = self.moment.trace.of_log(log).last
            found: Mover | None = reading.mover(log, key, end, None if last is None else last.offset + 1)
            if found is None:
                yield f"log {log!r} never brought its watermark to the end of the window by events"
            else:
                yield f"log {log!r} reached its end with {place_text(found.mark)}"
        if len(logs) > _LOGS_NAMED:
            yield f"and {len(logs) - _LOGS_NAMED:,} more logs"

    def _late_line(self, start: int, end: int) -> Iterator[str]:
        late = self.moment.rows_of(LATE, self.key)
        if late is None or not late.height:
            return
        time = pl.col(self.moment.settings.column).cast(pl.Int64)
        mine = late.filter((time >= start) & (time < end)) if self.moment.settings.column in late.columns else late
        mine = mine.filter(pl.col("window_end").cast(pl.Int64) <= end)
        if mine.height:
            worst = mine.get_column("late_by").cast(pl.Int64).sort()[-1]
            events = "1 event" if mine.height == 1 else f"{mine.height:,} events"
            yield f"{events} came too late for it, by up to {span(worst)}: see late"


def span_of(grid: Grid, at_us: int) -> tuple[int, int, int]:
    """Start and end of the window that begins at an instant, else of the earliest that covers it, and how many do."""
    number = pl.DataFrame({"t": [at_us]}, schema={"t": pl.Int64()})
    first, last = number.select(grid.first(pl.col("t")).alias("first"), grid.last(pl.col("t")).alias("last")).row(0)
    chosen = pl.DataFrame({"w": [first, last]}, schema={"w": pl.Int64()})
    (one, one_end), (other, other_end) = chosen.select(
        grid.start(pl.col("w")).alias("start"), grid.end(pl.col("w")).alias("end")
    ).rows()
    return (other, other_end, last - first + 1) if other == at_us else (one, one_end, last - first + 1)


def _windowed(rows: pl.DataFrame | None) -> pl.DataFrame | None:
    """Result rows that stand, if they still say which window they are of."""
    wanted = {"window_start", "window_end", "revision"}
    if rows is None or not wanted <= set(rows.columns):
        return None
    if "op" not in rows.columns:
        return rows
    window = [name for name in ("window_start", "log", "window_number") if name in rows.columns]
    return rows.filter(pl.col("op").last().over(window) == "upsert", pl.col("op") == "upsert")


def _corrections(rows: pl.DataFrame) -> int:
    """How often a result was revised after its first one; early results are none."""
    on_time = rows.filter(~pl.col("early")) if "early" in rows.columns else rows
    revisions = on_time.get_column("revision").sort()
    return int(revisions[-1]) - int(revisions[0]) if revisions.len() else 0


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
