"""Fixed windows whose results change: allowed lateness and early results.

Law: the rows that go out are those of an engine that takes one event at a time (decision 0004). Each (key, window)
has a sequence of entries - what was there before, new events, the moments at which it is due - and a running merge
gives its content at each. A window that shows although it is empty is one without events (decision 0035).
"""

from __future__ import annotations

import polars as pl

from eventide.engine.aggregates import AggregateState, stack
from eventide.engine.clocks import Progress
from eventide.engine.keys import CODE
from eventide.engine.steps.empty import EmptyWindows
from eventide.engine.steps.grid import Grid
from eventide.engine.steps.judged import BEFORE, PLACE, Judged, no_late
from eventide.engine.steps.results import CLOSING, EARLY, FIRST, REVISION
from eventide.engine.steps.running import running_merge
from eventide.engine.steps.ticks import next_ticks, with_ticks
from eventide.instants import END_OF_TIME
from eventide.semantics.lateness import Early, EveryChange, EveryInterval

WINDOW = "_window"
_GROUP = [CODE, WINDOW]
_HELD = -1
"""The place of what was there before the batch."""
_BEHIND = 2**40
"""The place of early results that are not due in this batch."""


class RevisedWindows:
    """Tumbling, sliding, calendar and global windows with corrections and early results.

    The state is a row for each (key, window): the terms, `next` (the next revision) and `dirty` (changed since its last
    row; kept for early results at intervals). Where empty windows show, those that are out and not final have one too.
    """

    def __init__(
        self, grid: Grid, state: AggregateState, allowed_us: int, early: Early | None, empty: EmptyWindows | None = None
    ) -> None:
        self._grid = grid
        self._empty = empty
        self._state = state
        self._allowed_us = allowed_us
        self._early = early
        self.held: pl.DataFrame | None = None

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress) -> Judged:
        """Judge rows for each of their windows, add them, and give out revisions and what is due."""
        pairs = self._pairs(rows)
        accepted = pairs.filter(pl.col("end") > pl.col(BEFORE) - self._allowed_us)
        counts = accepted.group_by(PLACE).agg((pl.col("end") <= pl.col(BEFORE)).any().alias("corrects"))
        corrected = int(counts.get_column("corrects").sum())
        late = self._late(rows, pairs, counts)
        results = self._advance(accepted, progress)
        return Judged(results, late, on_time=rows.height - late.height - corrected, corrected=corrected)

    def on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        """The windows that came due without new rows."""
        return self._advance(None, progress)

    def _pairs(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Each row once for each of its windows."""
        time = pl.col("_t")
        first, last = self._grid.first(time), self._grid.last(time)
        covered = rows.with_columns(first.alias("_low"), last.alias("_high")).filter(pl.col("_low") <= pl.col("_high"))
        windows = pl.int_ranges("_low", pl.col("_high") + 1, dtype=pl.Int64).alias(WINDOW)
        pairs = covered.with_columns(windows).explode(WINDOW, empty_as_null=False).drop("_low", "_high")
        return pairs.with_columns(self._grid.end(pl.col(WINDOW)).alias("end"))

    def _late(self, rows: pl.DataFrame, pairs: pl.DataFrame, accepted: pl.DataFrame) -> pl.DataFrame:
        if accepted.height == rows.height:
            return no_late()
        last = pairs.group_by(PLACE).agg(pl.col(WINDOW).max()).join(accepted, on=PLACE, how="anti").sort(PLACE)
        window = pl.col(WINDOW)
        return last.select(
            PLACE, self._grid.start(window).alias("window_start"), self._grid.end(window).alias("window_end")
        )

    def _advance(self, accepted: pl.DataFrame | None, progress: Progress) -> list[pl.DataFrame]:
        entries = self._entries(accepted, progress)
        if entries is None:
            return []
        told = running_merge(self._state, entries, _GROUP, ["place", "phase"])
        if self._empty is None:
            told = told.filter(pl.col(self._state.number).fill_null(0) > 0)
        told = told.with_columns((pl.col("gives") & (pl.col("phase") != CLOSING)).cum_sum().over(_GROUP).alias("given"))
        first = pl.col("next").forward_fill().over(_GROUP).fill_null(0)
        told = told.with_columns((first + pl.col("given").cast(pl.Int64) - 1).alias("revision"))
        self._keep(told)
        due = told.filter("gives")
        if not due.height:
            return []
        final = pl.col("final_place")
        is_final = (pl.col("phase") == CLOSING) | (
            (pl.col("phase") == FIRST) & (final <= pl.col("place")).fill_null(False)
        )
        bounds = [
            self._grid.start(pl.col(WINDOW)).alias("window_start"),
            self._grid.end(pl.col(WINDOW)).alias("window_end"),
        ]
        marks = [is_final.alias("final"), pl.col("is_early").alias("early"), pl.lit("upsert").alias("op")]
        return [due.with_columns(*bounds, *marks)]

    def _entries(self, accepted: pl.DataFrame | None, progress: Progress) -> pl.DataFrame | None:
        """The sequences of all windows that something happens to in this batch."""
        parts: list[pl.DataFrame] = []
        if accepted is not None and accepted.height:
            parts.extend(self._added(accepted, progress))
        windows = [part.select(_GROUP) for part in parts]
        if self.held is not None:
            windows.append(self.held.select(_GROUP))
        shown = None if self._empty is None else self._empty.come(accepted, self.held, progress)
        if shown is not None:
            windows.append(shown.select(_GROUP))
        if not windows:
            return None
        moments = self._moments(pl.concat(windows).unique(), progress, _shown(shown, parts))
        touched = pl.concat(
            [moments.filter(pl.col("phase").is_not_null()).select(_GROUP), *windows[: len(parts)]]
        ).unique()
        if not touched.height:
            return None
        held = self._empty_held() if self.held is None else self.held.join(touched, on=_GROUP, how="semi")
        parts.append(_entry(held, _HELD, REVISION))
        due = moments.filter(pl.col("phase").is_not_null())
        parts.append(due.select(*_GROUP, "place", "phase", gives=True, is_early=pl.col("phase") == EARLY))
        finals = moments.select(*_GROUP, "final_place").unique()
        return _one_an_instant(stack(parts)).join(finals, on=_GROUP, how="left")

    def _empty_held(self) -> pl.DataFrame:
        return pl.DataFrame(schema={CODE: pl.Int64(), WINDOW: pl.Int64(), "next": pl.Int64(), "dirty": pl.Boolean()})

    def _moments(self, windows: pl.DataFrame, progress: Progress, shown: pl.DataFrame | None) -> pl.DataFrame:
        """When windows are due: a first result, and a closing row where that comes later. Phase null: not in this
        batch. `shown` says from which place on empty windows show, and where events behind the end bring them out.
        """
        codes = windows.get_column(CODE)
        ends = windows.select(self._grid.end(pl.col(WINDOW)).alias("end")).to_series()
        lasting = ends.clip(upper_bound=END_OF_TIME - self._allowed_us) + self._allowed_us
        placed = windows.with_columns(
            progress.place(codes, ends).alias("first"), progress.place(codes, lasting).alias("final_place")
        )
        if shown is not None:
            placed = _once_shown(placed, shown)
        first = placed.filter(pl.col("first") >= 0).with_columns(
            pl.col("first").alias("place"), pl.lit(FIRST).alias("phase")
        )
        behind = pl.col("first") if shown is None else pl.coalesce("out", "first")
        closing = placed.filter((pl.col("final_place") >= 0) & (pl.col("final_place") > behind))
        closing = closing.with_columns(pl.col("final_place").alias("place"), pl.lit(CLOSING).alias("phase"))
        neither = placed.with_columns(pl.lit(None, dtype=pl.Int64).alias("place"), pl.lit(None).alias("phase"))
        columns = [*_GROUP, pl.col("place"), pl.col("phase").cast(pl.Int64), "final_place"]
        early = self._waiting(placed, progress)
        return pl.concat([part.select(columns) for part in (first, closing, early, neither)])

    def _waiting(self, placed: pl.DataFrame, progress: Progress) -> pl.DataFrame:
        """The ticks at which windows changed in earlier batches give an early result."""
        none = placed.clear().with_columns(pl.lit(None, dtype=pl.Int64).alias("place"), pl.lit(EARLY).alias("phase"))
        if not isinstance(self._early, EveryInterval) or self.held is None:
            return none
        dirty = placed.join(self.held.filter("dirty").select(_GROUP), on=_GROUP, how="semi")
        start = pl.Series([0], dtype=pl.Int64).new_from_index(0, dirty.height)
        ticks = next_ticks(self._early.period_us, dirty.get_column(CODE), start, progress)
        ticked = dirty.with_columns(ticks.alias("place"), pl.lit(EARLY).alias("phase")).filter(pl.col("place") >= 0)
        return ticked.filter(pl.col("first").is_null() | (pl.col("place") < pl.col("first")))

    def _added(self, accepted: pl.DataFrame, progress: Progress) -> list[pl.DataFrame]:
        """The new events as entries: those in front of the first result in one piece, the others one by one."""
        closes = progress.place(accepted.get_column(CODE), accepted.get_column("end"))
        marked = accepted.with_columns(closes.alias("closes"))
        behind = (pl.col("closes") < pl.col(PLACE)).fill_null(False)
        after, before = marked.filter(behind), marked.filter(~behind)
        parts = [self._one_by_one(after, early=False)] if after.height else []
        if not before.height:
            return parts
        match self._early:
            case None:
                parts.append(_entry(self._state.partial(before, _GROUP), _HELD, REVISION))
            case EveryChange():
                parts.append(self._one_by_one(before, early=True))
            case EveryInterval(period_us):
                ticked = with_ticks(before, period_us, progress)
                grouped = self._state.partial(ticked, [*_GROUP, "place", "gives"])
                waits = pl.col("place").is_null()
                parts.append(
                    grouped.with_columns(
                        pl.col("place").fill_null(_BEHIND),
                        pl.lit(EARLY).cast(pl.Int64).alias("phase"),
                        pl.col("gives").alias("is_early"),
                        waits.alias("dirty"),
                    )
                )
        return parts

    def _one_by_one(self, pairs: pl.DataFrame, *, early: bool) -> pl.DataFrame:
        single = self._state.single(pairs, [*_GROUP, PLACE]).rename({PLACE: "place"})
        return single.with_columns(
            pl.lit(REVISION).cast(pl.Int64).alias("phase"), pl.lit(True).alias("gives"), pl.lit(early).alias("is_early")
        )

    def _keep(self, told: pl.DataFrame) -> None:
        """The new state: the last content of each window that is not final."""
        last = told.group_by(_GROUP, maintain_order=True).last().filter(pl.col("final_place").is_null())
        waits = pl.col("dirty") if "dirty" in last.columns else pl.lit(False)
        kept = last.with_columns((pl.col("revision") + 1).alias("next"), waits.fill_null(False).alias("dirty"))
        states = kept.select(*_GROUP, "next", "dirty", *(name for name in kept.columns if ":" in name))
        if self.held is not None:
            rest = self.held.join(told.select(_GROUP).unique(), on=_GROUP, how="anti")
            states = stack([rest, states])
        # empty windows need to know the columns of a state, even while none is held
        self.held = states if states.height or self._empty is not None else None

    def snapshot(self) -> dict[str, pl.DataFrame]:
        """The state as frames."""
        frames = {} if self.held is None else {"windows": self.held}
        return frames if self._empty is None else {**frames, "empty": self._empty.snapshot()}

    def restore(self, frames: dict[str, pl.DataFrame]) -> None:
        """Take the state of a snapshot."""
        self.held = frames.get("windows")
        if self._empty is not None and "empty" in frames:
            self._empty.restore(frames["empty"])


def _shown(come: pl.DataFrame | None, parts: list[pl.DataFrame]) -> pl.DataFrame | None:
    """Windows that show, with the place of the first event that itself brings them out behind their end."""
    if come is None:
        return None
    behind = [part.filter(pl.col("gives") & ~pl.col("is_early")) for part in parts if "gives" in part.columns]
    behind = [part.select(*_GROUP, "place") for part in behind]
    if not behind:
        return come.with_columns(pl.lit(None, dtype=pl.Int64).alias("revised"))
    revised = pl.concat(behind).group_by(_GROUP).agg(pl.col("place").min().alias("revised"))
    return come.join(revised, on=_GROUP, how="left")


def _once_shown(placed: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """First results not before windows show, and none of a window that an event has brought `out` by then."""
    known = placed.join(shown, on=_GROUP, how="left")
    first = pl.max_horizontal("first", pl.when(pl.col("first").is_not_null()).then("shown"))
    out = (pl.col("revised") <= first).fill_null(False)
    return known.select(
        *_GROUP,
        pl.when(~out).then(first).alias("first"),
        pl.when(out).then(pl.col("revised") - 1).alias("out"),
        "final_place",
    )


def _one_an_instant(entries: pl.DataFrame) -> pl.DataFrame:
    """Without the bare moments at which another entry of the same window gives a row already."""
    at = [*_GROUP, "place", "phase"]
    first = pl.int_range(pl.len()).over(at) == 0
    return entries.filter(first | (pl.col("phase") != EARLY) | ~pl.col("gives"))


def _entry(states: pl.DataFrame, place: int, phase: int) -> pl.DataFrame:
    """States as entries that give out nothing themselves."""
    return states.with_columns(
        pl.lit(place).cast(pl.Int64).alias("place"),
        pl.lit(phase).cast(pl.Int64).alias("phase"),
        pl.lit(False).alias("gives"),
        pl.lit(False).alias("is_early"),
    )
