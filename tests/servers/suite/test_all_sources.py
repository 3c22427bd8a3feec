"""One suite for all sources of rows that come from a server; what one cannot do its system says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.suite.system import Row, System
from tests.servers.suite.systems import SOURCES, able

import eventide as et
from eventide.flow import LogReader, Position, ReadContext
from eventide.runners.embedded import Running

_PATIENCE_S = 60
DAY = "2026-01-31T12:00:00.123456+00:00"


@pytest.fixture(autouse=True)
def patient(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    system.be_patient(monkeypatch, (0.05,) * 2_000)


def numbered(*numbers: int, text: str = "a") -> list[Row]:
    return [{"id": number, "k": text, "x": number / 4, "ok": True, "at": DAY} for number in numbers]


def read(
    stream: et.Stream, rows: int, positions: dict[str, Position] | None = None, most: int = 7
) -> tuple[pl.DataFrame, dict[str, Position]]:
    """So many rows of a source's one log, and where its reader then stands."""
    context = ReadContext()
    logs = stream.plan.inputs[0].source.open(context, positions or {})
    try:
        reader: LogReader = logs.discover()[0]
        found = drawn(reader, context, rows, most)
        return found, {reader.log: dict(reader.position())}
    finally:
        logs.close()


def drawn(reader: LogReader, context: ReadContext, rows: int, most: int = 10) -> pl.DataFrame:
    """So many rows, as they come."""
    found: list[pl.DataFrame] = []
    behind = int(reader.position().get("offset") or 0) - 1
    deadline = time.monotonic() + _PATIENCE_S
    while (left := rows - sum(one.height for one in found)) > 0:
        batch = reader.read(min(most, left))
        if batch is None:
            assert not reader.finished, f"the log ended {left} rows early"
            assert time.monotonic() < deadline, f"{left} rows did not come"
            context.wake.wait(0.05)  # as the loop of a run
            context.wake.clear()
        else:
            offsets = [behind, *batch.rows.get_column("_offset")]
            assert offsets == sorted(set(offsets)), "offsets grow"
            behind = offsets[-1]
            found.append(batch.rows)
    return pl.concat(found)


def ended_after(rows: int, total: int) -> Callable[[Running], Callable[[], None]]:
    """Stops a run when it has received so many more rows, or so many in all."""

    def observe(running: Running) -> Callable[[], None]:
        counted = running.pipeline.accounting.total
        until = min(counted.received + rows, total)
        return lambda: running.stop.set() if running.pipeline.accounting.total.received >= until else None

    return observe


@able(SOURCES)
def test_types_nulls_and_any_text_arrive_as_they_were_sent(system: System, place: str) -> None:
    nothing = dict.fromkeys(("k", "x", "ok", "at"))
    rows: list[Row] = [
        {"id": -(2**63), "k": "ü \U0001f30d \u0000 \\ \" ' \n\t".replace("\0", ""), "x": 0.1, "ok": True, "at": DAY},
        {"id": 2**63 - 1, "k": "", "x": -1.5e300, "ok": False, "at": "1969-12-31T23:59:59.999999+00:00"},
    ]
    middle: list[Row] = [{"id": number, **nothing} for number in range(3)]
    system.put(place, [rows[0], *middle, rows[1]])
    got, _ = read(system.stream(place), 5)
    assert got.get_column("_offset").is_unique().all()
    expected = [
        (*list(row.values())[:4], row["at"] and datetime.fromisoformat(row["at"]).astimezone(UTC))
        for row in (rows[0], *middle, rows[1])
    ]
    assert got.select("id", "k", "x", "ok", "at").rows() == expected


@able(SOURCES)
def test_large_rows_and_their_order_survive(system: System, place: str) -> None:
    system.put(place, numbered(*range(40), text="ü" * 300_000))
    got, _ = read(system.stream(place), 40)
    assert got.get_column("id").to_list() == list(range(40))
    assert got.get_column("k").str.len_chars().to_list() == [300_000] * 40


@able(SOURCES)
def test_reading_goes_on_at_any_position(system: System, place: str) -> None:
    system.put(place, numbered(*range(50)))
    whole, _ = read(system.stream(place), 50)
    assert whole.get_column("id").to_list() == list(range(50))
    for cut in (1, 7, 26, 49):
        first, positions = read(system.stream(place), cut)
        rest, _ = read(system.stream(place), 50 - cut, positions)
        both = pl.concat([first, rest]).drop("_arrival")
        assert both.equals(whole.drop("_arrival")), cut


