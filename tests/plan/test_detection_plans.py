"""Steps of detection in plans: checked, explained and written as text without loss."""

from __future__ import annotations

import pytest

import eventide as et
from eventide import col


def timed() -> et.Stream:
    rooms = et.read_csv("r.csv", schema={"room": str, "at": et.Instant, "heat": float})
    return rooms.event_time("at", et.bounded("2s"), clock=et.per_key("room", cap="1h"))


def full() -> et.Stream:
    marked = timed().mark_peaks("heat", jump=9, within="1m").filter(~col("is_peak")).absent("10m", severity="critical")
    scored = marked.anomaly("heat", et.zscore(), prefix="z_").anomaly("heat", et.hampel(30, 3.5), prefix="h_")
    scored = scored.anomaly("heat", et.ewma(0.1, least_scale=0.5), prefix="e_").trend("heat", to=40, rows=9)
    scored = scored.anomaly("heat", et.seasonal("1w", "30m", cycles=4), prefix="s_")
    scored = scored.anomaly("heat", et.half_space_trees(0, 50), prefix="t_")
    windows = scored.group_by("room").window(et.tumbling("5m")).agg(heat=col("heat").max())
    rung = windows.alert(col("heat") > 30, clear=col("heat") < 25, name="hot", severity="critical", cooldown="1h")
    return rung.alert_rate(count=3, within="10m", name="fire", of=["hot", "absent"]).write(et.notify("OPS"), "fire")


def test_text_gives_the_same_plan_back() -> None:
    stream = full()
    assert et.Stream.from_yaml(stream.to_yaml()).to_yaml() == stream.to_yaml()
    again = et.Stream.from_json(stream.to_json()).plan
    assert (again.after[0], again.after[2:]) == (stream.plan.after[0], stream.plan.after[2:])
    assert (repr(again.finish), again.rates, again.writes) == (
        repr(stream.plan.finish),
        stream.plan.rates,
        stream.plan.writes,
    )


def test_a_plan_names_its_outputs_and_is_sound() -> None:
    full().check()
    assert full().plan.outputs == ("results", "late", "dead_letters", "alerts", "fire")


def test_explain_says_all_that_changes_an_answer() -> None:
    said = full().explain()
    for part in (
        "is_peak: heat more than 9 off both neighbours within 1m, for each room",
        "absent (critical) for each room: raised after 10m of silence",
        "ZScore (rows 60, threshold 4, least_scale 0)",
        "Seasonal (period 7d, slot 30m, cycles 4, threshold 4, least_scale 0)",
        "when heat reaches 40, from the last 9 rows",
        "hot (critical) for each room: raised when heat > 30, cleared when heat < 25, not again within 1h",
        "fire (critical): raised at 3 alerts of hot, absent within 10m",
        "write       fire to notify OPS",
    ):
        assert part in said


def test_check_names_what_is_wrong_with_detection() -> None:
    wrong = timed().anomaly("room", et.zscore()).anomaly("heat", et.zscore()).alert(col("heat") + 1, name="x", by="q")
    windows = wrong.alert(col("none") > 1, name="x").group_by("room").window(et.tumbling("1m"), lateness="1m")
    stream = windows.agg(n=et.count()).alert_rate(count=1, within="1m", name="late", of="y")
    with pytest.raises(et.PlanError) as caught:
        stream.check()
    said = str(caught.value)
    for part in (
        "column 'room' is string, not a number",
        "the column 'score' is there already",
        "not a condition",
        "no column 'q' to go by",
        "'none'",
        "two alerts are named 'x'",
        "the name 'late' is taken",
        "there is no alert 'y'",
        "no window is ever corrected",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: et.read_csv("r.csv", schema={"a": int}).alert(col("a") > 1, name="x"), "no event time"),
        (lambda: windows().absent("1m"), "behind the windows"),
        (lambda: windows().mark_peaks("n", jump=1, within="1m"), "behind the windows"),
        (lambda: windows().alert(col("n") > 1, name="x", by="heat"), "differs from the keys"),
    ],
)
def test_what_stands_at_the_wrong_place_is_refused_at_once(make: object, said: str) -> None:
    with pytest.raises(et.PlanError, match=said):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: et.zscore(1), "2 to 10,000"),
        (lambda: et.hampel(threshold=0), "threshold"),
        (lambda: et.ewma(1.5), "alpha"),
        (lambda: et.seasonal("1d", "7h"), "slot"),
        (lambda: et.half_space_trees(1, 0), "low"),
        (lambda: timed().trend("heat", to=1, rows=2), "rows"),
        (lambda: timed().alert(col("heat") > 1, name="x", severity="loud"), "severity"),  # type: ignore[arg-type]
        (lambda: timed().absent("1m", time="lunch"), "time"),  # type: ignore[arg-type]
        (lambda: timed().alert_rate(count=0, within="1m", name="x"), "count"),
        (et.notify, "target"),
        (lambda: et.notify("OPS", queue=0), "queue"),
    ],
)
def test_bad_settings_are_refused_by_name(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]


def test_an_alert_inside_an_output_of_ones_own_is_refused() -> None:
    stream = timed().output("hot", lambda one: one.alert(col("heat") > 1, name="x"))
    with pytest.raises(et.PlanError, match="an alert of its own"):
        stream.check()


def windows() -> et.Stream:
    return timed().group_by("room").window(et.tumbling("1m")).agg(n=et.count())
