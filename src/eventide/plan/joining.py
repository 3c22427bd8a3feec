"""The part of a stream's sentence that compares rows with other rows: copies, and other streams.

Law: each method returns a new stream; both sides of a join keep their own doors, clocks and late rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from eventide.errors import PlanError
from eventide.flow import Fingerprinted
from eventide.instants import Duration, microseconds, non_negative_us, positive_us
from eventide.plan.derived import AsofJoin, AsofKind, Derived, Enrich, IntervalJoin, IntervalKind, Merge, Pairs
from eventide.plan.given import names_of
from eventide.plan.nodes import Deduplicate, Plan, Step
from eventide.semantics.lateness import Early, EveryChange

if TYPE_CHECKING:
    from eventide.plan.stream import Stream

Keys: TypeAlias = str | Sequence[str] | Mapping[str, str]
"""Key columns: a name, several, or a mapping from names in the left stream to names in the right one."""


class Joining:
    """What a `Stream` can say about rows together. The stream's `plan` is what it works on."""

    __slots__ = ()
    plan: Plan

    def deduplicate(self, *by: str, within: Duration, merge: bool = False) -> Stream:
        """Leave out copies: rows with the same values in the columns `by`, event times at most `within` apart.

        The first row of its log stays and goes on at once; copies are counted as `duplicates`. Null is a value like
        any other. Copies in different logs stay, as do rows more than `within` behind their watermark: memory is
        bounded by `within`. It stands behind `event_time`.

        With `merge=True` the rows of one capture become one row, over all logs: each column has the first value that
        is not null, in order of event time, log and offset. A capture is open for `within` from its first row and
        comes out when the watermark has passed that.

        >>> import eventide as et
        >>> rows = [{"id": 7, "at": 0, "dose": 0.1}, {"id": 7, "at": 0, "dose": 0.1}, {"id": 8, "at": 1_000_000}]
        >>> readings = et.from_rows(rows, schema={"id": int, "at": et.field(et.Instant, unit="us"), "dose": float})
        >>> once = readings.event_time("at", et.bounded("2s"), max_future=None).deduplicate("id", within="1m")
        >>> once.run(show=False).results["id"].to_list()
        [7, 8]
        """
        within_us, by = positive_us(within, "within"), names_of(by, "by")
        if self.plan.event_time is None and self.plan.derived is None:
            raise PlanError.of("deduplicate", "the stream has no event time yet", "Call it behind event_time")
        if self.plan.aggregate is not None:
            raise PlanError.of("deduplicate", "the stream is one of results", "Call it in front of group_by and window")
        if merge:
            return _derived(self.plan, Merge(_side(self.plan, "deduplicate"), by, within_us))
        return _stream(replace(self.plan, after=(*self.plan.after, Deduplicate(by, within_us))))

    def join_interval(
        self,
        other: Stream,
        *,
        on: Keys,
        lower: Duration,
        upper: Duration,
        how: IntervalKind = "inner",
        suffix: str = "_right",
    ) -> Stream:
        """Pair each row at t with the rows of `other` between t + `lower` and t + `upper`, both included.

        `on` names the key columns (a mapping where their names differ); null keys match nothing. A pair comes out as
        soon as both rows are there. `how="left"` also gives the rows of this stream without a match, `"outer"` those
        of both, once the watermark proves that none will come. Columns of `other` whose names are taken get `suffix`.
        The joined row's event time is the later one of the two.

        >>> import eventide as et
        >>> time = et.field(et.Instant, unit="us")
        >>> doors = et.from_rows([{"room": 1, "at": 5}], schema={"room": int, "at": time}, name="doors")
        >>> lamps = et.from_rows([{"room": 1, "at": 7}], schema={"room": int, "at": time}, name="lamps")
        >>> doors, lamps = (s.event_time("at", et.ascending(), max_future=None) for s in (doors, lamps))
        >>> lit = doors.join_interval(lamps, on="room", lower="0s", upper="5us")
        >>> lit.run(show=False).results.columns
        ['room', 'at', 'at_right']
        """
        bounds = (microseconds(lower, "lower"), microseconds(upper, "upper"))
        left, right = _side(self.plan, "join_interval"), _side(_plan_of(other, "other"), "join_interval")
        return _derived(self.plan, IntervalJoin(left, right, _pairs(on), *bounds, how, suffix))

    def join_asof(
        self,
        other: Stream,
        *,
        on: Keys,
        tolerance: Duration | None = None,
        how: AsofKind = "left",
        suffix: str = "_right",
    ) -> Stream:
        """Add to each row the last row of `other` at or before it, with the same key and at most `tolerance` older.

        Among rows of one time the one with the larger log and offset counts. A row waits until the watermark of
        `other` has passed it, so the answer never depends on arrival. `how="left"` keeps rows without a match, with
        nulls; `"inner"` leaves them out. Names as in `join_interval`; the event time is that of this stream's row.

        >>> import eventide as et
        >>> time = et.field(et.Instant, unit="us")
        >>> doses = et.from_rows([{"at": 9, "site": "x"}], schema={"at": time, "site": str}, name="doses")
        >>> rain = et.from_rows(
        ...     [{"at": 4, "site": "x", "mm": 2}], schema={"at": time, "site": str, "mm": int}, name="rain"
        ... )
        >>> doses, rain = (s.event_time("at", et.ascending(), max_future=None) for s in (doses, rain))
        >>> doses.join_asof(rain, on="site", tolerance="1h").run(show=False).results["mm"].to_list()
        [2]
        """
        left, right = _side(self.plan, "join_asof"), _side(_plan_of(other, "other"), "join_asof")
        tolerance_us = None if tolerance is None else non_negative_us(tolerance, "tolerance")
        return _derived(self.plan, AsofJoin(left, right, _pairs(on), tolerance_us, how, suffix))

    def enrich(
        self,
        side: Stream,
        *,
        on: Keys,
        misses: str | None = None,
        refresh: Early | None = None,
        version: str | None = None,
        suffix: str = "_right",
    ) -> Stream:
        """Add the columns of a side input: a table of files, a database or a frame, read whole and looked up by `on`.

        `side` is a stream that ends, with filters and further columns if wanted, but no event time; of several rows
        of a key the last one counts. Rows not found keep nulls, or go to the output that `misses` names and count as
        `filtered`. `refresh=every("1h")` reads the side again by the wall clock, `refresh=on_change()` when its file
        has another size or time, or PostgreSQL has counted changes of the table; a refresh takes hold between two
        batches. So that an answer can be traced, `version` names a column for the version used (a fingerprint of the
        side's rows), and the outcome's `sides` lists versions, rows and misses.

        >>> import eventide as et
        >>> doses = et.from_rows([{"site": 1, "dose": 0.2}], schema={"site": int, "dose": float})
        >>> sites = et.from_rows([{"site": 1, "place": "Graz"}], schema={"site": int, "place": str}, name="sites")
        >>> doses.enrich(sites, on="site").run(show=False).results.rows()
        [(1, 0.2, 'Graz')]
        """
        plan = _plan_of(side, "side")
        if plan.event_time or plan.derived or plan.aggregate or plan.branches or plan.writes:
            raise PlanError.of(
                "enrich", "the side input has an event time, windows or outputs", "Use join_asof, or leave them out"
            )
        if isinstance(refresh, EveryChange) and not all(isinstance(one.source, Fingerprinted) for one in plan.inputs):
            raise PlanError.of("enrich", "the side cannot tell when it changes", 'Use refresh=every("1h")')
        return self._with_step(Enrich(plan, _pairs(on), misses, refresh, version, suffix))

    def _with_step(self, step: Step) -> Stream:
        raise NotImplementedError


