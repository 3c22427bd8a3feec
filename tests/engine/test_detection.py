"""Detection case by case: what rings, what is silent, what is marked, and where every event went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.testing import TestClock, laws

SECOND = 1_000_000


def stream(rows: Sequence[tuple[str, int, float | None]], bound: str = "0s") -> et.Stream:
    """Rows of (key, second, value) in the order of their arrival."""
    made = [{"key": key, "at": at * 1_000, "x": x} for key, at, x in rows]
    return et.from_rows(made, schema={"key": str, "at": et.Instant, "x": float}).event_time("at", et.bounded(bound))


def told(out: et.Outcome, output: str = "alerts") -> list[tuple[int, str, str]]:
    """Alerts as (second, alert, state)."""
    rows = laws.rows_of([out[output]])
    return [(row["at"] // SECOND, row.get("alert", output), row["state"]) for row in rows]


def series(*values: float | None) -> et.Stream:
    return stream([("a", at, x) for at, x in enumerate(values)])


def test_an_alert_is_raised_once_and_cleared_once() -> None:
    out = series(0, 9, 9, 9, 0, 0, 9).alert(col("x") > 5, name="high").run(show=False)
    assert told(out) == [(1, "high", "raised"), (4, "high", "cleared"), (6, "high", "raised")]
    assert out.results.height == 7


def test_between_the_bounds_nothing_changes() -> None:
    out = series(9, 4, 9, 2, 4, 6).alert(col("x") > 5, clear=col("x") < 3, name="high").run(show=False)
    assert told(out) == [(0, "high", "raised"), (3, "high", "cleared"), (5, "high", "raised")]


def test_null_neither_raises_nor_clears() -> None:
    out = series(None, 9, None, 0).alert(col("x") > 5, name="high").run(show=False)
    assert told(out) == [(1, "high", "raised"), (3, "high", "cleared")]


def test_a_rest_counts_from_when_the_alert_was_raised_and_ends_at_its_last_microsecond() -> None:
    resting = series(9, 0, 9, 0, 9, 9).alert(col("x") > 5, name="high", cooldown="4s")
    wanted = [(0, "high", "raised"), (1, "high", "cleared"), (4, "high", "raised")]
    assert told(resting.run(show=False)) == wanted
    assert all(told(resting.run(show=False, rows_max=rows)) == wanted for rows in (1, 2))


def test_keys_ring_for_themselves_and_an_alert_says_for_which_and_why() -> None:
    out = stream([("a", 0, 9), ("b", 1, 8), ("a", 2, 1)]).alert(col("x") > 5, name="high", by="key").run(show=False)
    assert out["alerts"]["key"].to_list() == ["a", "b", "a"]
    assert out["alerts"]["values"].to_list() == ['{"x":9.0}', '{"x":8.0}', '{"x":1.0}']
    assert out["alerts"]["since"].to_list()[2] == out["alerts"]["at"].to_list()[0]


def test_an_alarm_that_arrives_behind_a_newer_all_clear_does_not_ring() -> None:
    in_order = stream([("a", 1, 9), ("a", 2, 0), ("a", 9, 0)], "5s").alert(col("x") > 5, name="high", by="key")
    swapped = stream([("a", 2, 0), ("a", 1, 9), ("a", 9, 0)], "5s").alert(col("x") > 5, name="high", by="key")
    other_key = stream([("b", 2, 0), ("a", 1, 9), ("a", 9, 0)], "5s").alert(col("x") > 5, name="high", by="key")
    assert told(in_order.run(show=False)) == [(1, "high", "raised"), (2, "high", "cleared")]
    assert told(swapped.run(show=False)) == []
    assert told(other_key.run(show=False)) == [(1, "high", "raised"), (9, "high", "cleared")]


def test_an_alarm_behind_the_watermark_is_late_and_does_not_ring() -> None:
    out = stream([("a", 9, 0), ("a", 1, 9)], "5s").alert(col("x") > 5, name="high").run(show=False)
    assert told(out) == []
    assert out.late["x"].to_list() == [9]


def test_alerts_come_in_the_order_of_event_time_not_of_arrival() -> None:
    rows = [("a", 3, 9), ("b", 1, 9), ("a", 0, 9), ("b", 9, 0)]
    alerts = stream(rows, "5s").alert(col("x") > 5, name="high", by="key").alert(col("x") > 8, name="very", by="key")
    assert told(alerts.run(show=False)) == [
        (0, "high", "raised"),
        (0, "very", "raised"),
        (1, "high", "raised"),
        (1, "very", "raised"),
        (9, "high", "cleared"),
        (9, "very", "cleared"),
    ]


def test_a_result_rings_by_its_final_row_when_a_correction_changes_the_verdict() -> None:
    rows = [("a", 0, 9.0), ("a", 12, 0.0), ("a", 1, 1.0), ("a", 40, 0.0)]
    windows = stream(rows).group_by("key").window(et.tumbling("10s"), lateness="20s").agg(mean=col("x").mean())
    out = windows.alert(col("mean") > 6, name="first").alert(col("mean") > 4, name="final").run(show=False)
    assert out.results.filter(pl.col("window_end").dt.epoch("s") == 10)["mean"].to_list() == [9.0, 5.0, 5.0]
    assert told(out) == [(10, "final", "raised"), (20, "final", "cleared")]


def test_a_silent_key_is_missed_when_the_watermark_says_so_and_found_again() -> None:
    rows = [("a", 0, 1), ("b", 0, 1), ("a", 5, 1), ("a", 11, 1), ("b", 12, 1), ("a", 14, 1)]
    out = stream(rows).absent("10s", by="key").run(show=False)
    assert told(out) == [(10, "absent", "raised"), (12, "absent", "cleared")]
    assert out["alerts"]["key"].unique().to_list() == ["b"]


def test_an_event_at_the_very_end_of_the_span_breaks_the_silence() -> None:
    assert told(stream([("a", 0, 1), ("a", 10, 1)]).absent("10s", by="key").run(show=False)) == []


def test_the_end_of_the_input_makes_nobody_silent() -> None:
    out = stream([("a", 0, 1), ("b", 8, 1)]).absent("5s", by="key").run(show=False)
    assert told(out) == [(5, "absent", "raised")]


def test_rows_that_a_filter_leaves_out_still_say_how_late_it_is() -> None:
    out = stream([("a", 0, 1), ("b", 20, -1)]).filter(col("x") > 0).absent("10s", by="key").run(show=False)
    assert told(out) == [(10, "absent", "raised")]


def test_silence_by_the_wall_clock_is_marked_as_such(clock: TestClock) -> None:
    plan = stream([]).absent("10s", by="key", time="processing", name="quiet").plan
    pipeline = Pipeline.of(plan)
    rows = pl.DataFrame({"key": ["a", "b"], "at": [5, 6], "x": [1.0, 2.0], OFFSET: [0, 1], ARRIVAL: [None, None]})
    rows = rows.cast({"at": INSTANT, ARRIVAL: INSTANT})
    assert pipeline.read_clock(clock.now_us()) == {}
    assert "alerts" not in pipeline.process(Batch("log", rows))
    clock.advance("10s")
    assert pipeline.read_clock(clock.now_us()) == {}
    clock.advance("1us")
    found = pipeline.read_clock(clock.now_us())["alerts"][0]
    assert found["key"].sort().to_list() == ["a", "b"]
    assert found["clock"].unique().to_list() == ["processing"]
    restored = Pipeline.of(plan)
    restored.restore(Snapshot.from_files(pipeline.snapshot().to_files()))
    restored.read_clock(clock.now_us())
    again = restored.process(Batch("log", rows.head(1).with_columns(pl.lit(7, dtype=pl.Int64).alias(OFFSET))))
    assert again["alerts"][0].select("key", "state").rows() == [("a", "cleared")]


def test_critical_when_enough_alerts_of_any_keys_fall_into_the_span() -> None:
    rows = [("a", 0, 9), ("b", 1, 9), ("c", 3, 9), ("a", 4, 0), ("a", 20, 9), ("b", 30, 0)]
    rung = stream(rows).alert(col("x") > 5, name="high", by="key").alert_rate(count=3, within="4s", name="storm")
    out = rung.run(show=False)
    assert told(out, "storm") == [(3, "storm", "raised"), (4, "storm", "cleared")]
    assert out["storm"]["count"].to_list() == [3, 2]


def test_only_the_alerts_named_make_it_critical() -> None:
    both = series(9, 9).alert(col("x") > 5, name="high").alert(col("x") > 8, name="very")
    assert told(both.alert_rate(count=2, within="9s", name="storm").run(show=False), "storm") == [
        (0, "storm", "raised")
    ]
    assert told(both.alert_rate(count=2, within="9s", name="storm", of="high").run(show=False), "storm") == []


def test_a_spike_is_marked_and_removed_before_it_counts() -> None:
    marked = series(1, 1, 50, 1, 1, 50, 50, 1).mark_peaks("x", jump=10, within="5s", by="key")
    assert marked.run(show=False).results["is_peak"].arg_true().to_list() == [2]
    windows = marked.filter(~col("is_peak")).group_by("key").window(et.tumbling("4s"))
    out = windows.agg(high=col("x").max(), n=et.count()).run(show=False)
    assert out.results.select("high", "n").rows() == [(1.0, 3), (50.0, 4)]
    assert out.accounting.total.filtered == 1
    assert out.accounting.total.closes


def test_a_crest_between_neighbours_that_differ_is_no_spike() -> None:
    assert series(1, 50, 30).mark_peaks("x", jump=10, within="5s").run(show=False).results["is_peak"].any() is False


def test_a_neighbour_too_far_away_says_nothing() -> None:
    rows = [("a", 0, 1.0), ("a", 1, 50.0), ("a", 9, 1.0)]
    assert stream(rows).mark_peaks("x", jump=10, within="5s").run(show=False).results["is_peak"].any() is False


def test_scores_follow_their_formulas() -> None:
    past, x = [1.0, 2.0, 3.0, 4.0, 100.0], 7.0
    z = series(*past, x).anomaly("x", et.zscore(5, 3.0)).run(show=False).results.row(-1, named=True)
    assert z["expected"] == pytest.approx(22.0)
    assert z["score"] == pytest.approx((7 - 22) / math.sqrt((21**2 + 20**2 + 19**2 + 18**2 + 78**2) / 4))
    robust = series(*past, x).anomaly("x", et.hampel(5, 3.0)).run(show=False).results.row(-1, named=True)
    assert (robust["expected"], robust["score"]) == (3.0, pytest.approx((7 - 3) / 1.4826))
    smooth = series(1, 3, x).anomaly("x", et.ewma(0.5, 3.0, warmup=2)).run(show=False).results.row(-1, named=True)
    assert (smooth["expected"], smooth["score"]) == (2.0, pytest.approx((7 - 2) / math.sqrt(0.5 * 0.5 * 2**2)))
    hours = series(1, 50, 2, 51, 3, 52, 4, 7).anomaly("x", et.seasonal("2s", "1s", cycles=3, threshold=3.0))
    assert hours.run(show=False).results["expected"].to_list()[-2:] == [2.0, 51.0]


def test_values_that_are_no_numbers_are_neither_judged_nor_remembered() -> None:
    out = series(1, None, 2, math.nan, 3, math.inf, 9).anomaly("x", et.zscore(3, 2.0)).run(show=False)
    assert out.results["score"].to_list() == [None] * 6 + [7.0]
    assert out.results["expected"].to_list()[-1] == 2.0


def test_where_nothing_moves_only_a_least_scale_keeps_small_steps_quiet() -> None:
    still = [5.0] * 6 + [5.01]
    loud = series(*still).anomaly("x", et.hampel(5)).run(show=False).results
    calm = series(*still).anomaly("x", et.hampel(5, least_scale=0.1)).run(show=False).results
    assert loud["is_anomaly"].to_list()[-1] is True
    assert calm["is_anomaly"].any() is False
    assert calm["score"].to_list()[-2] == 0.0


def test_a_line_says_when_it_reaches_a_value() -> None:
    out = series(0, 2, 4, 6).trend("x", to=10, rows=4).run(show=False).results
    last = laws.rows_of([out])[-1]
    assert (last["slope"], last["reaches_at"]) == (2.0, 5 * SECOND)
    assert last["reaches_error"].total_seconds() == 0
    away = series(4, 3, 2, 1).trend("x", to=10, rows=4).run(show=False).results
    assert away["reaches_at"].to_list() == [None] * 4


def test_the_error_of_a_line_is_that_of_the_textbook() -> None:
    """Times -3 to 0 s, values 0 1 1 2: slope 0.6, line 1.9 at the newest, rests -0.1 0.3 -0.3 0.1, noise 0.2 / 2."""
    row = laws.rows_of([series(0, 1, 1, 2).trend("x", to=4.9, rows=4).run(show=False).results])[-1]
    ahead = (4.9 - 1.9) / 0.6
    error = math.sqrt(0.1 * (1 / 4 + (ahead + 1.5) ** 2 / 5)) / 0.6
    assert row["reaches_at"] == pytest.approx((3 + ahead) * SECOND, abs=1)
    assert row["reaches_error"].total_seconds() == pytest.approx(error, abs=1e-6)


def test_results_are_scored_when_they_are_final() -> None:
    rows = [("a", at, float(at % 3) if at != 8 else 50.0) for at in range(12)]
    windows = stream(rows).group_by("key").window(et.tumbling("1s"), early=et.on_change()).agg(x=col("x").max())
    out = windows.anomaly("x", et.hampel(5)).alert(col("is_anomaly"), name="odd").run(show=False)
    assert told(out) == [(9, "odd", "raised"), (10, "odd", "cleared")]
    assert out.results.filter(~pl.col("final"))["score"].null_count() == out.results.filter(~pl.col("final")).height


def test_an_output_of_ones_own_takes_scores_along() -> None:
    judged = series(1, 2, 1, 2, 1, 9).anomaly("x", et.hampel(5))
    out = judged.output("odd", lambda one: one.filter(col("is_anomaly")).select("x", "score")).run(show=False)
    assert out["odd"]["x"].to_list() == [9]
    assert out.results.height == 6


def test_key_clocks_let_events_go_when_every_key_has_passed_them() -> None:
    rows = [("a", 0, 9), ("b", 50, 9), ("a", 1, 0), ("b", 60, 0)]
    made = [{"key": key, "at": at * 1_000, "x": x} for key, at, x in rows]
    read = et.from_rows(made, schema={"key": str, "at": et.Instant, "x": float})
    timed = read.event_time("at", et.ascending(), clock=et.per_key("key", cap="1h"))
    out = timed.alert(col("x") > 5, name="high").run(show=False)
    assert out["alerts"].select("key", "state").rows() == [
        ("a", "raised"),
        ("a", "cleared"),
        ("b", "raised"),
        ("b", "cleared"),
    ]


def test_alerts_go_to_any_sink(tmp_path: Any) -> None:
    path = tmp_path / "alerts.csv"
    series(0, 9).alert(col("x") > 5, name="high").write(et.write_csv(path), "alerts").run(show=False)
    assert "high,warning,raised" in path.read_text()


def test_trees_of_another_library_go_on_after_a_restart_as_if_nothing_had_been() -> None:
    values = [float((n * 37) % 11) for n in range(300)] + [49.0]
    plan = series(*values).anomaly("x", et.half_space_trees(0, 50, window=60, threshold=0.9)).plan
    rows = pl.DataFrame({"key": "a", "at": range(301), "x": values, OFFSET: range(301), ARRIVAL: None})
    rows = rows.cast({"at": INSTANT, ARRIVAL: INSTANT, OFFSET: pl.Int64})
    first, second = Pipeline.of(plan), Pipeline.of(plan)
    whole = [*first.process(Batch("log", rows))["results"], *first.finish("log")["results"]]
    cut: list[pl.DataFrame] = []
    for start in range(0, 301, 43):
        cut += second.process(Batch("log", rows.slice(start, 43)))["results"]
        files = second.snapshot().to_files()
        second = Pipeline.of(plan)
        second.restore(Snapshot.from_files(files))
    cut += second.finish("log")["results"]
    assert pl.concat(cut).equals(pl.concat(whole))
    assert pl.concat(whole)["is_anomaly"].arg_true().to_list()[-1:] == [300]
