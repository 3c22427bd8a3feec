"""One batch's work on the sessions of one log: merging, judging, giving out what is due.

Law: as that of `sessions.py`: what comes out is what an engine gives that takes one event at a time.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from eventide.engine.aggregates import TIME, AggregateState, stack
from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.chain import SESSION, Chain, chained
from eventide.engine.steps.judged import BEFORE, PLACE
from eventide.engine.steps.results import CLOSING, FIRST, RETRACTION, REVISION
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.semantics.lateness import Early

ROUND = "_round"
_JUDGED = (CODE, PLACE, BEFORE, "_behind", ROUND)
"""Columns of rows that no state is made of."""

SHAPE = {
    CODE: pl.Int64(),
    "start": pl.Int64(),
    "end": pl.Int64(),
    "next": pl.Int64(),
    "out": pl.Boolean(),
    "closed": pl.Boolean(),
}
"""A session: its bounds, the next revision, whether a row of it is out, whether its first result is out."""

_FIRST = pl.lit(0, dtype=pl.Int64)
"""The revision that a session begins with."""

_PLACES: Final = {RETRACTION: PLACE, REVISION: PLACE, FIRST: "first", CLOSING: "final_place"}
"""The column that has the place of a row of each phase."""

_NO: Final = pl.lit(False)


class Work:
    """One batch's work on the sessions of one log."""

    def __init__(
        self, sessions: pl.DataFrame, gap_us: int, allowed_us: int, state: AggregateState, early: Early | None
    ) -> None:
        self.sessions = sessions
        self.given: list[pl.DataFrame] = []
        self.late: list[pl.DataFrame] = []
        self.corrected = 0
        self.may_be_tangled = False
        self._aside: list[pl.DataFrame] = []
        self._gap_us = gap_us
        self._allowed_us = allowed_us
        self._state = state
        self._early = early

    def attend_to(self, codes: pl.Series | None) -> None:
        """Lay the sessions of all other keys aside: no row of theirs is left. None: take them all up again."""
        if codes is None:
            self.sessions, self._aside = stack([self.sessions, *self._aside]), []
            return
        is_wanted = self.sessions.get_column(CODE).is_in(codes.unique().implode())
        self._aside.append(self.sessions.filter(~is_wanted))
        self.sessions = self.sessions.filter(is_wanted)

    def at_once(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Take the rows of all keys but those of which a row behind its watermark may touch a session, in one go. Gives
        back the rows of the others.
        """
        is_behind = rows.get_column("_behind")
        if is_behind.all():
            return rows
        behind, ahead = rows.filter(is_behind), rows.filter(~is_behind)
        held, kept = self._within_reach(rows)
        spans = self._spans(ahead, held)
        if not behind.height and not self.may_be_tangled:
            self._grow(ahead, held, kept, spans)
            return behind
        until, horizon = behind.get_column(TIME) + self._gap_us, behind.get_column(BEFORE) - self._allowed_us
        touches = (until > horizon) | (spans.end_at(behind.get_column(CODE), until) > horizon).fill_null(False)
        disputed = behind.get_column(CODE).filter(touches)
        if self.may_be_tangled:
            disputed = disputed.append(tangled_codes(held))
        disputed = disputed.unique()
        late = behind.filter(~behind.get_column(CODE).is_in(disputed.implode()))
        if late.height:
            start = pl.col(TIME)
            self.late.append(late.select(PLACE, window_start=start, window_end=start + self._gap_us))
        self._grow(ahead, held, kept, spans, disputed)
        return rows.filter(rows.get_column(CODE).is_in(disputed.implode())) if disputed.len() else rows.clear()

    def round(self, rows: pl.DataFrame, progress: Progress) -> None:
        """Take, for each key, at most one row behind its watermark and the rows ahead of it that follow."""
        judged = rows.filter("_behind")
        if judged.height:
            if not self._is_plain(progress):
                self.settle(judged, progress)
            self._judge(judged, progress)
        ahead = rows.filter(~pl.col("_behind")) if judged.height else rows
        if ahead.height and self.may_be_tangled:
            ahead = self._one_by_one(ahead, progress)
        if ahead.height:
            held, kept = self._within_reach(rows)
            self._grow(ahead, held, kept, self._spans(ahead, held))

    def _is_plain(self, progress: Progress) -> bool:
        """Whether a session that is closed at a row's place stays so, and nothing more comes of it: then what is due in
        front of a row may as well come out behind the batch.
        """
        return progress.is_common and not (self._allowed_us or self._early is not None or self.may_be_tangled)

    def _one_by_one(self, ahead: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        """Take the rows of keys whose sessions lie across each other; gives back the rows of the others."""
        is_tangled = ahead.get_column(CODE).is_in(tangled_codes(self.sessions).implode())
        rows = ahead.filter(is_tangled).with_columns(pl.int_range(pl.len()).over(CODE).alias(ROUND))
        for (_,), part in rows.group_by(ROUND, maintain_order=True):
            self.settle(part, progress)
            self._judge(part, progress)
        return ahead.filter(~is_tangled)

    def _within_reach(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The sessions that are not final in front of all these rows of their key, and the others. Rows ahead of their
        watermark touch none that is closed, so more sessions than are open do no harm - unless sessions lie across each
        other, as an open one may that an event has drawn out over a closed one.
        """
        before = rows.get_column(BEFORE)
        since = int(before.min())  # type: ignore[arg-type] # integers
        is_near = self.sessions.get_column("end") > max(since - self._allowed_us, NO_WATERMARK)
        if ROUND in rows.columns:
            first = rows.group_by(CODE).agg(pl.col(BEFORE).min() - self._allowed_us)
            until = (
                self.sessions.select(CODE).join(first, on=CODE, how="left", maintain_order="left").get_column(BEFORE)
            )
            is_near = is_near & (self.sessions.get_column("end") > until).fill_null(True)
        return self.sessions.filter(is_near), self.sessions.filter(~is_near)

    def _spans(self, ahead: pl.DataFrame, held: pl.DataFrame) -> Chain:
        """The spans of rows, joined with each other and with sessions."""
        return chained(
            pl.concat([ahead.get_column(CODE), held.get_column(CODE)]),
            pl.concat([ahead.get_column(TIME), held.get_column("start")]),
            pl.concat([ahead.get_column(TIME) + self._gap_us, held.get_column("end")]),
        )

    def _grow(
        self, ahead: pl.DataFrame, held: pl.DataFrame, kept: pl.DataFrame, spans: Chain, but: pl.Series | None = None
    ) -> None:
        """Merge rows ahead of their watermark with each other and with the open sessions of their keys, `but` rows of
        some keys.
        """
        is_row = spans.places < ahead.height
        is_taken = is_row
        if but is not None and but.len():
            is_taken = is_row & (~spans.bounds.get_column(CODE).is_in(but.implode())).gather(spans.numbers)
        rows = ahead.drop(_JUDGED, strict=False)[spans.places.filter(is_taken)]
        numbers = spans.numbers.filter(is_taken)
        states = self._state.partial(rows.with_columns(numbers), [SESSION])
        if held.height:
            of_held = spans.numbers.filter(~is_row).gather(spans.places.filter(~is_row).arg_sort())
            has_rows = pl.Series([False]).new_from_index(0, spans.bounds.height).scatter(numbers, True)
            joined = has_rows.gather(of_held)
            kept = stack([kept, held.filter(~joined)])
            states = self._with_held(states, held.with_columns(of_held).filter(joined))
        else:
            states = states.with_columns(next=_FIRST)
        bounds = spans.bounds[states.get_column(SESSION)]
        self.sessions = stack([kept, _unseen(bounds.hstack(states.drop(SESSION)))])

    def _with_held(self, states: pl.DataFrame, met: pl.DataFrame) -> pl.DataFrame:
        """States by session number, merged with the open sessions that they reach, and their next revisions."""
        is_touched = states.get_column(SESSION).is_in(met.get_column(SESSION).implode())
        held = met.select(SESSION, *(name for name in met.columns if ":" in name))
        merged = self._state.merge(stack([states.filter(is_touched), held]), [SESSION]).sort(SESSION)
        after = met.group_by(SESSION).agg(pl.col("next").max()).sort(SESSION).drop(SESSION)
        return stack([states.filter(~is_touched).with_columns(next=_FIRST), merged.hstack(after)])

    def _judge(self, rows: pl.DataFrame, progress: Progress) -> None:
        """Judge one row a key against the sessions as they are at its place."""
        until, horizon = rows.get_column(TIME) + self._gap_us, rows.get_column(BEFORE) - self._allowed_us
        spans = rows.select(CODE, TIME).hstack([until.alias("_until"), horizon.alias("_horizon")])
        touches = (pl.col("start") <= pl.col("_until")) & (pl.col("end") >= pl.col(TIME))
        is_open = pl.col("end") > pl.col("_horizon")
        met = self.sessions.join(spans, on=CODE).filter(touches & is_open).drop(TIME, "_until", "_horizon")
        is_late = (until <= horizon) & ~rows.get_column(CODE).is_in(met.get_column(CODE).implode())
        if is_late.any():
            late = pl.DataFrame(
                [rows.get_column(PLACE), rows.get_column(TIME).alias("window_start"), until.alias("window_end")]
            )
            self.late.append(late.filter(is_late))
            rows = rows.filter(~is_late)
        if rows.height:
            self._merge_in(rows.sort(CODE), met, progress)

    def _merge_in(self, rows: pl.DataFrame, met: pl.DataFrame, progress: Progress) -> None:
        """Merge each row, in order of their keys, with the sessions it touches: retractions, a revision or an early
        result, the new session.
        """
        own = rows.select(CODE, pl.col(TIME).alias("start"), (pl.col(TIME) + self._gap_us).alias("end"), next=_FIRST)
        states = self._state.partial(rows, [CODE]).sort(CODE).drop(CODE)
        every = stack([met, _unseen(own.hstack(states))])
        bounds = every.group_by(CODE).agg(pl.col("start").min(), pl.col("end").max(), pl.col("next").max())
        merged = pl.concat(
            [bounds.sort(CODE), self._state.merge(every, [CODE]).sort(CODE).drop(CODE), rows.select(PLACE, BEFORE)],
            how="horizontal",
        )
        ends = merged.get_column("end")
        closed = ends <= progress.before_rows(merged.get_column(CODE), merged.get_column(PLACE))
        gives = closed | (self._early is not None)
        self.corrected += int((ends <= merged.get_column(BEFORE)).sum())
        self._retract(met, merged)
        after = merged.get_column("next") + gives.cast(pl.Int64)
        merged = merged.with_columns(closed.alias("closed"), gives.alias("out"), after.alias("after"))
        self._give(_where(merged, gives), REVISION, pl.col("next"), early=~pl.col("closed"))
        kept = self.sessions.join(met.select(CODE, "start", "end"), on=[CODE, "start", "end"], how="anti")
        names = [name for name in merged.columns if ":" in name]
        self.sessions = stack([kept, merged.drop("next").rename({"after": "next"}).select(*SHAPE, *names)])

    def _retract(self, before: pl.DataFrame, merged: pl.DataFrame) -> None:
        """Take back the rows of sessions that are replaced by a longer one."""
        if not before.get_column("out").any():
            return
        new = merged.select(CODE, PLACE, pl.col("start").alias("_start"), pl.col("end").alias("_end"))
        replaced = before.filter("out").join(new, on=CODE)
        replaced = replaced.filter((pl.col("start") != pl.col("_start")) | (pl.col("end") != pl.col("_end")))
        self._give(replaced, RETRACTION, pl.col("next") - 1, early=~pl.col("closed"))

    def settle(self, at: pl.DataFrame | None, progress: Progress) -> None:
        """Give out first results and closing rows that are due before the place of each key's row (None: in the
        batch).
        """
        due, others = self._candidates(at, progress)
        if not due.height:
            return
        codes, ends = due.get_column(CODE), due.get_column("end")
        first = progress.place(codes, ends)
        lasting = ends.clip(upper_bound=END_OF_TIME - self._allowed_us) + self._allowed_us
        final_place = progress.place(codes, lasting) if self._allowed_us else first
        placed = due.with_columns(first.alias("first"), final_place.alias("final_place"))
        if at is not None:
            placed = placed.with_columns(
                pl.when(pl.col(name) < pl.col("_at")).then(pl.col(name)).alias(name)
                for name in ("first", "final_place")
            ).drop("_at")
        first, final_place, closed = (placed.get_column(name) for name in ("first", "final_place", "closed"))
        is_final = pl.col("final_place").is_not_null() & (pl.col("final_place") <= pl.col("first"))
        self._give(_where(placed, first.is_not_null() & ~closed), FIRST, pl.col("next"), final=is_final)
        closing = final_place.is_not_null() & (closed | (final_place > first))
        revision = pl.col("next") - pl.col("closed").cast(pl.Int64)
        self._give(_where(placed, closing), CLOSING, revision, final=pl.lit(True))
        self.sessions = stack([others, self._still_held(placed)])

    def _candidates(self, at: pl.DataFrame | None, progress: Progress) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The sessions that may be due, with the place `_at` of their key's row if there is one; and the others."""
        ripe = self.sessions.get_column("end") <= progress.most
        if at is None:
            # in order of their ends, their places are found without leaping about
            return self.sessions.filter(ripe).sort("end"), self.sessions.filter(~ripe)
        places = at.select(CODE, pl.col(PLACE).alias("_at"))
        marked = self.sessions.join(places, on=CODE, how="left", maintain_order="left")
        concerned = ripe & marked.get_column("_at").is_not_null()
        return marked.filter(concerned), self.sessions.filter(~concerned)

    def _still_held(self, placed: pl.DataFrame) -> pl.DataFrame:
        """The sessions that are not final yet, with what has come out of them now."""
        now = pl.col("first").is_not_null() & ~pl.col("closed")
        still = _where(placed, placed.get_column("final_place").is_null())
        return still.with_columns(
            (pl.col("next") + now.cast(pl.Int64)).alias("next"),
            (pl.col("out") | now).alias("out"),
            (pl.col("closed") | now).alias("closed"),
        ).drop("first", "final_place")

    def _give(
        self,
        told: pl.DataFrame,
        phase: int,
        revision: pl.Expr,
        *,
        final: pl.Expr = _NO,
        early: pl.Expr = _NO,
    ) -> None:
        """Give out sessions at their places of this phase."""
        if not told.height:
            return
        row = told.select(
            CODE,
            "start",
            "end",
            pl.col(_PLACES[phase]).alias("place"),
            pl.lit(phase).cast(pl.Int64).alias("phase"),
            revision.alias("revision"),
            final.alias("final"),
            early.alias("early"),
            pl.lit("retract" if phase == RETRACTION else "upsert").alias("op"),
            *(name for name in told.columns if ":" in name),
        )
        self.given.append(row)


def _where(frame: pl.DataFrame, mask: pl.Series) -> pl.DataFrame:
    """The rows that a mask without nulls keeps; none is copied where it keeps all or none."""
    number = int(mask.sum())
    if number == frame.height:
        return frame
    return frame.filter(mask) if number else frame.clear()


def _unseen(sessions: pl.DataFrame) -> pl.DataFrame:
    """Sessions of which no row is out now."""
    marks = [pl.lit(False).alias("out"), pl.lit(False).alias("closed")]
    return sessions.with_columns(marks).select(*SHAPE, *(name for name in sessions.columns if ":" in name))


def tangled_codes(sessions: pl.DataFrame) -> pl.Series:
    """The keys of sessions that overlap or touch."""
    before = pl.col("end").cum_max().shift(1).over(CODE)
    return sessions.select(CODE, "start", "end").sort(CODE, "start").filter(pl.col("start") <= before).get_column(CODE)
