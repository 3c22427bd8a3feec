"""NATS JetStream as source and sink, on a real server that is stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import polars as pl
import pytest
from nats.js.api import StreamConfig

import eventide as et
from eventide.connectors.nats import sink as sink_module
from eventide.connectors.nats import source as source_module
from eventide.flow import Batch, EpochWriter, LogReader, Opening, ReadContext
from eventide.plan import Stream
from eventide.testing.services import running
from eventide.testing.services.nats import Nats

SCHEMA: dict[str, Any] = {"n": int, "text": str}
COLUMNS = {"n": pl.Int64(), "text": pl.String()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with running(Nats(tmp_path_factory.mktemp("nats"))) as started:
        yield started


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    for module in (sink_module, source_module):
        monkeypatch.setattr(module, "_WAITS_S", (0.02,) * 200)


def on(server: Nats, work: Any) -> Any:
    """What a client of its own gets."""

    async def done() -> Any:
        connection = await nats.connect(server.address)
        try:
            return await work(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(done())


@pytest.fixture
def stream(request: pytest.FixtureRequest, server: Nats) -> str:
    """A stream of its own for a test, whose subjects begin with its name."""
    name = "".join(one if one.isalnum() else "_" for one in request.node.name)[-60:]
    on(server, lambda js: js.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], duplicate_window=0.1)))
    return name


def send(server: Nats, subject: str, values: Sequence[bytes]) -> None:
    async def work(js: Any) -> None:
        for value in values:
            await js.publish(subject, value)

    on(server, work)


def held(server: Nats, stream: str) -> list[Any]:
    """The messages of a stream, in order."""

    async def work(js: Any) -> list[Any]:
        state = (await js.stream_info(stream)).state
        found = []
        for sequence in range(state.first_seq, state.last_seq + 1):
            try:
                found.append(json.loads((await js.get_msg(stream, sequence)).data))
            except nats.js.errors.NotFoundError:
                continue
        return found

    return list(on(server, work))


def numbered(*numbers: int) -> list[bytes]:
    return [json.dumps({"n": number, "text": "ü"}).encode() for number in numbers]


def source(server: Nats, stream: str, **settings: Any) -> Stream:
    return et.read_nats(stream, servers=server.address, schema=SCHEMA, **{"follow": False, **settings})


def reader_of(made: Stream, offset: int = 0) -> LogReader:
    one = made.plan.inputs[0].source
    return one.open(ReadContext(), {one.name: {"offset": offset}}).discover()[0]


def read(
    reader: LogReader, rows_max: int = 7, rows: int | None = None, wake: threading.Event | None = None
) -> list[Batch]:
    wake = reader._intake._wake  # type: ignore[attr-defined]
    found: list[Batch] = []
    while not reader.finished and (rows is None or sum(batch.received for batch in found) < rows):
        batch = reader.read(rows_max)
        if batch is None:
            wake.wait(10)
            wake.clear()
        else:
            found.append(batch)
    return found


def numbers(batches: Sequence[Batch]) -> list[int]:
    return [number for batch in batches for number in batch.rows.get_column("n")]


def test_messages_come_in_order_with_their_sequence_and_the_servers_time(server: Nats, stream: str) -> None:
    before = datetime.now(UTC)
    send(server, f"{stream}.a", numbered(*range(50)))
    reader = reader_of(source(server, stream))
    batches = read(reader)
    reader.close()
    rows = pl.concat([batch.rows for batch in batches])
    assert rows.get_column("n").to_list() == list(range(50))
    assert rows.get_column("_offset").to_list() == list(range(1, 51))
    assert rows.get_column("_arrival").is_between(before, datetime.now(UTC)).all()
    assert reader.position() == {"offset": 51}


@pytest.mark.parametrize("place", [1, 7, 49])
def test_reading_goes_on_at_a_position(server: Nats, stream: str, place: int) -> None:
    send(server, f"{stream}.a", numbered(*range(50)))
    first = reader_of(source(server, stream))
    read(first, 1, place)
    offset = int(first.position()["offset"] or 0)
    first.close()
    reader = reader_of(source(server, stream), offset)
    assert numbers(read(reader)) == list(range(place, 50))
    reader.close()


def test_where_a_new_run_begins(server: Nats, stream: str) -> None:
    send(server, f"{stream}.a", numbered(0, 1))
    threading.Event().wait(0.01)  # the server's clock goes on
    noon = datetime.now(UTC)
    send(server, f"{stream}.b", numbered(2, 3))
    for start, expected in (("earliest", [0, 1, 2, 3]), (3, [2, 3]), (noon, [2, 3]), ("latest", [])):
        reader = reader_of(source(server, stream, start=start))
        assert numbers(read(reader)) == expected
        reader.close()
    reader = reader_of(source(server, stream, subject=f"{stream}.a"))
    assert numbers(read(reader)) == [0, 1]
    reader.close()


def test_what_cannot_be_read_becomes_a_dead_letter(server: Nats, stream: str) -> None:
    poison = [b"", b"\xff", b"[" * 900_000, b'{"n": "x"}', b'{"n": 1}\n{"n": 2}', b'{"n":\n3}', b"\0", b'{"n": 4}']
    send(server, f"{stream}.a", poison)
    reader = reader_of(source(server, stream))
    batches = read(reader, 100)
    reader.close()
    assert numbers(batches) == [3, 4]
    assert pl.concat([batch.refused for batch in batches]).get_column("_offset").to_list() == [1, 2, 3, 4, 5, 7]


def test_a_followed_stream_is_read_through_stops_and_kills_of_the_server(server: Nats, stream: str) -> None:
    reader = reader_of(source(server, stream, follow=True))
    found: list[int] = []
    for number, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)):
        send(server, f"{stream}.a", numbered(*range(number * 100, number * 100 + 100)))
        if number == 1:
            found += numbers(read(reader, 30, 100 * number + 30 - len(found)))
        server.stop(how=how)
        server.start()
        found += numbers(read(reader, 1_000, 100 * (number + 1) - len(found)))
    assert not reader.finished
    reader.close()
    assert found == list(range(300))


def test_memory_stays_bounded_when_nobody_reads(server: Nats, stream: str) -> None:
    large = json.dumps({"n": 1, "text": "x" * 900_000}).encode()
    send(server, f"{stream}.a", [large] * 120)
    reader = reader_of(source(server, stream))
    intake = reader._intake  # type: ignore[attr-defined]
    while intake.has_room:
        intake._wake.wait(10)
    assert 64 * 2**20 <= intake._bytes < 80 * 2**20
    assert len(numbers(read(reader))) == 120
    reader.close()


def test_what_the_server_threw_away_stops_the_run(server: Nats, stream: str) -> None:
    send(server, f"{stream}.a", numbered(*range(10)))
    on(server, lambda js: js.purge_stream(stream, seq=8))
    reader = reader_of(source(server, stream), 4)
    with pytest.raises(et.SourceError, match="thrown away what stream .* held from 4 to 7"):
        read(reader)
    reader.close()
    reader = reader_of(source(server, stream), 12)
    with pytest.raises(et.SourceError, match="ends at 10, but was read up to 11: it was made anew"):
        read(reader)
    reader.close()
    reader = reader_of(source(server, "NOT_THERE"))
    with pytest.raises(et.SourceError, match="there is no stream 'NOT_THERE'"):
        read(reader)
    reader.close()


EPOCHS = [
    pl.DataFrame({"n": [1, 2], "text": ["a", "ü\n\"'"]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"n": [3, None, 3], "text": [None, "a\0", None]}, schema=COLUMNS),
    pl.DataFrame({"n": range(10, 2_000), "text": ["x"] * 1_990}),
]


def opened(server: Nats, stream: str) -> EpochWriter:
    return et.write_nats(f"{stream}.out", servers=server.address).open_epochs(Opening("late", COLUMNS, (), "run"))


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_an_epoch_that_was_cut_off_is_completed_without_help_of_the_servers_memory(
    server: Nats, stream: str, sent: int
) -> None:
    writer = opened(server, stream)
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, EPOCHS[0])
    stand = writer.stand()
    if sent:
        writer.deliver(2, EPOCHS[2].head(sent))
    writer.close()
    send(server, f"{stream}.other", numbered(99))
    threading.Event().wait(0.3)  # the server forgets ids after a tenth of a second
    for _ in range(2):
        writer = opened(server, stream)
        writer.recover(2, EPOCHS[2], stand)
        writer.close()
    sent_rows = [row for row in held(server, stream) if row["n"] != 99]
    assert sorted(map(str, sent_rows)) == sorted(str(row) for one in (0, 2) for row in EPOCHS[one].to_dicts())


def test_messages_of_epochs_that_are_taken_back_are_deleted(server: Nats, stream: str) -> None:
    writer = opened(server, stream)
    writer.recover(0, EPOCHS[1], {})
    stand = writer.stand()
    writer.deliver(1, EPOCHS[0])
    writer.deliver(2, EPOCHS[2])
    writer.close()
    writer = opened(server, stream)
    writer.recover(1, EPOCHS[0], stand)
    writer.deliver(2, EPOCHS[2].tail(1))
    writer.close()
    assert held(server, stream) == [*EPOCHS[0].to_dicts(), {"n": 3, "text": None}]


def test_every_row_is_sent_once_while_the_server_is_killed_again_and_again(server: Nats, stream: str) -> None:
    writer = opened(server, stream)
    writer.recover(0, EPOCHS[1], {})
    done = threading.Event()

    def disturb() -> None:
        for _ in range(6):
            if done.wait(0.3):
                return
            server.stop(how=signal.SIGKILL)
            server.start()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        for epoch in range(1, 9):
            writer.deliver(epoch, EPOCHS[3].with_columns(pl.col("n") + 10_000 * epoch))
    finally:
        done.set()
        disturber.join()
    writer.close()
    found = sorted(row["n"] for row in held(server, stream))
    assert found == [10_000 * epoch + n for epoch in range(1, 9) for n in range(10, 2_000)]


def test_a_server_that_stays_away_and_a_subject_that_nobody_keeps(
    server: Nats, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.01,))
    monkeypatch.setattr(source_module, "_WAITS_S", (0.01,))
    with pytest.raises(et.SinkError, match="no stream of NATS takes the subject nobody"):
        et.write_nats("nobody", servers=server.address).open("late", COLUMNS, ())
    large = opened(server, stream)
    with pytest.raises(et.SinkError, match="raise max_payload"):
        large.deliver(1, pl.DataFrame({"n": [1], "text": ["x" * 2_000_000]}))
    large.close()
    away = et.write_nats(f"{stream}.out", servers="nats://127.0.0.1:1")
    with pytest.raises(et.SinkError, match="cannot send to subject .* Check that the server runs"):
        away.open("late", COLUMNS, ())
    reader = reader_of(et.read_nats(stream, servers="nats://127.0.0.1:1", schema=SCHEMA))
    with pytest.raises(et.SourceError, match="cannot read stream .* Check that the server runs"):
        read(reader)
    reader.close()


def test_a_wrong_password_is_told_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Nats(tmp_path, user="air", password="wind")) as closed:
        monkeypatch.setenv("AIR_NATS", f"nats://air:hush@127.0.0.1:{closed.port}")
        sink = et.write_nats("air.out", env="AIR_NATS")
        with pytest.raises(et.SinkError, match="does not let us in") as caught:
            sink.open("late", COLUMNS, ())
        assert "hush" not in f"{caught.value!r} {sink!r} {caught.value.__cause__!r}"
        monkeypatch.setenv("AIR_NATS", f"nats://air:wind@127.0.0.1:{closed.port}")
        with pytest.raises(et.SinkError, match="no stream of NATS takes"):
            sink.open("late", COLUMNS, ())
    with pytest.raises(ValueError, match="env=") as refused:
        et.write_nats("air.out", servers="nats://air:hush@host")
    assert "hush" not in str(refused.value)


def test_a_run_that_is_stopped_and_goes_on_sends_what_one_that_was_not_sends(
    server: Nats, stream: str, tmp_path: Path
) -> None:
    readings = [json.dumps({"n": f"k{n % 3}", "at": n * 1_000}).encode() for n in range(900)]
    send(server, f"{stream}.in", readings)

    def job(name: str) -> Stream:
        schema: dict[str, Any] = {"n": str, "at": et.Instant}
        events = et.read_nats(stream, servers=server.address, schema=schema, subject=f"{stream}.in", follow=False)
        windows = events.event_time("at", et.bounded("2s")).group_by("n").window(et.tumbling("1m"))
        return windows.agg(count=et.count()).write(et.write_nats(f"{stream}.{name}", servers=server.address))

    job("whole").run(show=False, state=tmp_path / "whole")
    for _ in range(20):
        stop = threading.Event()

        def observe(run: Any, stop: threading.Event = stop) -> Any:
            until = run.pipeline.accounting.total.received + 200
            return lambda: stop.set() if run.pipeline.accounting.total.received >= until else None

        settings: dict[str, Any] = {"rows_max": 50, "stop": stop, "observe": observe, "checkpoint_every": "1us"}
        outcome = job("cut").run(show=False, state=tmp_path / "cut", **settings)
        if outcome.finished:
            break

    async def sent(js: Any, name: str) -> list[bytes]:
        count = (await js.stream_info(stream, subjects_filter=f"{stream}.{name}")).state.subjects[f"{stream}.{name}"]
        subscription = await js.pull_subscribe(f"{stream}.{name}", stream=stream)
        return [one.data for one in await subscription.fetch(count, timeout=60)]

    whole, cut = (on(server, lambda js, name=name: sent(js, name)) for name in ("whole", "cut"))
    assert outcome.finished
    assert len(whole) == 45
    assert cut == whole


def test_plans_with_nats_are_text_without_secrets() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        et.read_nats("AIR", env="AIR_NATS", schema={"n": int}, subject="air.*", start=start, follow=False)
        .union(et.read_nats("AIR2", servers="nats://h", schema={"n": int}, start=7))
        .write(et.write_nats("air.out", env="AIR_NATS", credentials="air.creds"), "late")
    )
    assert Stream.from_yaml(made.to_yaml()) == made


def test_check_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "is_installed", lambda: False)
    with pytest.raises(et.PlanError, match=r'pip install "eventide\[nats\]"'):
        et.read_nats("AIR", env="A", schema={"n": int}).check()
