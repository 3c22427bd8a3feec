"""The window step of a plan: the right kind of windows, spread over any number of states, here and in workers.

Law: keys are independent of each other, so how they are spread does not show in the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import polars as pl

from eventide.engine.aggregates import LOG_NAME, ROW_OFFSET, AggregateState, lower, stack
from eventide.engine.clocks import CommonProgress, Progress
from eventide.engine.completeness import Shares, shares_for
from eventide.engine.keys import CODE, KeyCount, KeyTable
from eventide.engine.means import ALL_OF_IT, Means
from eventide.engine.memory import Memory
from eventide.engine.snapshot import InPieces
from eventide.engine.steps.completeness import how_complete
from eventide.engine.steps.counts import CountWindows
from eventide.engine.steps.disjoint import DisjointWindows
from eventide.engine.steps.empty import EmptyWindows, Top
from eventide.engine.steps.grid import CalendarGrid, grid_of
from eventide.engine.steps.judged import PLACE, Judged
from eventide.engine.steps.overlapping import OverlappingWindows
from eventide.engine.steps.paged import PagedWindows, Windows
from eventide.engine.steps.results import MARKS, ResultRows
from eventide.engine.steps.revised import RevisedWindows
from eventide.engine.steps.sessions import SessionWindows
from eventide.plan import Anomaly, Filter, Peaks, Plan, Trend, WindowedAggregate
from eventide.semantics.eventtime import KeyClock
from eventide.semantics.windows import Count, Session

if TYPE_CHECKING:
    from eventide.engine.workers import DistantWindows

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Kind:
    """How to make the windows of a query, how far they reach behind an event, and what workers share.

    `settled` tells by when the windows of an event have ended, where that is not so far behind it.
    """

    make: Callable[[], Windows]
    reach_us: int
    top: Top | None = None
    settled: Callable[[int], int] | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What tells how complete windows are, where rows are put in order in front of them: how far the door had come by
    the place of each row in its batch, and the rows that were late there. `late` is None where no row came. `own` is
    true where nothing puts rows in order: then places are those of the windows too.
    """

    progress: Progress
    late: pl.DataFrame | None
    own: bool = True


