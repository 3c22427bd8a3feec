"""Arguments of a wrong kind in the first lines that a user writes: each is told with its value and the remedy."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.connectors.files import content
from eventide.connectors.tables import duckdb

SCHEMA: dict[str, Any] = {"k": str, "at": et.Instant, "x": float}
ROWS = [{"k": "ab"[n % 2], "at": n * 1_000, "x": float(n % 5)} for n in range(20)]


def events() -> et.Stream:
    return et.from_rows(ROWS, schema=SCHEMA).event_time("at", et.bounded("2s"), max_future=None)


def windows() -> et.Stream:
    return events().group_by("k").window(et.tumbling("5s")).agg(n=et.count())


def wrong(value: object) -> Any:
    """A value of a kind that the types would refuse."""
    return value


def summed(x: et.Expr) -> Any:
    return x.sum()


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "several paths": (lambda: et.read_csv(wrong(["a.csv", "b.csv"]), schema=SCHEMA), r"path=\['a.csv'.*pattern"),
    "no path": (lambda: et.read_ndjson(wrong(None), schema=SCHEMA), "path=None is not a path"),
    "an empty path": (lambda: et.read_parquet("", schema=SCHEMA), "path='' is not a path"),
    "a number to write to": (lambda: et.write_parquet(wrong(5)), "path=5 is not a path"),
    "Parquet by a pipe": (lambda: et.read_parquet("-", schema=SCHEMA), "not from standard input"),
    "names without types": (lambda: et.read_csv("a.csv", schema=wrong(["k"])), r"schema=\['k'\] names no types"),
    "an unknown order": (lambda: et.read_csv("a.csv", schema=SCHEMA, order=wrong("backwards")), "use as_is, reversed"),
    "an unknown order of a frame": (lambda: et.from_frame(pl.DataFrame(ROWS), order=wrong(3)), "order=3 is not"),
    "a list for a frame": (lambda: et.from_frame(wrong([1, 2])), r"frame=\[1, 2\] is no Polars frame"),
    "a number of rows": (lambda: et.from_rows(wrong(5), schema=SCHEMA), "rows=5 cannot be gone through"),
    "a path for a sink": (lambda: windows().write(wrong("out.csv")), "is not a sink: use for example et.write_csv"),
    "a union with a name": (
        lambda: et.from_rows(ROWS, schema=SCHEMA).union(wrong("b")),
        r"union\('b'\) is not a stream",
    ),
    "no function to call": (lambda: et.call(wrong(5)), r"call\(5\) is not a function"),
    "no function over batches": (lambda: events().map_batches(wrong(None)), r"map_batches\(None\) is not a function"),
    "speed as text": (lambda: et.replay(events(), speed=wrong("fast")), "speed='fast' must be a number"),
    "workers as text": (lambda: windows().run(workers="two"), "workers='two' must be at least 1"),
    "parts without names": (
        lambda: et.own_aggregate(col("x"), partial=summed, merge=lambda p: {}, result=lambda p: p["s"]),
        "partial makes col.* return a mapping",
    ),
    "one choice as text": (lambda: et.field(str, choices="on"), "choices='on' is not a list of texts"),
    "a limit as text": (lambda: et.field(float, minimum=wrong("low")), "minimum='low' is not a number"),
    "a path as number": (lambda: et.field(float, path=wrong(5)), "path=5 is not text"),
    "nullable as text": (lambda: et.field(float, nullable=wrong("no")), "nullable='no' is neither"),
    "a format as number": (lambda: et.field(et.Instant, formats=wrong(5)), "formats=5 is not a list of texts"),
    "no column of arrivals": (lambda: et.from_frame(pl.DataFrame(ROWS), arrival="up"), "arrival='up' is not a column"),
    "nothing of the name to keep": (lambda: windows().run(keep=["hot"]), r"keep=\['hot'\]: there is no such output"),
    "batches without rows": (lambda: windows().run(rows_max=0), "rows_max=0 must be at least 1"),
    "an output of text": (lambda: windows().output("hot", wrong("n > 1")), r"output\('n > 1'\) is not a function"),
    "an output of nothing": (lambda: windows().output("hot", wrong(lambda s: None)), "gives None, not the stream"),
    "columns without types": (
        lambda: events().map_batches(wrong(len), adds=wrong(["y"])),
        r"adds=\['y'\] names no types",
    ),
    "a column of a Python type": (lambda: events().map_batches(wrong(len), adds={"y": wrong(5)}), "'y' has the type 5"),
    "a zone as number": (lambda: et.tumbling("1d", timezone=wrong(5)), "timezone=5 is unknown"),
    "events as text": (lambda: et.count_window(wrong("3")), "size='3' must be a whole number"),
    "merges without names": (
        lambda: et.own_aggregate(
            col("x"), partial=lambda x: {"s": x.sum()}, merge=lambda p: wrong(p["s"].sum()), result=lambda p: p["s"]
        ),
        "merge makes col.* return a mapping",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistaken_argument_is_refused_in_words(name: str) -> None:
    write, said = MISTAKES[name]
    with pytest.raises(ValueError, match=said):
        write()


@pytest.mark.parametrize("unfinished", [et.when(col("x") > 1), et.when(col("x") > 1).then(1)])
def test_a_choice_that_is_not_finished_is_told(unfinished: object) -> None:
    with pytest.raises(et.ExpressionError, match=r"is not finished: end it with .then\(value\).otherwise\(value\)"):
        events().with_columns(y=wrong(unfinished))


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", "*"])
def test_check_tells_a_pattern_that_is_none(pattern: str) -> None:
    with pytest.raises(et.PlanError, match="not a regular expression") as raised:
        events().filter(col("k").matches(pattern)).check()
    assert "contains" not in str(raised.value)


def test_check_tells_two_outputs_that_go_to_one_file(tmp_path: Path) -> None:
    both = windows().write(et.write_csv(tmp_path / "a.csv")).write(et.write_csv(tmp_path / "a.csv"), "late")
    with pytest.raises(et.PlanError, match="results and late go to the same csv file .* Give each output its own"):
        both.check()
    windows().write(et.write_csv(tmp_path / "a.csv")).write(et.write_csv(tmp_path / "b.csv"), "late").check()


def test_a_question_ends_without_a_full_stop() -> None:
    with pytest.raises(et.PlanError, match=r"did you mean 'at'\? Mend the expression"):
        events().filter(col("att") == 1).check()


def test_a_type_in_a_text_is_answered_by_the_names_of_texts() -> None:
    text = "eventide: 1\nsources:\n- {kind: csv, path: a, schema: {columns: {k: str}}}\n"
    with pytest.raises(et.PlanError, match="use string, integer, float, boolean, instant, list or record"):
        et.Stream.from_yaml(text)


SOURCE = "eventide: 1\nsources:\n- kind: csv\n  path: a.csv\n  schema: {columns: {k: string}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SOURCE + "  folow: true\n", "source csv has an unknown setting 'folow': it takes kind, path"),
        (SOURCE + "  replay: 5\n", "source csv has an unknown setting 'replay'.*speed"),
        (SOURCE + "  follow: maybe\n", "follow='maybe' is neither true nor false"),
        (SOURCE + "  speed: fast\n", "speed='fast' must be a number above zero"),
        (SOURCE.replace("a.csv", "5"), "path=5 is not a path"),
        (SOURCE.replace("csv", "cvs"), "source kind 'cvs' is unknown: write csv"),
        (SOURCE + "write: [{kind: csv, path: b.csv, ouput: late}]\n", "sink csv has an unknown setting 'ouput'"),
        (None, "None is no text"),
        (SOURCE + "event_time: {column: k, column: at}\n", "'column' stands twice in one place, line 6"),
        (SOURCE + "sources: []\n", "'sources' stands twice in one place, line 6"),
    ],
)
def test_settings_that_a_text_cannot_have_are_not_left_out(text: Any, said: str) -> None:
    with pytest.raises(et.PlanError, match=said):
        et.Stream.from_yaml(text)


def test_a_text_that_nests_too_deeply_is_told() -> None:
    with pytest.raises(et.PlanError, match="nests too deeply"):
        et.Stream.from_json("[" * 100_000)


def test_what_a_function_of_the_user_raises_is_told_with_its_line() -> None:
    def broken(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(y=wrong(1) / 0)

    line = broken.__code__.co_firstlineno + 1
    with pytest.raises(et.EventideError, match=rf"map_batches\(broken\) failed: ZeroDivisionError.*line {line}\)"):
        events().map_batches(broken).run(show=False)
    with pytest.raises(et.SinkError, match=rf"call\(broken\) failed: ZeroDivisionError.*line {line}\)") as raised:
        windows().write(et.call(broken)).run(show=False)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("stream", "missing"),
    [
        (lambda: et.read_csv("a.csv.zst", schema=SCHEMA), "zstandard zstd"),
        (lambda: et.replay(et.read_ndjson("-", schema=SCHEMA, compression="zstd"), speed=2), "zstandard zstd"),
        (lambda: et.read_csv("a*.csv.zst", schema=SCHEMA, order="reversed"), "zstandard zstd"),
        (lambda: et.read_duckdb("a.duckdb", table="t", schema=SCHEMA), "duckdb duckdb"),
        (lambda: events().write(et.write_duckdb("a.duckdb", "t")), "duckdb duckdb"),
        (lambda: events().anomaly("x", et.half_space_trees(0, 5)), "river river"),
    ],
)
def test_check_tells_what_is_not_installed(
    stream: Callable[[], et.Stream], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream().check()
    package, extra = missing.split()
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else there(name))
    for module in (importlib.import_module("eventide.plan.check"), content, duckdb):
        monkeypatch.setattr(module, "find_spec", importlib.util.find_spec)
    with pytest.raises(et.PlanError, match=rf'pip install "eventide\[{extra}\]"'):
        stream().check()


def test_a_text_of_aliases_of_aliases_is_looked_at_once() -> None:
    levels = "".join(f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    with pytest.raises(et.PlanError, match="'bomb' stands twice"):
        et.Stream.from_yaml(f"eventide: 1\nbomb:\n  - &a0 [x]\n{levels}bomb: 1\n")
