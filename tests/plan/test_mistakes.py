"""What a user mistakes is told with its name, the value and the remedy, where it is written; nothing is left out silently."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

import eventide as et
from eventide import col

SCHEMA: dict[str, Any] = {"k": str, "at": et.Instant, "x": float}
ROWS = [{"k": "ab"[n % 2], "at": n * 1_000, "x": float(n % 5)} for n in range(20)]


def events(name: str = "rows") -> et.Stream:
    return et.from_rows(ROWS, schema=SCHEMA, name=name).event_time("at", et.bounded("2s"), max_future=None)


def windows() -> et.Stream:
    return events().group_by("k").window(et.tumbling("5s")).agg(n=et.count())


def wrong(value: object) -> Any:
    """A value of a kind that the types would refuse."""
    return value


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "key of a join": (lambda: events().join_asof(events("o"), on=wrong(3)), "on=3 are no names"),
    "no stream to join": (lambda: events().join_asof(wrong("o"), on="k"), "other='o' is not a stream"),
    "no table to enrich": (lambda: events().enrich(wrong({}), on="k"), "side={} is not a stream"),
    "refresh as text": (lambda: events().enrich(events("o"), on="k", refresh=wrong("1h")), "event time|refresh="),
    "columns in a list": (lambda: events().deduplicate(wrong(["k"]), within="1s"), "are no names of columns"),
    "keys in a list": (lambda: events().group_by(wrong(["k"])), "is not a name"),
    "alert without a name": (lambda: events().alert(col("x") > 1, name=wrong(None)), "name=None is not a name"),
    "keys of an alert": (lambda: events().alert(col("x") > 1, name="n", by=wrong(3)), "by=3"),
    "half an alert": (
        lambda: events().alert(col("x") > 1, name="n").alert_rate(count=wrong(2.5), within="1s", name="r"),
        "count=2.5 is not a whole number",
    ),
    "method as text": (lambda: events().anomaly("x", wrong("zscore")), "method='zscore' is not a method"),
    "method not called": (lambda: events().anomaly("x", wrong(et.hampel)), "is not a method"),
    "rows as text": (lambda: et.zscore(wrong("10")), "rows='10'"),
    "part of a row": (lambda: et.hampel(wrong(10.5)), "rows=10.5"),
    "threshold as text": (lambda: et.zscore(10, wrong("high")), "threshold='high' is not a number"),
    "endless values": (lambda: et.half_space_trees(0, float("inf")), "both finite"),
    "endless jump": (lambda: events().mark_peaks("x", jump=float("inf"), within="1s"), "jump=inf"),
    "no number to reach": (lambda: events().trend("x", to=float("nan")), "to=nan"),
    "rows of a trend": (lambda: events().trend("x", to=1, rows=wrong("5")), "rows='5'"),
    "early as text": (lambda: events().window(et.tumbling("5s"), early=wrong("1s")), "early='1s' is not a choice"),
    "completeness": (lambda: events().window(et.tumbling("5s"), completeness=wrong("no")), "completeness='no'"),
    "late rate as text": (lambda: et.adaptive(wrong("1%")), "late_rate='1%'"),
    "advice on text": (lambda: et.advise(wrong("a.csv")), "'a.csv' is not a stream"),
    "late rate of advice": (lambda: et.advise(events(), late_rate=wrong("1%")), "late_rate='1%'"),
    "clock of what if": (lambda: et.what_if(windows(), bound="1s", clock="key"), "clock='key' is not a clock"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistaken_argument_is_refused_with_its_name_and_value(name: str) -> None:
    write, said = MISTAKES[name]
    with pytest.raises((ValueError, et.PlanError), match=said):
        write()


@pytest.mark.parametrize("strategy", ["bounded", et.bounded])
def test_a_strategy_that_is_none_is_told_by_check(strategy: Any) -> None:
    with pytest.raises(et.PlanError, match=r"is not a strategy. Use et.bounded"):
        et.from_rows(ROWS, schema=SCHEMA).event_time("at", strategy).check()


@pytest.mark.parametrize(
    "side",
    [
        lambda s: s.alert(col("x") > 3, name="hot"),
        lambda s: s.absent("1s"),
        lambda s: s.anomaly("x", et.hampel(5)),
        lambda s: s.trend("x", to=3),
    ],
)
def test_alerts_and_scores_on_a_side_are_refused_and_not_forgotten(side: Callable[[et.Stream], et.Stream]) -> None:
    for made in (
        side(events()).join_asof(events("o"), on="k"),
        events().join_interval(side(events("o")), on="k", lower="0s", upper="1s"),
        side(events()).deduplicate("k", within="1s", merge=True),
    ):
        with pytest.raises(et.PlanError, match="stands on a stream that goes into a join"):
            made.check()


def test_an_alert_among_the_rows_of_a_join_is_refused_in_text_too() -> None:
    table = et.read_csv("r.csv", schema=SCHEMA, name="a"), et.read_csv("r.csv", schema=SCHEMA, name="b")
    left, right = (one.event_time("at", et.bounded("2s")) for one in table)
    tree = msgspec.yaml.decode(left.join_asof(right, on="k").to_yaml())
    tree["after"] = [{"alert": {"name": "hot", "when": "x > 3"}}]
    with pytest.raises(et.PlanError, match="among the rows of a join"):
        et.Stream.from_yaml(msgspec.yaml.encode(tree).decode()).check()


def test_empty_windows_are_refused_where_there_is_no_grid_and_taken_beside_lateness_and_early_results() -> None:
    timed = et.read_csv("r.csv", schema=SCHEMA).event_time("at", et.bounded("2s")).group_by("k")
    for window in (et.session("5s"), et.count_window(3), et.global_window()):
        with pytest.raises(et.PlanError, match='fill="empty" is for tumbling, sliding and calendar windows. Leave it'):
            timed.window(window, fill="empty").agg(n=et.count()).check()
    for early in (None, et.on_change(), et.every("1s")):
        taken = timed.window(et.tumbling("5s"), lateness="5s", early=early, fill="empty").agg(n=et.count())
        taken.check()
        assert "show as empty, final 5s behind their end" in str(taken.explain())


def plans() -> Iterator[et.Stream]:
    def read(name: str) -> et.Stream:
        return et.read_csv("r.csv", schema=SCHEMA, name=name).event_time(
            "at", et.bounded("2s"), clock=et.per_key("k", cap="1h")
        )

    counted = read("r").group_by("k").window(et.tumbling("5s"), lateness="5s", early=et.every("1s")).agg(n=et.count())
    alerts = counted.alert(col("n") > 1, name="n", cooldown="5s").alert_rate(count=2, within="1m", name="many", of="n")
    yield alerts.output("hi", lambda rows: rows.filter(col("n") > 3)).write(et.write_csv("o.csv"))
    scored = read("r").deduplicate("k", within="5s").anomaly("x", et.hampel(10), by="k")
    once = read("r").deduplicate("k", within="5s").alert(col("x") > 3, name="n", by="k")
    yield once.output("high", lambda rows: rows.filter(col("x") > 4))
    yield scored.mark_peaks("x", jump=3, within="5s").trend("x", to=5).absent("5s")
    joined = read("r").join_interval(read("o"), on="k", lower="-5s", upper="5s", how="outer")
    side = et.read_csv("s.csv", schema={"k": str, "place": str})
    yield joined.enrich(side, on="k", misses="unknown", refresh=et.every("1h"), version="version")


def parts(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a tree."""
    yield path
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in inner:
        yield from parts(value, (*path, name))


