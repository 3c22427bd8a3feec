"""Side inputs: looked up row by row, read again by the clock or on change, versions and misses recorded."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.plan import LATE, RESULTS
from eventide.testing import TestClock

SITES = {"site": int, "place": str}
TIME = et.field(et.Instant, unit="us")


def doses(*sites: int | None) -> et.Stream:
    rows = [{"site": site, "dose": number, "at": number} for number, site in enumerate(sites)]
    return et.from_rows(rows, schema={"site": int, "dose": int, "at": TIME}, name="doses")


def places(path: Path, **sites: str) -> Path:
    path.write_text("site,place\n" + "".join(f"{site[1:]},{place}\n" for site, place in sites.items()))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return places(tmp_path / "sites.csv", _1="Graz", _2="Linz", _3="Wels")


def test_rows_keep_nulls_where_the_side_has_nothing_and_versions_count_them(table: Path) -> None:
    out = doses(1, 9, None, 3).enrich(et.read_csv(table, schema=SITES), on="site", version="as_of").run(show=False)
    assert out.results["place"].to_list() == ["Graz", None, None, "Wels"]
    (version,) = out.sides.rows(named=True)
    assert (version["side"], version["keys"], version["rows"], version["misses"]) == ("sites.csv", 3, 4, 2)
    assert out.results["as_of"].unique().to_list() == [version["version"]]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_side_without_rows_is_a_side_in_which_nothing_is_found(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"sites.{kind}"
    if kind == "csv":
        side = et.read_csv(places(path), schema=SITES)
    else:
        pl.DataFrame(schema={"site": pl.Int64, "place": pl.String}).write_parquet(path)
        side = et.read_parquet(path)
    out = doses(1, None).enrich(side, on="site").run(show=False)
    assert out.results["place"].to_list() == [None, None]
    (version,) = out.sides.rows(named=True)
    assert (version["keys"], version["rows"], version["misses"]) == (0, 2, 2)


def test_misses_go_to_their_output_and_count_as_filtered(table: Path) -> None:
    timed = doses(1, 9, 2).event_time("at", et.ascending(), max_future=None)
    known = timed.enrich(et.read_csv(table, schema=SITES), on="site", misses="unknown_sites")
    out = known.group_by("place").window(et.tumbling("1s")).agg(n=et.count()).run(show=False)
    assert sorted(out.results["place"]) == ["Graz", "Linz"]
    assert out["unknown_sites"].select("_log", "_offset", "site").rows() == [("doses", 1, 9)]
    assert str(out.accounting.total).startswith("3 received = 2 on time + 0 corrected + 0 late + 1 filtered")


def test_results_are_looked_up_too_and_an_output_beside_them_counts_nothing_twice(table: Path) -> None:
    windows = (
        doses(1, 1, 9).event_time("at", et.ascending(), max_future=None).group_by("site").window(et.tumbling("1s"))
    )
    named = windows.agg(n=et.count()).enrich(et.read_csv(table, schema=SITES), on="site")
    out = named.output("known", lambda rows: rows.filter(col("place").is_not_null())).run(show=False)
    assert out.results.select("site", "n", "place").rows() == [(1, 2, "Graz"), (9, 1, None)]
    assert out["known"]["place"].to_list() == ["Graz"]
    assert out.sides.select("rows", "misses").rows() == [(2, 1)]


def test_the_last_row_of_a_key_counts_and_bad_rows_of_a_side_are_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    path.write_text("site,place\n1,old\nx,bad\n1,new\n")
    out = doses(1).enrich(et.read_csv(path, schema=SITES), on="site").run(show=False)
    assert out.results["place"].to_list() == ["new"]
    assert out.dead_letters.select("_log", "field").rows() == [("sites.csv", "site")]
    assert out.accounting.total.closes
    assert out.accounting.total.received == 2


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet", "duckdb", "query"])
def test_every_kind_of_table_answers_alike_and_travels_as_text(kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"site": [1, 2], "place": ["Graz", "Linz"]})
    path = tmp_path / f"sites.{kind}"
    match kind:
        case "csv":
            frame.write_csv(path)
            side = et.read_csv(path, schema=SITES)
        case "ndjson":
            frame.write_ndjson(path)
            side = et.read_ndjson(path, schema=SITES)
        case "parquet":
            frame.write_parquet(path)
            side = et.read_parquet(path)
        case _:
            with duckdb.connect(path) as connection:
                connection.execute(
                    "CREATE TABLE sites AS SELECT * FROM (VALUES (1, 'Graz'), (2, 'Linz')) AS s(site, place)"
                )
            query = "SELECT site, place FROM sites WHERE site < 9"
            what = {"table": "sites"} if kind == "duckdb" else {"query": query}
            side = et.read_duckdb(path, schema=SITES, **what)
    for refresh in (None, et.on_change(), et.every("1h")):
        named = doses(2, 1, 5).enrich(side, on="site", refresh=refresh)
        assert named.run(show=False).results["place"].to_list() == ["Linz", "Graz", None]
    readings = et.read_csv("r.csv", schema={"site": int}).enrich(
        side, on="site", refresh=refresh, misses="lost", version="v"
    )
    assert et.Stream.from_yaml(readings.to_yaml()).explain() == readings.explain()
    assert et.Stream.from_yaml(readings.to_yaml()).to_json() == readings.to_json()


def batch(offset: int, site: int) -> Batch:
    columns = {"site": [site], "dose": [0], "at": [offset], OFFSET: [offset], ARRIVAL: [None]}
    schema = {"site": pl.Int64(), "dose": pl.Int64(), "at": pl.Int64(), OFFSET: pl.Int64(), ARRIVAL: INSTANT}
    return Batch("doses", pl.DataFrame(columns, schema=schema).with_columns(pl.col("at").cast(INSTANT)))


def place_of(pipeline: Pipeline, offset: int) -> str:
    (frame,) = pipeline.process(batch(offset, 1))[RESULTS]
    return str(frame["place"][0])


def test_a_schedule_reads_again_by_the_wall_clock(table: Path, clock: TestClock) -> None:
    plan = doses().enrich(et.read_csv(table, schema=SITES), on="site", refresh=et.every("1h")).plan
    pipeline = Pipeline.of(plan, clock=clock)
    said = [place_of(pipeline, 0)]
    places(table, _1="Krems")
    clock.advance("59m")
    said.append(place_of(pipeline, 1))
    clock.advance("1m")
    said.append(place_of(pipeline, 2))
    assert said == ["Graz", "Graz", "Krems"]
    assert pipeline.side_versions()["rows"].to_list() == [2, 1]


def test_a_changed_file_is_read_again_and_a_vanished_one_leaves_the_version_before(table: Path) -> None:
    pipeline = Pipeline.of(doses().enrich(et.read_csv(table, schema=SITES), on="site", refresh=et.on_change()).plan)
    said = [place_of(pipeline, 0)]
    places(table, _1="Lech")
    os.utime(table, ns=(0, 7))
    said.append(place_of(pipeline, 1))
    table.unlink()
    said.append(place_of(pipeline, 2))
    assert said == ["Graz", "Lech", "Lech"]


def test_a_restored_pipeline_goes_on_with_the_version_it_had(table: Path) -> None:
    plan = doses().enrich(et.read_csv(table, schema=SITES), on="site").plan
    first = Pipeline.of(plan)
    assert place_of(first, 0) == "Graz"
    files = first.snapshot().to_files()
    places(table, _1="Krems")
    second = Pipeline.of(plan)
    second.restore(Snapshot.from_files(files))
    assert place_of(second, 1) == "Graz"
    assert second.side_versions()["rows"].to_list() == [2]


def test_a_side_of_a_join_may_be_enriched(table: Path) -> None:
    left = doses(1, 9).event_time("at", et.ascending(), max_future=None)
    named = left.enrich(et.read_csv(table, schema=SITES), on="site", misses="lost")
    right = et.from_rows([{"place": "Graz", "at": 1}], schema={"place": str, "at": TIME}, name="rain")
    joined = named.join_interval(
        right.event_time("at", et.ascending(), max_future=None), on="place", lower="0s", upper="1s"
    )
    out = joined.run(show=False)
    assert out.results.select("dose", "place").rows() == [(0, "Graz")]
    assert out["lost"]["site"].to_list() == [9]
    assert LATE in out.outputs
    assert out.accounting.total.closes


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (lambda side: doses(1).enrich(side, on="sit").check(), "there is no column 'sit'"),
        (lambda side: doses(1).enrich(side, on={"dose": "place"}).check(), "'dose' is integer on the left and string"),
        (lambda side: doses(1).enrich(side, on="site", misses="late").check(), "two outputs are named 'late'"),
        (
            lambda side: doses(1).enrich(side, on="site", misses="x").output("x", lambda s: s.select("dose")).check(),
            "two outputs are named 'x'",
        ),
        (lambda side: doses(1).enrich(side, on="site", version="dose").check(), "two columns are named 'dose'"),
        (
            lambda side: doses(1).enrich(side, on="site").event_time("at", et.ascending()).check(),
            "Call it behind event_time",
        ),
        (
            lambda side: doses(1).enrich(et.from_rows(iter([]), schema=SITES), on="site").check(),
            "the side 'rows' never ends",
        ),
        (
            lambda side: doses(1).enrich(et.from_rows([], schema=SITES), on="site", refresh=et.on_change()),
            "cannot tell when it changes",
        ),
        (lambda side: doses(1).enrich(doses(1).event_time("at", et.ascending()), on="site"), "Use join_asof"),
    ],
)
def test_wrong_sides_are_refused_with_a_remedy(sentence: object, said: str, table: Path) -> None:
    with pytest.raises(et.PlanError, match=said):
        sentence(et.read_csv(table, schema=SITES))  # type: ignore[operator]
