"""A table of PostgreSQL as a side input, on a real server whose table changes and which goes away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import psycopg
import pytest

import eventide as et
from eventide.connectors.postgres import source as source_module
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, OFFSET, Batch
from eventide.plan import RESULTS
from eventide.testing import TestClock
from eventide.testing.services import running
from eventide.testing.services.postgres import Postgres

SITES: dict[str, Any] = {"site": int, "place": str}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running(Postgres(tmp_path_factory.mktemp("pg"))) as started:
        yield started


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short."""
    monkeypatch.setattr(source_module, "_WAITS_S", (0.01,))


@pytest.fixture
def table(server: Postgres) -> str:
    asked(server, "DROP TABLE IF EXISTS sites; CREATE TABLE sites (site int, place text)")
    asked(server, "INSERT INTO sites VALUES (1, 'Graz'), (2, 'Linz'), (3, NULL), (NULL, 'nowhere')")
    return "sites"


def asked(server: Postgres, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.address, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def side(server: Postgres, table: str) -> et.Stream:
    return et.read_postgres(table, dsn=server.address, schema=SITES, order_by=["site", "place"])


def doses(*sites: int | None) -> et.Stream:
    rows = [{"site": site, "dose": number} for number, site in enumerate(sites)]
    return et.from_rows(rows, schema={"site": int, "dose": int}, name="doses")


def place_of(pipeline: Pipeline, offset: int) -> str | None:
    columns: dict[str, Any] = {"site": [1], "dose": [0], OFFSET: [offset], ARRIVAL: [None]}
    schema = {"site": pl.Int64(), "dose": pl.Int64(), OFFSET: pl.Int64(), ARRIVAL: pl.Datetime("us", "UTC")}
    (frame,) = pipeline.process(Batch("doses", pl.DataFrame(columns, schema=schema)))[RESULTS]
    return frame.get_column("place")[0]  # type: ignore[no-any-return] # a column of text


def test_rows_are_looked_up_with_nulls_misses_and_the_version(server: Postgres, table: str) -> None:
    known = doses(2, 1, 3, 9, None).enrich(side(server, table), on="site", misses="lost", version="as_of")
    out = known.run(show=False)
    assert out.results.select("site", "place").rows() == [(2, "Linz"), (1, "Graz"), (3, None)]
    assert out["lost"]["site"].to_list() == [9, None]
    (version,) = out.sides.rows(named=True)
    assert (version["side"], version["keys"], version["rows"], version["misses"]) == ("sites", 3, 5, 2)
    assert out.results["as_of"].unique().to_list() == [version["version"]]
    told = et.read_csv("r.csv", schema={"site": int}).enrich(side(server, table), on="site", refresh=et.on_change())
    assert et.Stream.from_yaml(told.to_yaml()) == told


def test_values_that_break_the_schema_of_the_side_are_dead_letters(server: Postgres, table: str) -> None:
    wrong = et.read_postgres(table, dsn=server.address, schema={"site": int, "place": float}, order_by="place")
    out = doses(1).enrich(wrong, on="site")
    assert out.run(show=False).dead_letters["field"].to_list() == ["place"] * 3


def test_a_schedule_reads_again_and_a_server_that_is_away_leaves_the_version_before(
    server: Postgres, table: str, clock: TestClock
) -> None:
    plan = doses().enrich(side(server, table), on="site", refresh=et.every("1h")).plan
    pipeline = Pipeline.of(plan, clock=clock)
    said = [place_of(pipeline, 0)]
    asked(server, "UPDATE sites SET place = 'Krems' WHERE site = 1")
    clock.advance("59m")
    said.append(place_of(pipeline, 1))
    clock.advance("1m")
    said.append(place_of(pipeline, 2))
    server.stop()
    try:
        clock.advance("1h")
        said.append(place_of(pipeline, 3))
        begun = time.process_time()
        said += [place_of(pipeline, 4)] * 2
        assert time.process_time() - begun < 1
    finally:
        server.start()
    asked(server, "UPDATE sites SET place = 'Lech' WHERE site = 1")
    said.append(place_of(pipeline, 5))
    clock.advance("1m")
    said.append(place_of(pipeline, 6))
    assert said == ["Graz", "Graz", "Krems", "Krems", "Krems", "Krems", "Krems", "Lech"]
    assert pipeline.side_versions()["rows"].to_list() == [2, 4, 1]


@pytest.mark.parametrize("change", ["UPDATE sites SET place = 'Lech' WHERE site = 1", "TRUNCATE sites"])
def test_a_change_that_the_server_has_counted_is_read(
    server: Postgres, table: str, clock: TestClock, change: str
) -> None:
    pipeline = Pipeline.of(doses().enrich(side(server, table), on="site", refresh=et.on_change()).plan, clock=clock)
    assert place_of(pipeline, 0) == "Graz"
    before = asked(server, COUNTED)
    asked(server, f"{change}; INSERT INTO sites VALUES (4, 'Hall')")
    while asked(server, COUNTED) == before:  # the server counts a moment later
        continue
    assert place_of(pipeline, 1) == "Graz"  # looked at less than a second ago
    clock.advance("1s")
    assert place_of(pipeline, 2) == ("Lech" if "Lech" in change else None)
    clock.advance("1s")
    place_of(pipeline, 3)
    assert pipeline.side_versions()["rows"].to_list() == [2, 2]


COUNTED = source_module._COUNTED % "'sites'"


def test_a_restored_pipeline_goes_on_with_the_version_it_had(server: Postgres, table: str) -> None:
    plan = doses().enrich(side(server, table), on="site").plan
    first = Pipeline.of(plan)
    assert place_of(first, 0) == "Graz"
    files = first.snapshot().to_files()
    asked(server, "DROP TABLE sites")
    second = Pipeline.of(plan)
    second.restore(Snapshot.from_files(files))
    assert place_of(second, 1) == "Graz"


def test_what_cannot_be_read_is_told_at_the_start(
    server: Postgres, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(et.SourceError, match="cannot read walls from PostgreSQL"):
        doses(1).enrich(side(server, "walls"), on="site").run(show=False)
    query = et.read_postgres(query="SELECT 1 AS site, 'x' AS place", dsn=server.address, schema=SITES, order_by="site")
    assert doses(1).enrich(query, on="site").run(show=False).results["place"].to_list() == ["x"]
    with pytest.raises(et.PlanError, match="cannot tell when it changes"):
        doses(1).enrich(query, on="site", refresh=et.on_change())
    asked(server, "CREATE OR REPLACE VIEW seen AS SELECT * FROM sites")
    with pytest.raises(et.SourceError, match="is no table that counts its changes"):
        doses(1).enrich(side(server, "seen"), on="site", refresh=et.on_change()).run(show=False)
    asked(server, "DROP VIEW seen")
    monkeypatch.setenv("AIR_DB", f"postgresql://nobody:hush@127.0.0.1:{server.port}/postgres")
    away = et.read_postgres("sites", env="AIR_DB", schema=SITES, order_by="site")
    with pytest.raises(et.SourceError, match='role "nobody" does not exist') as caught:
        doses(1).enrich(away, on="site").run(show=False)
    assert "hush" not in str(caught.value)
