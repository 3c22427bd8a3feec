"""One suite for all sources of rows that come from a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.suite.system import Row, SourceSystem
from tests.servers.suite.systems import SOURCES

import eventide as et
from eventide.connectors.nats import source as nats_source
from eventide.connectors.postgres import source as postgres_source
from eventide.flow import LogReader, LogSet, Position, ReadContext
from eventide.runners.embedded import Running

DAY = "2026-01-31T12:00:00.123456+00:00"


@pytest.fixture(scope="module", params=SOURCES)
def system(request: pytest.FixtureRequest) -> Iterator[SourceSystem]:
    made = SOURCES[request.param]()
    yield made
    made.close()


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A place that no other test has."""
    return str(request.node.name)


def numbered(*numbers: int, text: str = "a") -> list[Row]:
    return [{"id": number, "k": text, "x": number / 4, "ok": True, "at": DAY} for number in numbers]


def read(
    stream: et.Stream, rows: int | None = None, positions: dict[str, Position] | None = None, most: int = 7
) -> tuple[pl.DataFrame, dict[str, Position]]:
    """Rows of a source's one log to its end, or so many, and where its reader then stood."""
    context = ReadContext()
    logs = stream.plan.inputs[0].source.open(context, positions or {})
    try:
        return drawn(logs, context, rows, most)
    finally:
        logs.close()


def drawn(logs: LogSet, context: ReadContext, rows: int | None, most: int) -> tuple[pl.DataFrame, dict[str, Position]]:
    reader: LogReader = logs.discover()[0]
    found: list[pl.DataFrame] = []
    while not reader.finished and (rows is None or sum(one.height for one in found) < rows):
        batch = reader.read(most if rows is None else min(most, rows - sum(one.height for one in found)))
        if batch is None:
            context.wake.wait(1)
            context.wake.clear()
        else:
            assert batch.rows.get_column("_offset").is_sorted()
            found.append(batch.rows)
    return pl.concat(found), {reader.log: dict(reader.position())}


def test_types_nulls_and_any_text_arrive_as_they_were_sent(system: SourceSystem, place: str) -> None:
    nothing = dict.fromkeys(("k", "x", "ok", "at"))
    rows: list[Row] = [
        {"id": -(2**63), "k": "ü \U0001f30d \u0000 \\ \" ' \n\t".replace("\0", ""), "x": 0.1, "ok": True, "at": DAY},
        {"id": 2**63 - 1, "k": "", "x": -1.5e300, "ok": False, "at": "1969-12-31T23:59:59.999999+00:00"},
    ]
    middle: list[Row] = [{"id": number, **nothing} for number in range(3)]
    system.put(place, [rows[0], *middle, rows[1]])
    got, _ = read(system.stream(place))
    assert got.get_column("_offset").is_unique().all()
    expected = [
        (*list(row.values())[:4], row["at"] and datetime.fromisoformat(row["at"]).astimezone(UTC))
        for row in (rows[0], *middle, rows[1])
    ]
    assert got.select("id", "k", "x", "ok", "at").rows() == expected


def test_large_rows_and_their_order_survive(system: SourceSystem, place: str) -> None:
    system.put(place, numbered(*range(40), text="ü" * 300_000))
    got, _ = read(system.stream(place))
    assert got.get_column("id").to_list() == list(range(40))
    assert got.get_column("k").str.len_chars().to_list() == [300_000] * 40


def test_reading_goes_on_at_any_position(system: SourceSystem, place: str) -> None:
    system.put(place, numbered(*range(50)))
    whole, _ = read(system.stream(place))
    assert whole.get_column("id").to_list() == list(range(50))
    for cut in (1, 7, 26, 49):
        first, positions = read(system.stream(place), cut)
        rest, _ = read(system.stream(place), positions=positions)
        both = pl.concat([first, rest]).drop("_arrival")
        assert both.equals(whole.drop("_arrival")), cut


def test_what_breaks_the_schema_costs_itself(system: SourceSystem, place: str) -> None:
    system.put(place, numbered(0, 1))
    system.broken(place)
    system.put(place, numbered(2, 3))
    out = system.stream(place).run(show=False)
    assert sorted(out.results.get_column("id").to_list()) == [0, 1, 2, 3]
    assert out.dead_letters.select("reason", "field").rows() == [('not a number: "much"', "x")]
    assert out.accounting.total.closes


def test_a_run_that_is_stopped_and_goes_on_reads_everything_once(
    system: SourceSystem, place: str, tmp_path: Path
) -> None:
    system.put(place, numbered(*range(400)))

    def ended_after(rows: int) -> Callable[[Running], Callable[[], None]]:
        def observe(running: Running) -> Callable[[], None]:
            total = running.pipeline.accounting.total
            until = total.received + rows
            return lambda: running.stop.set() if running.pipeline.accounting.total.received >= until else None

        return observe

    for _ in range(12):
        stream = system.stream(place).write(et.write_ndjson(tmp_path / "out.ndjson"))
        out = stream.run(show=False, state=tmp_path / "state", rows_max=50, observe=ended_after(120))
        if out.finished:
            break
    assert out.finished
    assert pl.read_ndjson(tmp_path / "out.ndjson").get_column("id").to_list() == list(range(400))
    assert out.accounting.total.received == 400


def test_a_server_that_goes_away_in_the_middle_and_comes_back_costs_nothing(
    system: SourceSystem, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (nats_source, postgres_source):
        monkeypatch.setattr(module, "_WAITS_S", (0.05,) * 2_000)
    count = 60 if system.follows else 600
    system.put(place, numbered(*range(count), text="x" * (100 if system.follows else 200_000)))
    context = ReadContext()
    logs = system.stream(place, follow=system.follows).plan.inputs[0].source.open(context, {})
    reader = logs.discover()[0]
    found: list[int] = []

    def draw(until: int) -> None:
        while len(found) < until:
            batch = reader.read(10)
            if batch is None:
                context.wake.wait(1)
                context.wake.clear()
            else:
                found.extend(batch.rows.get_column("id"))

    draw(40)
    system.stop()
    back = threading.Thread(target=system.start)
    back.start()
    draw(50)
    back.join()
    if system.follows:
        system.put(place, numbered(*range(count, count + 50)))
        count += 50
    draw(count)
    logs.close()
    assert found == list(range(count))


def test_a_server_that_is_away_at_the_start_is_told_with_a_remedy(
    system: SourceSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (nats_source, postgres_source):
        monkeypatch.setattr(module, "_WAITS_S", (0.01,))
    with pytest.raises(et.SourceError, match=r"Check that the server runs|Is the broker running"):
        system.away().run(show=False)


def test_a_wrong_password_is_told_without_it(system: SourceSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (nats_source, postgres_source):
        monkeypatch.setattr(module, "_WAITS_S", (0.01,))
    name, text = getattr(system, "secret", ("SUITE_PASSWORD", "hush"))
    monkeypatch.setenv("SUITE_USER", "me")
    monkeypatch.setenv(name, text)
    stream = system.refused()
    with pytest.raises(et.SourceError) as caught:
        stream.run(show=False)
    seen: list[Any] = [caught.value, repr(stream.plan), stream.to_yaml(), caught.value.__cause__]
    assert "hush" not in " ".join(map(str, seen))
