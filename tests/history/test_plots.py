"""Pictures of an outcome show what the outcome holds; values in notebooks are escaped."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.connectors.simulate import simulate
from eventide.history.plots import Plots

ROOT = Path(__file__).resolve().parents[2]
NASTY = "<script>alert('x')</script>"


def doses(clock: object = "log", **settings: Any) -> et.Outcome:
    readings = et.Stream.from_source(simulate(devices=12, duration="12h"))
    timed = readings.event_time("captured", et.bounded("5m"), clock=clock, max_age="365d")  # type: ignore[arg-type]
    windows = timed.group_by("device").window(et.tumbling("15m"), lateness="30m", **settings)
    out: et.Outcome = windows.agg(mean=col("dose").mean(), n=et.count()).run(show=False)
    return out


@pytest.fixture(scope="module")
def out() -> et.Outcome:
    return doses()


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_time_draws_every_late_event_and_the_watermark_of_the_log(out: et.Outcome) -> None:
    figure = out.plot.time()
    total = out.accounting.total
    assert total.late > 50
    assert f"late ({total.late:,})" in legend(figure)
    assert "watermark of the log" in legend(figure)
    assert figure.axes[0].get_title("left").startswith(f"Of {total.received:,} events {total.late:,} came too late")
    line = figure.axes[0].get_lines()[0]
    assert list(line.get_xdata()) == sorted(line.get_xdata())


def test_with_key_clocks_the_line_is_the_front(out: et.Outcome) -> None:
    assert "front of the log" in legend(doses(et.per_key("device", cap="2h")).plot.time())


def test_lateness_counts_every_sampled_event_by_key(out: et.Outcome) -> None:
    axes = out.plot.lateness().axes[0]
    drawn = sum(patch.get_height() for patch in axes.patches)
    assert drawn == out.sample.height
    assert legend(axes.figure)[-1] == "all others"
    assert len(legend(axes.figure)) == 7


def test_windows_marks_the_revised_windows_of_a_key(out: et.Outcome) -> None:
    revised = out.results.filter(pl.col("revision") > 0)
    device = revised["device"][0]
    expected = revised.filter(pl.col("device") == device)["window_start"].n_unique()
    figure = out.plot.windows(device, "mean")
    word = "window" if expected == 1 else "windows"
    assert f"corrected later ({expected} {word})" in legend(figure)
    late = out.late.filter(pl.col("device") == device).height
    assert f"late events ({late:,})" in legend(figure)
    drawn = sum(len(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_marker() == ".")
    assert drawn == out.final().filter(pl.col("device") == device).height


def test_completeness_counts_first_results_that_held_everything(out: et.Outcome) -> None:
    rows = out.results.group_by("device", "window_start", maintain_order=True).agg(
        pl.col("n").first().alias("first"), pl.col("n").last().alias("last")
    )
    whole = rows.filter(pl.col("first") == pl.col("last")).height
    assert 0 < whole < rows.height
    title = out.plot.completeness().axes[0].get_title("left")
    assert title == f"{whole:,} of {rows.height:,} windows were complete in their first result"


def test_completeness_is_drawn_against_what_results_said(out: et.Outcome) -> None:
    said = out.results.with_columns(pl.lit(0.9).alias("completeness"))
    changed = et.Outcome({**out.outputs, "results": said}, out.accounting, True, None, 1, out.pipeline)
    assert "completeness said" in Plots(changed).completeness().axes[0].get_xlabel()


def test_pictures_show_themselves_in_a_notebook(out: et.Outcome) -> None:
    assert out.plot.time()._repr_png_().startswith(b"\x89PNG")


def test_pictures_that_cannot_be_drawn_say_what_is_missing(out: et.Outcome) -> None:
    with pytest.raises(et.EventideError, match="no result of"):
        out.plot.windows("nobody")
    rows = [{"k": "a", "at": 0, "x": 1.0}]
    stream = et.from_rows(rows, schema={"k": str, "at": et.Instant, "x": float}).event_time("at", et.ascending())
    without = stream.group_by("k").window(et.tumbling("1s")).agg(s=col("x").sum()).run(show=False)
    with pytest.raises(et.EventideError, match=r"add n=count\(\)"):
        without.plot.completeness()
    nothing: list[dict[str, object]] = []
    empty = et.from_rows(nothing, schema={"k": str, "at": et.Instant}).event_time("at", et.ascending()).run(show=False)
    with pytest.raises(et.EventideError, match="nothing to draw"):
        empty.plot.time()


def test_notebook_views_escape_everything_that_comes_from_data_or_user() -> None:
    rows: list[dict[str, object]] = [{NASTY: NASTY, "at": 0}, {NASTY: NASTY, "at": "no time"}]
    stream = et.from_rows(rows, schema={NASTY: str, "at": et.Instant}, name=NASTY).filter(col(NASTY) != "<b>")
    timed = stream.event_time("at", et.ascending(), max_future=None)
    job = timed.group_by(NASTY).window(et.tumbling("1s")).agg(n=et.count())
    out = job.run(show=False)
    views = [job._repr_html_(), out._repr_html_(), out.explain(key=NASTY, at="1970-01-01")._repr_html_()]
    views.append(out.explain_event(offset=1)._repr_html_())
    for view in views:
        assert "<script" not in view
        assert "<b>" not in view
        assert "&lt;script&gt;" in view


def test_an_outcome_shows_its_account_and_the_head_of_each_output(out: et.Outcome) -> None:
    view = out._repr_html_()
    assert str(out.accounting.total) in view
    assert f"results: {out.results.height:,} rows" in view
    assert f"and {out.results.height - 10:,} more rows" in view
    stream = et.Stream.from_source(simulate(devices=2, duration="1h"))._repr_html_()
    assert "captured" in stream
    assert "instant" in stream


@pytest.mark.parametrize("name", ["radiation", "zoo", "stations"])
def test_notebooks_run_and_show_what_is_stored_in_them(name: str) -> None:
    path = ROOT / "examples" / f"{name}.ipynb"
    stored = json.loads(path.read_text())
    again = runpy.run_path(str(ROOT / "examples" / "run_notebooks.py"))["run"](path)

    def texts(notebook: Any) -> list[Any]:
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
        return [output.get("text") or output["data"].get("text/html") for output in outputs]

    assert texts(again) == texts(stored)
    assert sum(text is None for text in texts(again)) >= 3  # the pictures
    for secret in ("/tmp", "/home", "/work", "/usr"):
        assert secret not in path.read_text()


def arrivals(lateness_ms: list[int]) -> et.Outcome:
    """A run over events a second apart that came so many milliseconds behind their time."""
    rows = [
        {"k": "a", "at": n * 1_000, "came": n * 1_000 + late, "x": 1.0, "word": "w"}
        for n, late in enumerate(lateness_ms)
    ]
    schema = {"k": str, "at": et.Instant, "came": et.Instant, "x": float, "word": str}
    timed = et.from_rows(rows, schema=schema, arrival="came").event_time("at", et.bounded("1s"))
    out: et.Outcome = (
        timed.group_by("k").window(et.tumbling("5s")).agg(x=col("x").sum(), w=col("word").first()).run(show=False)
    )
    return out


def test_lateness_is_not_cut_to_whole_seconds() -> None:
    axes = arrivals([40, 1_900, 1_900]).plot.lateness().axes[0]
    assert axes.get_title("left") == "Half of the events arrive within 1.9 s"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "10 ms", "100 ms", "1 s"]


def test_events_dated_ahead_of_their_arrival_and_far_ones_are_told() -> None:
    picture = arrivals([-500, 100, 1_000, 40 * 86_400_000]).plot.lateness()
    _, told = picture.axes[0].get_xlabel().split("\n")
    assert told == "(1 event more than 30 days off, not drawn; 1 event dated ahead of arrival drawn at 0)"


def test_events_of_days_ago_without_recorded_arrivals_are_not_drawn_but_told() -> None:
    rows = [{"at": n * 1_000} for n in range(5)]
    stream = et.from_rows(rows, schema={"at": et.Instant}).event_time("at", et.bounded("1s"))
    out = stream.run(show=False)
    for picture in (out.plot.lateness, out.plot.time):
        with pytest.raises(et.EventideError, match="arrival="):
            picture()


def test_windows_have_a_unit_and_name_the_columns_that_can_be_drawn() -> None:
    out = arrivals([10, 20, 30])
    drawn = out.plot.windows("a", "x", threshold=2, unit="mV").axes[0]
    assert drawn.get_ylabel() == "x (mV)"
    assert "2 mV" in [text.get_text() for text in drawn.get_legend().get_texts()]
    for column in ("y", "w"):
        with pytest.raises(et.EventideError, match=f"there is no number '{column}' in the results: draw one of x"):
            out.plot.windows("a", column)


def test_windows_behind_a_join_are_drawn_and_its_arrivals_are_told_to_be_of_each_stream() -> None:
    left, right = (
        et.from_rows([{"k": "a", "at": 0}], schema={"k": str, "at": et.Instant}, name=name) for name in ("l", "r")
    )
    sides = [side.event_time("at", et.bounded("1s")) for side in (left, right)]
    joined = sides[0].join_asof(sides[1], on="k").group_by("k").window(et.tumbling("5s")).agg(n=et.count())
    out = joined.run(show=False)
    assert "1 window" in out.plot.windows("a").axes[0].get_title("left")
    with pytest.raises(et.EventideError, match="draw each one of the join by itself"):
        out.plot.time()
