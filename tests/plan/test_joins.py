"""Plans with copies and joins: checked all at once, explained, written as text without loss, run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.runners.embedded import Running
from eventide.testing import TestClock

TIME = et.field(et.Instant, unit="us")


def stream(name: str, **columns: type) -> et.Stream:
    schema = {"at": et.Instant, "device": str, **columns}
    return et.read_csv(f"{name}.csv", schema=schema).event_time("at", et.bounded("2s"), clock="log")


def rows(name: str, *given: Mapping[str, object], **columns: type) -> et.Stream:
    made = et.from_rows(list(given), schema={"at": TIME, "device": str, **columns}, name=name)
    return made.event_time("at", et.ascending(), max_future=None)


def sentences() -> list[et.Stream]:
    doses, rain = stream("doses", dose=float), stream("rain", mm=int)
    sites = stream("sites", place=str).with_columns(sensor=col("device").upper())
    return [
        doses.deduplicate("device", "at", within="1h").group_by("device").window(et.tumbling("5m")).agg(n=et.count()),
        doses.filter(col("dose") > 0).deduplicate("device", "at", within="1h", merge=True).with_columns(x=col("dose")),
        doses.join_interval(rain, on="device", lower="-5m", upper="5m", how="outer").filter(col("mm") > 1),
        doses.join_asof(rain.deduplicate("device", within="5m"), on=["device"], tolerance="1h").select("dose", "mm"),
        doses.join_asof(sites, on={"device": "sensor"}, how="inner", suffix="_2")
        .window(et.session("30s"))
        .agg(n=et.count())
        .write(et.console()),
    ]


@pytest.mark.parametrize("number", range(5))
def test_joins_travel_as_text_without_loss(number: int) -> None:
    sentence = sentences()[number]
    sentence.check()
    assert et.Stream.from_yaml(sentence.to_yaml()).to_yaml() == sentence.to_yaml()
    assert et.Stream.from_json(sentence.to_json()).explain() == sentence.explain()


def test_explain_says_what_waits_for_what() -> None:
    said = [sentence.explain() for sentence in sentences()]
    assert "deduplicate by device, at within 1h: the first of a log stays" in said[0]
    assert "merge       rows of one device, at up to 1h behind the first: one row" in said[1]
    assert "join        outer, on device: right rows from -5m to 5m of a left row's event time" in said[2]
    assert "  deduplicate by device within 5m" in said[3]
    assert "join        as of, on device = sensor: the last right row at or before a left one" in said[4]


WRONG: list[tuple[Callable[[], object], list[str]]] = [
    (
        lambda: stream("a").join_asof(stream("b"), on="devcie").check(),
        ["left: there is no column 'devcie'", "'device'?"],
    ),
    (lambda: stream("a").join_asof(stream("a"), on="device").check(), ["two sources are named 'a.csv'"]),
    (
        lambda: stream("a", n=int).join_interval(stream("b", n=str), on="n", lower="0s", upper="1s").check(),
        ["key 'n' is integer on the left and string on the right"],
    ),
    (
        lambda: stream("a", at_2=int).join_asof(stream("b"), on="device", suffix="_2").check(),
        ["two joined columns are named 'at_2'"],
    ),
    (lambda: stream("a").join_asof(stream("b"), on=[]).check(), ["it names no column"]),
    (
        lambda: (
            stream("a")
            .deduplicate("at", within="1m")
            .window(et.tumbling("1m"), lateness="1h")
            .agg(n=et.count())
            .check()
        ),
        ["within=1m is shorter than lateness=1h"],
    ),
    (lambda: stream("a").deduplicate("b", within="1m").check(), ["there is no column 'b'"]),
    (
        lambda: stream("a").join_asof(stream("b"), on="device").deduplicate("b", within="1m").check(),
        ["the derived stream, deduplicate: there is no column 'b'"],
    ),
    (
        lambda: stream("a").output("x", lambda s: s.deduplicate("device", within="1m")).check(),
        ["output x: it deduplicates by itself"],
    ),
    (
        lambda: stream("a").join_asof(et.read_csv("b.csv", schema={"device": str}), on="device"),
        ["one side has no event time"],
    ),
    (
        lambda: (
            stream("a").join_asof(stream("b"), on="device").join_asof(stream("b"), on="device", suffix="_2").check()
        ),
        ["two sources are named 'b.csv'"],
    ),
    (
        lambda: stream("a").window(et.tumbling("1m")).agg(n=et.count()).deduplicate("n", within="1m"),
        ["Call it in front of group_by"],
    ),
]


@pytest.mark.parametrize(("make", "said"), WRONG)
def test_wrong_sentences_are_refused_with_a_remedy(make: Callable[[], object], said: list[str]) -> None:
    with pytest.raises(et.PlanError) as caught:
        make()
    assert all(part in str(caught.value) for part in said), str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lower": "5m", "upper": "-5m"}, "lower=5m is above upper=-5m"),
        ({"lower": "0s", "upper": "5m", "how": "full"}, "how='full'"),
        ({"lower": "-40000000d", "upper": "5m"}, "longer than"),
    ],
)
def test_bad_bounds_are_refused_at_once(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stream("a").join_interval(stream("b"), on="device", **settings)  # type: ignore[arg-type] # wrong on purpose


def test_an_outer_join_says_who_is_alone_and_counts_every_row() -> None:
    left = rows("l", {"at": 1, "device": "x", "n": 1}, {"at": 9, "device": "x", "n": 2}, {"at": 3, "n": 3}, n=int)
    right = rows("r", {"at": 2, "device": "x", "m": 4}, {"at": 50, "device": "x", "m": 5}, m=int)
    out = left.join_interval(right, on="device", lower="0s", upper="3us", how="outer").run(show=False)
    assert sorted(out.results.select("device", "n", "m").rows(), key=str) == [
        ("x", 1, 4),
        ("x", 2, None),
        ("x", None, 5),
    ]
    assert out.late.select("_side", "n", "late_by").rows()[0][:2] == ("left", 3)  # at 3, behind 9
    assert str(out.accounting.total).startswith("5 received = 4 on time + 0 corrected + 1 late")


def test_windows_behind_a_join_count_pairs_by_the_later_time() -> None:
    left = rows("l", *({"at": at, "device": "x"} for at in (1, 8, 14)))
    right = rows("r", *({"at": at, "device": "x"} for at in (2, 9, 11)))
    joined = left.join_interval(right, on="device", lower="-3us", upper="3us")
    # pairs (1, 2) (8, 9) (8, 11) (14, 11): later times 2, 9, 11, 14
    out = joined.group_by("device").window(et.tumbling("10us")).agg(n=et.count(), last=col("at_right").last())
    found = out.run(show=False).results.select(
        pl.col("window_start").cast(pl.Int64), "n", pl.col("last").cast(pl.Int64)
    )
    assert found.rows() == [(0, 2, 9), (10, 2, 11)]


def test_keys_of_other_types_and_names_join_by_their_values(tmp_path: Path) -> None:
    time = pl.Series([1, 2]).cast(pl.Datetime("us", "UTC"))
    narrow = pl.DataFrame({"at": time, "k": pl.Series([1, 2], dtype=pl.Int32)})
    wide = pl.DataFrame({"at": time, "key": pl.Series([2, 1], dtype=pl.Int64)})
    left, right = (
        et.from_frame(frame, name=name).event_time("at", et.ascending(), max_future=None)
        for name, frame in (("narrow", narrow), ("wide", wide))
    )
    joined = left.join_interval(right, on={"k": "key"}, lower="-1us", upper="1us").write(
        et.write_csv(tmp_path / "o.csv")
    )
    results = joined.run(show=False, keep=["results"]).results
    assert results.columns == ["at", "k", "at_right"]
    assert sorted(results["k"]) == [1, 2]
    assert (tmp_path / "o.csv").read_text().count("\n") == 3


def test_an_output_leaves_a_deduplicated_stream_where_it_was_named() -> None:
    readings = rows("r", *({"at": 1, "device": "x"} for _ in range(3)))
    every = readings.output("every", lambda s: s.filter(col("device") == "x"))
    out = every.deduplicate("device", within="1s").output("once", lambda s: s.select("device")).run(show=False)
    assert (out["every"].height, out["once"].rows(), out.results.height) == (3, [("x",)], 1)
    assert out.accounting.total.duplicates == 2


def test_a_side_may_be_read_beforehand_for_the_perfect_strategy() -> None:
    given = [{"at": at, "device": "x"} for at in (9, 1, 5)]
    left, right = (
        et.from_rows(given, schema={"at": TIME, "device": str}, name=name).event_time("at", strategy, max_future=None)
        for name, strategy in (("l", et.perfect()), ("r", et.ascending()))
    )
    out = left.join_interval(right, on="device", lower="0s", upper="0s", how="left").run(show=False)
    # nothing is late on the left; on the right 1 and 5 are behind 9
    assert sorted(out.results["at_right"].cast(pl.Int64).to_list(), key=str) == [9, None, None]
    assert out.late["_side"].to_list() == ["right", "right"]


def test_a_silent_side_holds_windows_back_until_all_are_idle(clock: TestClock) -> None:
    schema = et.schema({"at": TIME, "device": str})
    sides = [et.Feed(schema, name=name) for name in ("l", "r")]
    for side in sides:
        side.send({"at": 5, "device": "x"})
    left, right = (
        et.from_rows(side).event_time("at", et.ascending(), max_future=None, idle_after="1s", close_when_idle=True)
        for side in sides
    )
    joined = (
        left.join_interval(right, on="device", lower="0s", upper="1s").window(et.tumbling("10us")).agg(n=et.count())
    )
    stop = threading.Event()
    seen: list[int] = []

    def look(running: Running) -> Callable[[], None]:
        def beat() -> None:
            if clock.time_us > started + 3_500_000:
                stop.set()

        return beat

    started = clock.time_us
    out = joined.write(et.call(lambda frame: seen.extend(frame["n"]))).run(
        show=False, clock=clock, stop=stop, observe=look
    )
    assert seen == [1]
    assert not out.finished
