"""The monitor: what it counts is what a person would count, and cuts and restarts do not show."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import polars as pl
import pytest

import eventide as et
from eventide.engine.monitor import Measured, Monitor
from eventide.engine.monitor.monitor import EVERY_EVENTS, STRIDE_EVENTS
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.runners.embedded import Running

SECOND = 1_000_000
SCHEMA = et.schema({"device": str, "at": et.Instant})
WEEKS_1024 = 1_024 * 7 * 86_400 * SECOND


def pipeline(strategy: object = None, **settings: object) -> Pipeline:
    timed = et.from_rows([], schema=SCHEMA).event_time("at", strategy or et.bounded("2s"), **settings)  # type: ignore[arg-type]
    return Pipeline.of(timed.group_by("device").window(et.tumbling("10s")).agg(n=et.count()).plan)


def rows(events: Sequence[tuple[str | None, int, int]], first: int = 0) -> pl.DataFrame:
    """Rows of (device, event time, arrival) in microseconds."""
    devices, times, arrivals = zip(*events, strict=True)
    return pl.DataFrame(
        {
            "device": pl.Series(devices, dtype=pl.String),
            "at": pl.Series(times, dtype=pl.Int64).cast(INSTANT),
            OFFSET: range(first, first + len(events)),
            ARRIVAL: pl.Series(arrivals, dtype=pl.Int64).cast(INSTANT),
        }
    )


def measured(made: Pipeline) -> Measured:
    found = made.measured()
    assert found is not None
    return found


def put(made: Pipeline, events: Sequence[tuple[str | None, int, int]], size: int) -> None:
    for start in range(0, len(events), size):
        made.process(Batch("log", rows(events[start : start + size], start)))


def disorder(events: int, seed: int = 5) -> list[tuple[str | None, int, int]]:
    draw = random.Random(seed)
    made: list[tuple[str | None, int, int]] = []
    for number in range(events):
        time = number * 10_000 - int(draw.expovariate(1 / 300_000)) * (draw.random() < 0.3)
        made.append((draw.choice(["a", "b", "c", None]), time + 100 * SECOND, number * 10_000 + 100 * SECOND + 500))
    return made


def test_counts_displacement_and_lateness_are_those_of_arithmetic() -> None:
    events = [("a", 10, 11), ("b", 14, 15), ("a", 11, 16), ("b", 20, 20), ("b", 9, 21)]
    made = pipeline()
    put(made, [(key, time * SECOND, arrival * SECOND) for key, time, arrival in events], 2)
    out = measured(made)
    log = out.logs.row(0, named=True)
    # watermarks before: none, 8, 12, 12, 18; fronts before: none, 10, 14, 14, 20
    assert (log["events"], log["behind"], log["late_rate"]) == (5, 2, 0.4)
    assert log["behind_max"].total_seconds() == 9
    displacement = out.histogram.filter(pl.col("measure") == "displacement")
    assert displacement["n"].to_list() == [3, 1, 1]
    for row, seconds in zip(displacement.tail(2).iter_rows(named=True), (3, 11), strict=True):
        assert row["above"].total_seconds() < seconds <= row["upto"].total_seconds() < 1.02 * seconds
    assert log["front"].timestamp() == 20
    assert log["lag"].total_seconds() == 21 - 18
    assert out.keys.select("device", "events", "behind").rows() == [("b", 3, 1), ("a", 2, 1)]
    assert out.keys["share"].to_list() == pytest.approx([11 / 14, 3 / 14])


@pytest.mark.parametrize("size", [1, 997, 40_000])
def test_cuts_and_restarts_do_not_show(size: int) -> None:
    events = disorder(EVERY_EVENTS + 5_000)[-(1_000 if size == 1 else 10**9) :]
    whole, cut = pipeline(), pipeline()
    put(whole, events, len(events))
    half = len(events) // 2 // size * size
    put(cut, events[:half], size)
    files = cut.snapshot().to_files()
    cut = pipeline()
    cut.restore(Snapshot.from_files(files))
    for start in range(half, len(events), size):
        cut.process(Batch("log", rows(events[start : start + size], start)))
    one, two = measured(whole), measured(cut)
    assert str(one) == str(two)
    for name in ("logs", "keys", "histogram", "suspects"):
        assert getattr(one, name).equals(getattr(two, name)), name


def test_behind_the_first_events_every_251st_stands_for_251() -> None:
    events = disorder(EVERY_EVENTS + 20_000)
    made = pipeline()
    put(made, events, 7_777)
    front, expected, behind = 0, 0, 0
    for number, (_, time, _) in enumerate(events):
        if number < EVERY_EVENTS or number % STRIDE_EVENTS == 0:
            expected += (1 if number < EVERY_EVENTS else STRIDE_EVENTS) * (front - time > 500_000)
        behind += time < front - 2 * SECOND
        front = max(front, time)
    out = measured(made)
    counted = out.histogram.filter(
        (pl.col("measure") == "displacement") & (pl.col("above") >= pl.duration(seconds=0.5))
    )
    edge = out.histogram.filter(
        (pl.col("measure") == "displacement")
        & (pl.col("above") < pl.duration(seconds=0.5))
        & (pl.col("upto") >= pl.duration(seconds=0.5))
    )
    least = sum(counted["n"])
    assert least <= expected <= least + sum(edge["n"])
    assert out.logs["behind"].to_list() == [behind]


@pytest.mark.parametrize("size", [700, 5_000])
def test_events_that_all_run_behind_for_longer_than_a_stride_are_measured_from_the_front(size: int) -> None:
    in_order = [("a", (1_000 + number) * SECOND, (1_000 + number) * SECOND) for number in range(EVERY_EVENTS)]
    _, front, now = in_order[-1]
    strides = 8
    behind = [("b", front - 500 * SECOND + number, now) for number in range(strides * STRIDE_EVENTS)]
    made = pipeline()
    put(made, [*in_order, *behind], size)
    far = measured(made).histogram.filter(
        (pl.col("measure") == "displacement") & (pl.col("upto") > pl.duration(hours=0))
    )
    first = -EVERY_EVENTS % STRIDE_EVENTS
    looked_at = len(range(first, len(behind), STRIDE_EVENTS))
    assert far["n"].to_list() == [looked_at * STRIDE_EVENTS]
    assert far["above"][0].total_seconds() < 500 <= far["upto"][0].total_seconds() + 0.01


def test_wrong_clocks_are_named_with_what_is_wrong_with_them() -> None:
    hour = 3_600 * SECOND
    start = 3_000_000_000 * SECOND
    events: list[tuple[str | None, int, int]] = []
    for number in range(60):
        now = start + number * 60 * SECOND
        for device, error in (
            ("right", SECOND),
            ("slow", hour),
            ("fast", -5 * SECOND),
            ("rolled", WEEKS_1024 + SECOND),
        ):
            events.append((device, now - error, now))
        events += [(f"good-{number % 3}", now - SECOND, now), ("far", now + 2 * hour, now)]
    made = pipeline(max_future="1h")
    put(made, events, 50)
    found = {(row["who"], row["kind"]): row for row in measured(made).suspects.iter_rows(named=True)}
    assert set(found) == {
        ("device=slow", "offset"),
        ("device=fast", "ahead"),
        ("device=rolled", "rollover"),
        ("device=far", "ahead"),
    }
    assert found["device=slow", "offset"]["offset"].total_seconds() == 3_600
    assert found["device=fast", "ahead"]["offset"].total_seconds() == -5
    assert "1,024 weeks" in found["device=rolled", "rollover"]["reason"]
    assert found["device=far", "ahead"]["events"] == 60


def test_skew_between_logs_and_idle_logs_are_seen() -> None:
    made = pipeline(idle_after="1m")
    made.process(Batch("one", rows([("a", 50 * SECOND, 50 * SECOND)])))
    made.process(Batch("two", rows([("a", 20 * SECOND, 50 * SECOND)])))
    made.declare_idle("two")
    out = measured(made)
    assert [skew.total_seconds() for skew in out.logs["skew"]] == [0, 30]
    assert out.logs["idle"].to_list() == [False, True]


def test_an_outcome_and_a_running_pipeline_tell_their_lateness() -> None:
    seen: list[int] = []

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            assert running.lateness is not None
            seen.append(sum(running.lateness.logs["events"]))

        return beat

    events = [{"device": "a", "at": number * 1_000} for number in range(10)]
    stream = et.from_rows(events, schema=SCHEMA).event_time("at", et.adaptive(0.01))
    out = stream.run(show=False, rows_max=4, observe=observe)
    assert out.lateness.logs["events"].to_list() == [10]
    assert out.lateness.logs["wanted_rate"].to_list() == [0.01]
    assert seen[-1] == 10
    assert et.from_rows(events, schema=SCHEMA).run(show=False).lateness is None


def test_more_keys_than_are_kept_leave_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventide.engine.monitor.tally.KEYS_KEPT", 4)
    monkeypatch.setattr("eventide.engine.monitor.tally.FOLD_SAMPLES", 64)
    events = [(f"d{number}", (100 - number) * SECOND, 100 * SECOND) for number in range(64)]
    made = pipeline()
    assert made.door is not None
    assert isinstance(made.door.monitor, Monitor)
    put(made, events, 10)
    assert measured(made).keys["device"].to_list() == ["d63", "d62", "d61", "d60"]


@pytest.mark.parametrize("name", ["log", "events", "t", "weight", "front", "bucket", "n", "displacement_p50"])
def test_a_key_may_have_any_name(name: str) -> None:
    schema = et.schema({name: str, "at": et.Instant})
    events = [{name: "x" if number % 2 else None, "at": number * 1_000} for number in range(20)]
    timed = et.from_rows(events, schema=schema).event_time("at", et.bounded("1s"))
    out = timed.group_by(name).window(et.tumbling("5s")).agg(total=et.count()).run(show=False)
    assert out.lateness.keys["events"].to_list() == [10, 10]
    assert out.lateness.keys.height == 2


def test_each_stream_of_a_join_is_measured() -> None:
    def side(name: str, times: list[int]) -> et.Stream:
        rows = [{name: "a", "at": at} for at in times]
        read = et.from_rows(rows, schema={name: str, "at": et.field(et.Instant, unit="s")}, name=name)
        return read.event_time("at", et.bounded("1s"), clock=et.per_key(name, cap="1h"), max_future=None)

    joined = side("doors", [10, 20, 15]).join_asof(side("lamps", [5, 9]), on={"doors": "lamps"})
    measured = joined.run(show=False).lateness
    assert measured is not None
    assert measured.logs.select("log", "events", "behind").rows() == [("doors", 3, 1), ("lamps", 2, 0)]
    assert {"doors", "lamps"} <= set(measured.keys.columns)
