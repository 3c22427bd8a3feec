"""What a stream can say about detection: the methods of `Stream` that look at rows in the order of event time.

Law: a method adds one step; behind `agg` it judges final results by the keys of the windows, before it events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from eventide.errors import PlanError
from eventide.expressions import Expr
from eventide.instants import Duration, non_negative_us, positive_us
from eventide.plan.detection import Absent, Alert, AlertRate, Anomaly, Peaks, Severity, TimeOf, Trend
from eventide.plan.given import names_of, number_of
from eventide.plan.nodes import Plan, Step
from eventide.semantics.detection import Method
from eventide.semantics.eventtime import KeyClock

if TYPE_CHECKING:
    from eventide.plan.stream import Stream

By = str | Sequence[str] | None
"""Key columns: one name, several, or None for the keys of the windows or of the clock."""


class Detecting:
    """The methods of detection; `Stream` inherits them."""

    __slots__ = ()
    plan: Plan

    def alert(
        self,
        when: Expr,
        *,
        name: str,
        severity: Severity = "warning",
        cooldown: Duration = "0s",
        clear: Expr | None = None,
        by: By = None,
    ) -> Stream:
        """Raise an alert of a key when `when` is true and clear it when `clear` is; rows go to the output `alerts`.

        Rows pass unchanged. Without `clear` an alert is cleared when `when` is false; with it, there is a band in which
        nothing changes. A key whose alert is up does not raise it again, nor within `cooldown` of the last time it was
        raised, in event time. Null neither raises nor clears. `by` names the keys of events (default: the key of the
        clock, or none); results have the keys of their windows. Results are judged when they are final, events when the
        watermark has passed them, in the order of event time; an alarm that arrives behind a newer all-clear of its key
        in its log raises nothing.

        >>> import eventide as et
        >>> rows = [{"at": 0, "load": 1}, {"at": 1_000, "load": 9}, {"at": 2_000, "load": 2}]
        >>> loads = et.from_rows(rows, schema={"at": et.Instant, "load": int}).event_time("at", et.bounded("1s"))
        >>> loads.alert(et.col("load") > 5, name="busy").run(show=False)["alerts"]["state"].to_list()
        ['raised', 'cleared']
        """
        keys = self._keys("alert", by)
        return self._with(Alert(name, when, clear, severity, non_negative_us(cooldown, "cooldown"), keys))

    def absent(
        self,
        for_: Duration,
        *,
        by: By = None,
        name: str = "absent",
        severity: Severity = "warning",
        time: TimeOf = "event",
    ) -> Stream:
        """Raise an alert of a key that was silent for `for_`, and clear it with the key's next event.

        In event time (the default) silence is certain once the watermark has passed the key's last event by `for_`; at
        the end of a bounded input it is judged up to the last event. With `time="processing"` the wall clock decides:
        such an alert says that nothing was received, is marked `clock = "processing"`, and is not repeated by a replay.
        """
        if self.plan.aggregate is not None:
            raise PlanError.of(
                "absent", "it comes behind the windows, where silence leaves no row", "Call absent before group_by"
            )
        keys = self._keys("absent", by)
        return self._with(Absent(name, positive_us(for_, "for_"), severity, keys, time))

    def anomaly(self, column: str, method: Method, *, by: By = None, prefix: str = "") -> Stream:
        """Add columns that judge a column's value against the key's values before it.

        `score` (how far off, in scales of the method), `expected` (what the values before it suggest) and `is_anomaly`
        (score beyond the threshold), each with `prefix`. Events come out in event-time order once the watermark has
        passed them. Values that are null or not finite are not judged and not remembered; scores are null until there
        are enough values. `method` is `zscore`, `hampel`, `ewma`, `seasonal` or `half_space_trees`.

        >>> import eventide as et
        >>> rows = [{"at": n * 1_000, "x": 50.0 if n == 9 else float(n % 3)} for n in range(12)]
        >>> stream = et.from_rows(rows, schema={"at": et.Instant, "x": float}).event_time("at", et.bounded("1s"))
        >>> judged = stream.anomaly("x", et.hampel(rows=5)).run(show=False).results
        >>> judged["is_anomaly"].arg_true().to_list()
        [9]
        """
        return self._with(Anomaly(column, method, self._keys("anomaly", by), prefix))

    def mark_peaks(self, column: str, *, jump: float, within: Duration, by: By = None, name: str = "is_peak") -> Stream:
        """Add a column that is true where a value stands alone: more than `jump` above or below both neighbours of its
        key, which differ by less than half of `jump` from each other and lie at most `within` away.

        A row waits until its next neighbour is known, at most `within` of event time. Windows behind it get the rows
        with their marks, so `.filter(~col("is_peak"))` removes a spike before it counts.
        """
        if self.plan.aggregate is not None:
            raise PlanError.of("mark_peaks", "it comes behind the windows", "Call mark_peaks before group_by")
        keys = self._keys("mark_peaks", by)
        return self._with(Peaks(column, number_of(jump, "jump"), positive_us(within, "within"), keys, name))

    def trend(self, column: str, *, to: float, rows: int = 20, by: By = None, prefix: str = "") -> Stream:
        """Add columns that say when a column will reach the value `to`, from the line through the key's last `rows`.

        `slope` (units of the column a second), `reaches_at` (the instant at which the fitted line meets `to`; null when
        the line is level or moves away) and `reaches_error` (one standard error of that instant), each with `prefix`.
        They are null until a key has three rows at two instants. Least squares over event time; the error by the delta
        method (Draper and Smith, Applied Regression Analysis, 3rd edition, section 3.2, inverse prediction).
        """
        return self._with(Trend(column, number_of(to, "to"), rows, self._keys("trend", by), prefix))

    def alert_rate(
        self, *, count: int, within: Duration, name: str, of: str | Sequence[str] = (), severity: Severity = "critical"
    ) -> Stream:
        """A further output, `name`: raised when `count` alerts of any keys were raised within the span `within` before
        an instant, cleared when they no longer are. `of` names the alerts that count (default: all).

        >>> import eventide as et
        >>> rows = [{"at": n * 1_000, "door": "ab"[n % 2], "open": n < 2} for n in range(9)]
        >>> doors = et.from_rows(rows, schema={"at": et.Instant, "door": str, "open": bool})
        >>> alerts = doors.event_time("at", et.ascending()).alert(et.col("open"), name="open", by="door")
        >>> alerts.alert_rate(count=2, within="5s", name="break_in").run(show=False)["break_in"]["count"].to_list()
        [2, 1]
        """
        wanted = names_of(of, "of")
        rate = AlertRate(name, count, positive_us(within, "within"), severity, wanted)
        return self._stream(replace(self.plan, rates=(*self.plan.rates, rate)))

    def _keys(self, where: str, by: By) -> tuple[str, ...]:
        """The keys of a step at this place of the sentence."""
        given = None if by is None else names_of(by, "by")
        plan = self.plan
        if plan.aggregate is not None:
            if given not in (None, plan.aggregate.keys):
                raise PlanError.of(where, f"by={by!r} differs from the keys of the windows", "Leave by= out")
            return plan.aggregate.keys
        if plan.derived is not None:
            raise PlanError.of(where, "it stands among the rows of a join", "Put it behind windows over the join")
        if plan.event_time is None:
            raise PlanError.of(
                where, "the stream has no event time, so its rows have no order", "Call event_time first"
            )
        if given is not None:
            return given
        return (plan.event_time.clock.key,) if isinstance(plan.event_time.clock, KeyClock) else ()

    def _with(self, step: Step) -> Stream:
        from eventide.plan.stream import Stream

        return Stream(self.plan)._with_step(step)

    def _stream(self, plan: Plan) -> Stream:
        from eventide.plan.stream import Stream

        return Stream(plan)
