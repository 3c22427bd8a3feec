"""The laws of detection on drawn streams: equal to the reference, whatever the cuts, interleavings and restarts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from eventide.expressions import col, count
from eventide.plan import Absent, Alert, AlertRate, Anomaly, Input, OrderedStep, Peaks, Plan, Trend, WindowedAggregate
from eventide.semantics.detection import Ewma, Hampel, Seasonal, ZScore
from eventide.semantics.eventtime import Bounded, EventTime
from eventide.semantics.lateness import Lateness
from eventide.semantics.windows import Count, Session, Sliding, Window
from eventide.testing import laws, streams
from eventide.testing.reference import Entry, Query, reference
from eventide.testing.reference.detection import Row, critical, detect, on_time

QUIET = settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
MANNERS = (laws.Manner((1,)), laws.Manner((2, 5), 1, frozenset({1, 4, 7})), laws.Manner((3,), 1, frozenset({2})))
KEYS = st.sampled_from([(), ("key",), ("key", "flag")])


def alerts(by: tuple[str, ...]) -> st.SearchStrategy[Alert]:
    """Alerts on `n`, with and without a band and a rest."""
    cooldown = st.sampled_from([0, 0, 1, 7, 30])
    plain = st.builds(lambda level, rest: Alert("plain", col("n") > level, None, "info", rest, by), level(), cooldown)
    band = st.builds(
        lambda level, rest: Alert("band", col("n") > level, col("n") < level - 3, "critical", rest, by),
        level(),
        cooldown,
    )
    return st.one_of(plain, band)


def level() -> st.SearchStrategy[int]:
    return st.integers(-6, 6)


def scores(column: str, by: tuple[str, ...]) -> st.SearchStrategy[OrderedStep]:
    """Every step that adds columns."""
    few = st.integers(2, 5)
    methods = st.one_of(
        st.builds(ZScore, few, st.just(1.5)),
        st.builds(Hampel, few, st.just(1.5), st.sampled_from([0.0, 0.5])),
        st.builds(Ewma, st.sampled_from([0.1, 0.5]), st.just(1.5), few),
        st.builds(Seasonal, st.just(12), st.sampled_from([3, 4, 12]), few, st.just(1.5)),
    )
    return st.one_of(
        methods.map(lambda method: Anomaly(column, method, by)),
        st.builds(lambda jump, within: Peaks(column, float(jump), within, by), st.integers(1, 6), st.integers(1, 20)),
        st.builds(lambda to, rows: Trend(column, float(to), rows, by), st.integers(-20, 20), st.integers(3, 6)),
    )


def event_plan(settings: EventTime, steps: tuple[OrderedStep, ...], rates: tuple[AlertRate, ...] = ()) -> Plan:
    return Plan((Input(laws.Columns(streams.COLUMNS)),), event_time=settings, after=steps, rates=rates)


def conditions(step: Alert) -> Any:
    """The conditions of `alerts` in Python."""
    high = step.when.arguments[1].value  # type: ignore[attr-defined] # a call of `gt`

    def when(row: Any) -> bool | None:
        return None if row["n"] is None else row["n"] > high

    def clear(row: Any) -> bool | None:
        return None if row["n"] is None else row["n"] < high - 3

    return when, (None if step.clear is None else clear)


def shown(plan: Plan, entries: list[Entry], logs: tuple[str, ...], manner: laws.Manner) -> dict[str, list[str]]:
    """Every output, row by row, to the bit."""
    outputs = laws.plan_answer(plan, entries, streams.COLUMNS, logs, manner)
    return {name: [laws.bits(row) for row in laws.rows_of(frames)] for name, frames in outputs.items() if frames}


def same(plan: Plan, entries: list[Entry], logs: tuple[str, ...], wanted: Any, manners: Any) -> None:
    for manner in manners:
        got = shown(plan, entries, logs, manner)
        for name in wanted.keys() | got.keys():
            assert got.get(name) == wanted.get(name), (name, manner, plan.after, plan.finish)


def seen(outputs: Any, by: tuple[str, ...], names: list[str]) -> list[tuple[Any, ...]]:
    """Alerts as the reference writes them."""
    return [
        (row["at"], names.index(row["alert"]), tuple(row[key] for key in by), row["state"], row["since"])
        for row in laws.rows_of(outputs.get("alerts", []))
    ]


@QUIET
@given(streams.event_times(), KEYS, st.sampled_from([("one",), ("one", "two")]), st.data())
def test_alerts_and_silence_of_events_are_those_of_the_reference_in_every_manner(
    event_time: EventTime, by: tuple[str, ...], logs: tuple[str, ...], data: st.DataObject
) -> None:
    alert = data.draw(alerts(by))
    absent = Absent("absent", data.draw(st.integers(1, 15)), "warning", by)
    rate = AlertRate("critical", data.draw(st.integers(1, 3)), data.draw(st.integers(1, 20)))
    drawn = data.draw(streams.entries(logs, most=25))
    plan = event_plan(event_time, (alert, absent), (rate,))
    outputs = laws.plan_answer(plan, drawn, streams.COLUMNS, logs, laws.Manner((4, 1)))
    events, came = on_time(event_time, drawn, list(logs))
    wanted = detect(events, (alert, absent), {alert.name: conditions(alert)}, came)
    assert seen(outputs, by, [alert.name, "absent"]) == wanted.alerts
    raised = [at for at, _, _, state, _ in wanted.alerts if state == "raised"]
    turns = [(row["at"], row["state"], row["count"]) for row in laws.rows_of(outputs.get("critical", []))]
    last = events[-1].at if events else 0
    assert turns == critical(rate, raised, last, came)
    first = shown(plan, drawn, logs, laws.Manner())
    same(plan, drawn, logs, first, MANNERS)


@QUIET
@given(streams.event_times(), KEYS, st.data())
def test_scores_are_those_of_the_reference(event_time: EventTime, by: tuple[str, ...], data: st.DataObject) -> None:
    logs = ("one", "two")
    step = data.draw(scores("n", by))
    alert = data.draw(alerts(by))
    drawn = data.draw(streams.entries(logs, most=25))
    plan = event_plan(event_time, (step, alert))
    outputs = laws.plan_answer(plan, drawn, streams.COLUMNS, logs, laws.Manner((3,)))
    events, came = on_time(event_time, drawn, list(logs))
    found = detect(events, (step, alert), {alert.name: conditions(alert)}, came)
    rows = laws.rows_of(outputs.get("results", []))
    assert len(rows) == len(found.rows)
    for row, wanted in zip(rows, found.rows, strict=True):
        for name in row:
            assert alike(name, row[name], wanted.values[name]), (name, row, wanted.values, step)
    assert seen(outputs, by, ["score", alert.name]) == found.alerts


def alike(name: str, got: Any, wanted: Any) -> bool:
    if hasattr(got, "total_seconds"):
        got = round(got.total_seconds() * 1e6)
    if isinstance(got, bool) or got is None or isinstance(got, str):
        return bool(got == wanted) or name.startswith("is_")  # a score at its threshold may fall either way
    if name == "reaches_at":
        return wanted is not None and abs(got - wanted) <= 1
    far = 1e5  # where nothing moves, rounding decides between a large score and none
    return math.isclose(got, wanted, rel_tol=1e-6, abs_tol=2e-6) or min(abs(got), abs(wanted)) > far


@QUIET
@given(streams.event_times(), KEYS, st.data())
def test_scores_do_not_show_cuts_restarts_or_interleaving(
    event_time: EventTime, by: tuple[str, ...], data: st.DataObject
) -> None:
    logs = ("one", "two")
    first, second = data.draw(scores("x", by)), data.draw(scores("x", by))
    second = replace(second, prefix="b_") if isinstance(second, Anomaly | Trend) else replace(second, name="b")
    drawn = data.draw(streams.entries(logs, marks=False, most=25))
    plan = event_plan(event_time, (first, data.draw(alerts(by)), second))
    wanted = shown(plan, drawn, logs, laws.Manner())
    same(plan, drawn, logs, wanted, MANNERS)
    apart = [entry for log in ("two", "one") for entry in drawn if entry.log == log]
    other = shown(plan, apart, logs, laws.Manner())
    assert [other.get(name) for name in ("results", "alerts")] == [wanted.get(name) for name in ("results", "alerts")]


def by_key(alerts: list[tuple[Any, ...]]) -> dict[Any, list[tuple[Any, ...]]]:
    return {key: [alert for alert in alerts if alert[2] == key] for key in {alert[2] for alert in alerts}}


@QUIET
@given(
    st.sampled_from([Sliding(9, 9), Sliding(9, 3), Session(4), Count(3)]),
    streams.event_times(),
    st.sampled_from([Lateness(), Lateness("update", 8)]),
    st.data(),
)
def test_alerts_of_results_judge_final_rows_in_the_order_of_windows(
    window: Any, event_time: EventTime, lateness: Lateness, data: st.DataObject
) -> None:
    logs = ("one", "two")
    lateness = Lateness() if isinstance(window, Count) else lateness
    drawn = data.draw(streams.entries(logs, most=20))
    alert = Alert("many", col("n") > 1, None, "info", data.draw(st.sampled_from([0, 5])), ("key",))
    aggregate = WindowedAggregate(("key",), window, (("n", count()),), lateness)
    score = data.draw(scores("n", ("key",)).filter(lambda step: not isinstance(step, Peaks)))
    plan = Plan(
        (Input(laws.Columns(streams.COLUMNS)),), event_time=event_time, aggregate=aggregate, finish=(alert, score)
    )
    outputs = laws.plan_answer(plan, drawn, streams.COLUMNS, logs, laws.Manner((4, 1)))
    answer = reference(Query(event_time, ("key",), window, (("n", count()),), lateness), drawn, list(logs))
    final = [row for row in answer.results if row["final"] and row["op"] == "upsert"]
    final.sort(key=lambda row: (row["window_end"], row["window_start"], row["log"] or ""))
    rows = [Row(int(str(row["window_end"])), "", n, row) for n, row in enumerate(final)]
    found = detect(rows, (score, alert), {"many": (lambda row: row["n"] > 1, None)})
    got = [(at, 1, key, state, since) for at, _, key, state, since in seen(outputs, ("key",), ["many"])]
    assert by_key(got) == by_key(found.alerts)
    first = shown(plan, drawn, logs, laws.Manner())
    same(plan, drawn, logs, first, (*MANNERS, laws.Manner((3,), 3)))


@QUIET
@given(st.data())
def test_windows_behind_scores_and_alerts_of_both_do_not_show_cuts(data: st.DataObject) -> None:
    logs = ("one", "two")
    event_time = EventTime("at", Bounded(data.draw(st.integers(0, 10))), max_future_us=None)
    drawn = data.draw(streams.entries(logs, most=25))
    kinds: list[Window] = [Sliding(9, 9), Sliding(9, 3), Session(4), Count(2)]
    window = data.draw(st.sampled_from(kinds))
    before = data.draw(st.lists(scores("x", ("key",)), max_size=1))
    after = (*before, Absent("absent", 6, "info", ("key",)), data.draw(alerts(("key",))))
    aggregate = WindowedAggregate(("key",), window, (("n", count()), ("sum", col("x").sum())))
    many = Alert("many", col("n") > 1, None, "info", 0, ("key",))
    plan = Plan(
        (Input(laws.Columns(streams.COLUMNS)),),
        event_time=event_time,
        after=after,
        aggregate=aggregate,
        finish=(many,),
        rates=(AlertRate("critical", 2, 10),),
    )
    first = shown(plan, drawn, logs, laws.Manner())
    same(plan, drawn, logs, first, (*MANNERS, laws.Manner((3,), 2)))