def damaged(tree: Any) -> Iterator[Any]:
    """The tree with other values, with misspelt and with missing names, one at a time."""
    for path in parts(tree):
        if not path:
            continue
        for value in (None, 3, "abc", "-5s", [], [[1]], {"a": 1}, True):
            made = copy.deepcopy(tree)
            at(made, path[:-1])[path[-1]] = value
            yield made
        if isinstance(path[-1], str):
            misspelt, missing = copy.deepcopy(tree), copy.deepcopy(tree)
            holder = at(misspelt, path[:-1])
            holder[path[-1] + "x"] = holder.pop(path[-1])
            at(missing, path[:-1]).pop(path[-1])
            yield from (misspelt, missing)


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def test_a_damaged_text_of_a_plan_is_told_as_a_problem_of_the_plan() -> None:
    """Whatever is wrong with the text, reading and checking it ends well or in a `PlanError`."""
    refused = 0
    for stream in plans():
        stream.check()
        et.Stream.from_yaml(stream.to_yaml()).check()
        for tree in damaged(msgspec.yaml.decode(stream.to_yaml())):
            try:
                made = et.Stream.from_yaml(msgspec.yaml.encode(tree).decode())
                made.check()
                made.explain()
            except et.PlanError:
                refused += 1
    assert refused > 500
