"""Sessions: windows that last while the events of a key follow each other within the gap.

Law: on one log this is the behaviour of an engine that takes one event at a time. An event ahead of its watermark can
only touch sessions that are still open, so such events are merged all at once, by sorting. An event at or behind its
watermark that touches none of what they become is late, whatever its place. Where one may touch a session, each such
event of its key starts a new round, in which it is judged against the sessions as they are at its place; all keys of
that kind go through a round together.
"""

from __future__ import annotations

import polars as pl

from eventide.engine.aggregates import TIME, AggregateState, stack
from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.judged import BEFORE, PLACE, Judged
from eventide.engine.steps.session_work import ROUND, SHAPE, Work, tangled_codes
from eventide.instants import NO_WATERMARK
from eventide.semantics.lateness import Early


class SessionWindows:
    """The sessions of each log and key."""

    def __init__(self, gap_us: int, state: AggregateState, allowed_us: int, early: Early | None) -> None:
        self._gap_us = gap_us
        self._state = state
        self._allowed_us = allowed_us
        self._early = early
        self.sessions: dict[str, pl.DataFrame] = {}
        self._tangled: set[str] = set()
        self._newest: dict[str, int] = {}

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Judge rows against the sessions of their log, add them, and give out what is due."""
        behind = (pl.col(TIME) <= pl.col(BEFORE)) | pl.lit(self._early is not None)
        marked = rows.with_columns(behind.alias("_behind"))
        work = self._work(self.sessions.get(log, self._none()))
        work.may_be_tangled = self._may_be_tangled(log, rows.get_column(BEFORE), progress)
        rest, number = marked if self._early is not None else work.at_once(marked), 0
        if rest.height:
            rest = rest.with_columns(pl.col("_behind").cast(pl.Int64).cum_sum().over(CODE).alias(ROUND))
        while rest.height:
            work.attend_to(rest.get_column(CODE))
            now = rest.get_column(ROUND) == number
            part, rest, number = rest.filter(now), rest.filter(~now), number + 1
            if part.height:
                work.round(part, progress)
        work.attend_to(None)
        work.settle(None, progress)
        self.sessions[log] = work.sessions
        results = self._made(log, work.given) + self._others(log, progress)
        late = stack(work.late).sort(PLACE) if work.late else Judged().late
        corrected = work.corrected
        return Judged(results, late, on_time=rows.height - late.height - corrected, corrected=corrected)

    def _work(self, sessions: pl.DataFrame) -> Work:
        return Work(sessions, self._gap_us, self._allowed_us, self._state, self._early)

    def _may_be_tangled(self, log: str, before: pl.Series, progress: Progress) -> bool:
        """Whether a session that is closed for one event may still be open for a later one of its key: where events of
        one group are judged by several clocks, the watermarks in front of them do not only rise.
        """
        newest = self._newest.get(log, NO_WATERMARK)
        if progress.is_common and before.len():
            if not before.is_sorted() or int(before[0]) < newest:
                self._tangled.add(log)
            self._newest[log] = max(newest, int(before.max()))  # type: ignore[arg-type] # integers
        return log in self._tangled

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The sessions that came due without new rows."""
        return self._others(None, progress)

    def _others(self, but: str | None, progress: Progress) -> list[pl.DataFrame]:
        """What is due in the logs that the batch does not come from."""
        made: list[pl.DataFrame] = []
        for log, sessions in self.sessions.items():
            if log != but:
                work = self._work(sessions)
                work.settle(None, progress)
                self.sessions[log] = work.sessions
                made.extend(self._made(log, work.given))
        return made

    def _made(self, log: str, given: list[pl.DataFrame]) -> list[pl.DataFrame]:
        if not given:
            return []
        due = stack(given).rename({"start": "window_start", "end": "window_end"}).with_columns(pl.lit(log).alias("log"))
        return [due]

    def _none(self) -> pl.DataFrame:
        return pl.DataFrame(schema=SHAPE)

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """The state as frames."""
        named = [frame.with_columns(pl.lit(log).alias("log")) for log, frame in self.sessions.items() if frame.height]
        return {"sessions": stack(named)} if named else {}

    def restore(self, frames: dict[str, pl.DataFrame]) -> None:
        """Take the state of a snapshot."""
        self.sessions = {}
        if "sessions" in frames:
            for (log,), frame in frames["sessions"].group_by("log", maintain_order=True):
                self.sessions[str(log)] = frame.drop("log")
                if tangled_codes(frame).len():
                    self._tangled.add(str(log))