def _pairs(on: Keys) -> Pairs:
    if isinstance(on, Mapping):
        return tuple(zip(names_of(on, "on"), names_of(on.values(), "on"), strict=True))
    return tuple((name, name) for name in names_of(on, "on"))


def _plan_of(given: object, where: str) -> Plan:
    plan = getattr(given, "plan", None)
    if not isinstance(given, Joining) or not isinstance(plan, Plan):
        raise ValueError(f'{where}={given!r} is not a stream: make one, for example with et.read_csv("sites.csv", ...)')
    return plan


def _side(plan: Plan, where: str) -> Plan:
    """The plan of one side: a stream with an event time, or a derived one, and nothing behind it but row-wise steps."""
    if plan.event_time is None and plan.derived is None:
        raise PlanError.of(where, "one side has no event time", "Call it on streams that have an event_time")
    if plan.aggregate is not None or plan.branches or plan.writes:
        raise PlanError.of(
            where, "one side has windows, outputs or sinks already", "Join first, then group_by, output and write"
        )
    return plan


def _derived(plan: Plan, derived: Derived) -> Stream:
    if plan.branches or plan.writes:
        raise PlanError.of("join", "the stream has outputs or sinks already", "Join first, then output and write")
    return _stream(Plan(tuple(one for side in derived.sides for one in side.inputs), derived=derived))


def _stream(plan: Plan) -> Stream:
    from eventide.plan.stream import Stream

    return Stream(plan)