class WindowStep:
    """Windows over all keys, and the rows made of what is due."""

    def __init__(
        self,
        kind: Kind,
        states: int,
        results: ResultRows,
        input_types: Mapping[str, pl.DataType],
        distant: Sequence[DistantWindows] = (),
    ) -> None:
        """Keys are spread over so many `states` in this process and over those that are `distant`."""
        self.shares: Shares | None = None
        self._parts = [kind.make() for _ in range(states)]
        self._distant = list(distant)
        self._top = kind.top
        for one in distant:
            one.share(kind.top)
        self._results = results
        self._input_types = input_types
        self.reach_us = kind.reach_us
        self.settled = kind.settled or (lambda instant: instant + kind.reach_us)
        """From the time of an event to an instant by which its windows have ended."""

    @property
    def inputs(self) -> tuple[pl.Expr, ...]:
        """The columns that the aggregates take from a row."""
        return self._results.aggregates.state.inputs

    @property
    def number(self) -> str:
        """The column of a state with the number of its events."""
        return self._results.aggregates.state.number

    def on_batch(self, log: str, rows: pl.DataFrame, progress: Progress, shown: Shown | None = None) -> Judged:
        """Judge and add the rows of a batch; results are rows ready to go out. `shown` tells how complete they are
        where it is not the rows and their progress that do.
        """
        if self._top is not None:
            self._top.see(rows)
        stages = self._stages(progress)
        if not stages:
            return self._on_batch(log, rows, progress, shown or Shown(progress, rows))
        judged = self._on_batch(log, rows, stages[0], Shown(stages[0], rows))
        return replace(judged, results=chain(judged.results, self._staged(stages[1:])))

    def _on_batch(self, log: str, rows: pl.DataFrame, progress: Progress, shown: Shown) -> Judged:
        if self._spread == 1:
            judged = self._parts[0].on_batch(log, rows, progress)
            return Judged(self._made(judged.results, shown), judged.late, judged.on_time, judged.corrected)
        here = len(self._parts)
        waiting = [one.ask_batch(log, self._share(rows, here + n), progress) for n, one in enumerate(self._distant)]
        all_judged = [part.on_batch(log, self._share(rows, n), progress) for n, part in enumerate(self._parts)]
        all_judged += [answer() for answer in waiting]
        return Judged(
            self._made([due for judged in all_judged for due in judged.results], shown),
            pl.concat([judged.late for judged in all_judged]).sort(PLACE),
            sum(judged.on_time for judged in all_judged),
            sum(judged.corrected for judged in all_judged),
        )

    def on_progress(self, progress: Progress) -> Iterable[pl.DataFrame]:
        """Rows of what came due without new events."""
        if self._top is not None:
            self._top.see(None)
        return self._staged(self._stages(progress)[1:] or [progress])

    def _stages(self, progress: Progress) -> list[CommonProgress]:
        """A progress in pieces, the first of which goes nowhere, where it would close more at once than may be in
        memory: rows come out by the ends of windows, so those of the pieces are those of the whole. None: it may go on
        at once.
        """
        part = self._parts[0]
        if not isinstance(progress, CommonProgress) or not isinstance(part, _Staged) or self.shares is not None:
            return []
        ends = part.stages(progress)
        at = [progress.before, *ends, progress.least] if ends else []
        return [
            CommonProgress(before, pl.Series([end], dtype=pl.Int64))
            for before, end in zip([progress.before, *at], at, strict=False)
        ]

    def _staged(self, stages: Sequence[Progress]) -> Iterator[pl.DataFrame]:
        for progress in stages:
            yield from self._on_progress(progress)

    def _on_progress(self, progress: Progress) -> list[pl.DataFrame]:
        waiting = [one.ask_progress(progress) for one in self._distant]
        due = [frame for part in self._parts for frame in part.on_progress(progress)]
        due += [frame for answer in waiting for frame in answer().results]
        return self._made(due, Shown(progress, None))

    @property
    def _all(self) -> list[Windows | DistantWindows]:
        return [*self._parts, *self._distant]

    @property
    def _spread(self) -> int:
        return len(self._parts) + len(self._distant)

    def _share(self, frame: pl.DataFrame, number: int) -> pl.DataFrame:
        """The rows of the keys that belong to one state."""
        return frame if self._spread == 1 else frame.filter(pl.col(CODE) % self._spread == number)

    def _made(self, given: Iterable[pl.DataFrame], shown: Shown) -> list[pl.DataFrame]:
        """The rows of windows that are due among the rows of a batch, or behind all rows."""
        due = list(given)
        if not due and (self.shares is None or shown.late is None):
            return []
        rows = stack(due) if due else self._nothing_due
        if self.shares is not None:
            told = how_complete(rows, self.number, shown.progress, self.shares, shown.late, own_places=shown.own)
            rows = rows.with_columns(told)
        return [self._results.make(rows)] if due else []

    @property
    def result_schema(self) -> dict[str, pl.DataType]:
        """The columns of result rows."""
        return dict(self._results.make(self._nothing_due).schema)

    @cached_property
    def _nothing_due(self) -> pl.DataFrame:
        state = self._results.aggregates.state
        narrow = {"_t": pl.Int64(), LOG_NAME: pl.String(), ROW_OFFSET: pl.Int64(), CODE: pl.Int64()}
        rows = pl.DataFrame(schema={**narrow, **self._input_types})
        states = state.partial(rows, [CODE])
        extras = {"log": pl.String(), "window_number": pl.Int64(), "early": pl.Boolean(), "op": pl.String()}
        extras |= {"completeness": pl.Float64()}
        marks = {"window_start": pl.Int64(), "window_end": pl.Int64(), **MARKS, **extras}
        return states.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in marks.items())

    def snapshot(self) -> Frames:
        """All states together."""
        named: dict[str, list[pl.DataFrame]] = {}
        for part in self._all:
            for name, frame in part.snapshot().items():
                named.setdefault(name, []).append(frame)
        return {name: stack(frames) for name, frames in named.items()}

    @property
    def has_pieces(self) -> bool:
        """True when all states are in this process and can be saved in pieces."""
        return not self._distant and all(isinstance(part, InPieces) for part in self._parts)

    def pieces(self) -> Iterator[Frames]:
        """The frames of `snapshot` in parts."""
        return chain.from_iterable(part.pieces() for part in self._parts if isinstance(part, InPieces))

    def restore(self, frames: Frames) -> None:
        """Take a snapshot, made with any number of workers."""
        for number, part in enumerate(self._all):
            part.restore({name: self._share(frame, number) for name, frame in frames.items()})
        if self._top is not None and frames.get("empty", _NOTHING).height:
            self._top.begin(frames["empty"].get_column("top").max())  # type: ignore[arg-type] # integers

    def come_home(self) -> None:
        """Bring the states of other processes here, before those end."""
        if self._distant:
            frames = self.snapshot()
            self._distant = []
            self.restore(frames)