@able(SOURCES, "dead letters")
def test_what_breaks_the_schema_costs_itself(system: System, place: str) -> None:
    system.put(place, numbered(0, 1))
    system.broken(place)
    system.put(place, numbered(2, 3))
    out = system.stream(place).run(show=False, observe=ended_after(5, 5))
    assert sorted(out.results.get_column("id").to_list()) == [0, 1, 2, 3]
    assert out.dead_letters.select("reason", "field").rows() == [('not a number: "much"', "x")]
    assert out.accounting.total.closes


@able(SOURCES)
def test_a_run_that_is_stopped_and_goes_on_reads_everything_once(system: System, place: str, tmp_path: Path) -> None:
    system.put(place, numbered(*range(400)))

    for _ in range(12):
        stream = system.stream(place).write(et.write_ndjson(tmp_path / "out.ndjson"))
        out = stream.run(show=False, state=tmp_path / "state", rows_max=50, observe=ended_after(120, 400))
        if out.accounting.total.received >= 400:
            break
    assert pl.read_ndjson(tmp_path / "out.ndjson").get_column("id").to_list() == list(range(400))
    assert out.accounting.total.received == 400


@able(SOURCES, "read through a restart")
def test_a_server_that_goes_away_in_the_middle_and_comes_back_costs_nothing(system: System, place: str) -> None:
    count = 60 if system.follows else 600
    system.put(place, numbered(*range(count), text="x" * (100 if system.follows else 200_000)))
    context = ReadContext()
    logs = system.stream(place, follow=system.follows).plan.inputs[0].source.open(context, {})
    reader = logs.discover()[0]
    found = ids(drawn(reader, context, 40))
    system.stop()
    back = threading.Thread(target=system.start)
    back.start()
    found += ids(drawn(reader, context, 10))
    back.join()
    if system.follows:
        system.put(place, numbered(*range(count, count + 50)))
        count += 50
    read_to(count, found, reader, context, system)
    logs.close()
    assert found == list(range(count))


@able(SOURCES, "read through a restart")
def test_a_server_that_is_away_at_the_start_and_comes_costs_only_time(system: System, place: str) -> None:
    system.put(place, numbered(*range(30)))
    stream = system.stream(place)
    system.stop()
    back = threading.Timer(0.3, system.start)
    back.start()
    try:
        got, _ = read(stream, 30)
    finally:
        back.join()
    assert got.get_column("id").to_list() == list(range(30))


@able(SOURCES, "read through faults")
def test_a_network_with_faults_costs_no_row_and_doubles_none(system: System, place: str) -> None:
    """The link is cut, held, slow, and reset with answers lost while rows of 20 kB come over it."""
    count = 200
    system.put(place, numbered(*range(count), text="x" * 20_000))
    context = ReadContext()
    found: list[int] = []
    logs = system.stream(place, follow=system.follows).plan.inputs[0].source.open(context, {})
    reader, link, never = logs.discover()[0], system.link, threading.Event()
    try:
        for begin in (link.cut, link.hold, lambda: link.slow(1_000_000), lambda: link.hold(answers_only=True)):
            read_to(len(found) + 20, found, reader, context, system)
            begin()
            never.wait(0.3)
            link.reset()
            link.heal()
            if system.follows:
                system.put(place, numbered(*range(count, count + 20), text="x" * 20_000))
                count += 20
        read_to(count, found, reader, context, system)
    finally:
        link.heal()
        logs.close()
    assert found == list(range(count))


def ids(rows: pl.DataFrame) -> list[int]:
    return rows.get_column("id").to_list()


def read_to(count: int, found: list[int], reader: LogReader, context: ReadContext, system: System) -> None:
    """Read until so many rows were found; a row that comes again counts once, where that is all that is promised."""
    while len(found) < count:
        found += ids(drawn(reader, context, count - len(found)))
        if system.repeats:
            found[:] = dict.fromkeys(found)


@able(SOURCES, "away at the start")
def test_a_server_that_is_away_at_the_start_is_told_with_a_remedy(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.be_patient(monkeypatch, (0.01,))
    with pytest.raises(et.SourceError, match=r"Check|Mend that|Is the broker running"):
        system.away_stream().run(show=False)


@able(SOURCES, "a wrong password")
def test_a_wrong_password_is_told_without_it(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.be_patient(monkeypatch, (0.01,))
    for name, text in system.secrets.items():
        monkeypatch.setenv(name, text)
    stream = system.refused_stream()
    with pytest.raises(et.SourceError) as caught:
        stream.run(show=False)
    seen: list[Any] = [caught.value, repr(stream.plan), stream.to_yaml(), caught.value.__cause__]
    assert "hush" not in " ".join(map(str, seen))
