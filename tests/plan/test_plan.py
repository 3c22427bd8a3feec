"""Plans: checked all at once, explained, and written as text without loss."""

from __future__ import annotations

import pytest

import eventide as et
from eventide import col


def full() -> et.Stream:
    readings = et.read_csv(
        "r.csv",
        schema={"sensor": str, "at": et.Instant, "dose": et.field(float, minimum=0, thousands=",")},
        arrival="at",
        order=et.by_arrival("sensor"),
    )
    timed = readings.filter(col("dose").is_not_null()).event_time(
        "at", et.adaptive(0.01, max="2h"), clock=et.per_key("sensor", cap="3h"), max_age="3d", idle_after="5m"
    )
    windows = timed.with_columns(x=col("dose") * 2).group_by("sensor").window(et.sliding("5m", "1m"), lateness="1h")
    doses = windows.agg(mean=col("x").mean(), p=col("dose").quantile(0.9), n=et.count())
    alerts = doses.output("alerts", lambda d: d.filter(col("mean") > 3).write(et.write_csv("a.csv")))
    return alerts.write(et.write_duckdb("o.duckdb", "t"))


def test_yaml_and_json_give_the_same_plan_back() -> None:
    stream = full()
    assert et.Stream.from_yaml(stream.to_yaml()).to_yaml() == stream.to_yaml()
    assert et.Stream.from_json(stream.to_json()).to_json() == stream.to_json()
    assert et.Stream.from_yaml(stream.to_yaml()).explain() == stream.explain()


def test_a_plan_as_text_runs_like_the_one_in_python(tmp_path: object) -> None:
    stream = et.read_csv("examples/readings.csv", schema={"sensor": str, "at": et.Instant, "dose": float})
    doses = stream.event_time("at", et.bounded("2s")).group_by("sensor").window(et.tumbling("5m")).agg(n=et.count())
    again = et.Stream.from_yaml(doses.to_yaml())
    assert again.run(show=False).results.equals(doses.run(show=False).results)


def test_check_names_every_problem_with_its_remedy() -> None:
    stream = (
        et.from_rows([], schema={"a": int, "at": et.Instant}).filter(col("b") > 1).event_time("time", et.bounded("1s"))
    )
    wrong = (
        stream.group_by("q").window(et.count_window(3), lateness="1m").agg(final=et.count(), m=col("a").lower().mean())
    )
    with pytest.raises(et.PlanError) as caught:
        wrong.write(et.console(), "alarms").check()
    said = str(caught.value)
    for part in (
        "'b'",
        "'time'",
        "'q'",
        "count windows take no corrections",
        "'final' is taken",
        "lower",
        "no output 'alarms'",
    ):
        assert part in said
    assert len(caught.value.problems) == 7


def test_what_lives_in_python_only_is_refused_by_name() -> None:
    rows = et.from_rows([], schema={"at": et.Instant})
    with pytest.raises(et.PlanError, match="lives in Python only"):
        rows.to_yaml()
    with pytest.raises(et.PlanError, match="Python function"):
        et.read_csv("r.csv", schema={"a": int}).map_batches(lambda frame: frame).to_yaml()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eventide: 2", "eventide: 1"),
        ("eventide: 1", "'sources' is missing"),
        ("eventide: 1\nsources: []\nsurprise: 1", "unknown part 'surprise'"),
        ("a: [", "cannot be read"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_texts_that_are_no_plans_say_why(text: str, said: str) -> None:
    with pytest.raises(et.PlanError, match=said):
        et.Stream.from_yaml(text)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: et.tumbling("0s"), "size"),
        (lambda: et.bounded("5 parsecs"), "delay"),
        (lambda: et.tumbling("1d", timezone="Mars/Base"), "Mars/Base"),
        (lambda: et.adaptive(2.0), "late_rate"),
        (lambda: et.schema({"_x": int}), "underscore"),
        (lambda: et.field(str, minimum=1), "minimum"),
    ],
)
def test_bad_arguments_are_refused_at_once_by_name(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]