_NOTHING = pl.DataFrame()
_Staged = DisjointWindows | OverlappingWindows


def window_step(
    plan: Plan, schema: Mapping[str, pl.DataType], keys: KeyTable, workers: int, means: Means = ALL_OF_IT
) -> WindowStep:
    """The window step of a plan whose rows have the columns of `schema`, its keys spread over so many `workers` in this
    process, or over this one and the others of a crew.
    """
    query = plan.aggregate
    assert query is not None
    aggregates, input_types = lower(query.aggregates, schema)
    results = ResultRows(keys, aggregates, _extras(plan, query))
    by_key = plan.event_time is not None and isinstance(plan.event_time.clock, KeyClock)
    kind = kind_of(query, keys, aggregates.state, means.memory, by_key=by_key)
    shares = shares_for(query, in_order=any(isinstance(step, Anomaly | Peaks | Trend) for step in plan.after))
    crew = means.crew
    if crew is None or crew.size == 1:
        made = WindowStep(kind, workers, results, input_types)
        made.shares = shares
        return made
    from eventide.engine.workers import DistantWindows, distant_settings
    from eventide.plan.codec import aggregate_to

    settings = distant_settings(means.memory, by_key)
    words, types = aggregate_to(query), pl.DataFrame(schema=dict(schema))
    distant = [DistantWindows(one, words, types, keys, settings) for one in crew.start()]
    made = WindowStep(kind, 1, results, input_types, distant)
    made.shares = shares
    return made


def kind_of(
    query: WindowedAggregate, keys: KeyCount, state: AggregateState, memory: Memory | None = None, *, by_key: bool
) -> Kind:
    """How to make the windows of a query: in memory, or with a bound on it; windows that close `by_key`, and those that
    look at all of their state with every batch, go to disk in pages of keys, others by the age of slices.
    """
    if memory is None:
        return _kind(query, keys, state, None)
    window, lateness = query.window, query.lateness
    by_slice = not (by_key or isinstance(window, Session | Count) or lateness.allowed_us or query.early is not None)
    if by_slice:
        return _kind(query, keys, state, memory)
    kind = _kind(query, keys, state, None)
    return replace(kind, make=lambda: PagedWindows(kind.make, memory))


def _kind(query: WindowedAggregate, keys: KeyCount, state: AggregateState, memory: Memory | None) -> Kind:
    window, allowed_us, early = query.window, query.lateness.allowed_us, query.early
    match window:
        case Session(gap_us):
            return Kind(lambda: SessionWindows(gap_us, state, allowed_us, early), gap_us)
        case Count(_, timeout_us):
            return Kind(lambda: CountWindows(window, state), (timeout_us or 0) + 1)
        case _:
            grid = grid_of(window)
    settled = grid.end_at if isinstance(grid, CalendarGrid) else None
    top = Top(grid, allowed_us) if query.fill_empty else None

    def empty() -> EmptyWindows | None:
        return None if top is None else EmptyWindows(top)

    if allowed_us or early is not None:
        return Kind(lambda: RevisedWindows(grid, state, allowed_us, early, empty()), grid.reach_us, top, settled)
    kind = DisjointWindows if grid.slices_per_window == grid.slices_per_slide else OverlappingWindows
    return Kind(lambda: kind(grid, keys, state, empty(), memory), grid.reach_us, top, settled)


def is_revised(query: WindowedAggregate) -> bool:
    """True when a window's result may be followed by another one."""
    return bool(query.lateness.allowed_us) or query.early is not None


def _extras(plan: Plan, query: WindowedAggregate) -> tuple[str, ...]:
    """The further columns that the results of a plan have."""
    revised = is_revised(query)
    filters = any(
        isinstance(step, Filter) for steps in (plan.finish, *(b.steps for b in plan.branches)) for step in steps
    )
    extras = {
        "log": isinstance(query.window, Session) and not plan.single_log,
        "window_number": isinstance(query.window, Count),
        "early": query.early is not None,
        "op": revised and (isinstance(query.window, Session) or filters),
        "completeness": query.completeness,
    }
    return tuple(name for name, present in extras.items() if present)
