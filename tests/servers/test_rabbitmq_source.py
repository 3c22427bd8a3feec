"""RabbitMQ as a source, on a real broker that is stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.servers.messages_of_rabbitmq import SCHEMA, make, numbered, numbers, opened, read, send, source, waiting

import eventide as et
from eventide.connectors.rabbitmq import queue as queue_module
from eventide.connectors.rabbitmq import source as source_module
from eventide.connectors.rabbitmq import thread as thread_module
from eventide.flow import ReadContext
from eventide.plan import Stream
from eventide.testing.services.rabbitmq import RabbitMq


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    monkeypatch.setattr(thread_module, "WAITS_S", (0.05,) * 600)
    monkeypatch.setattr(thread_module, "_QUIET_S", 0.2)


@pytest.fixture
def queue(request: pytest.FixtureRequest) -> str:
    """A name of a queue that no other test has."""
    return "".join(one if one.isalnum() else "_" for one in request.node.name)[-60:]


@pytest.fixture
def context(tmp_path: Path) -> ReadContext:
    return ReadContext(state=tmp_path / "state")


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_messages_come_in_order_and_are_acknowledged_when_they_are_kept(
    broker: RabbitMq, queue: str, context: ReadContext, kind: str
) -> None:
    send(broker, make(broker, queue, kind), numbered(*range(500)))
    logs = opened(source(broker, queue, routing_key="key"), context)
    reader, batches = read(logs, context, 500)
    rows = pl.concat([batch.rows for batch in batches])
    assert rows.get_column("n").to_list() == list(range(500))
    assert rows.get_column("_offset").to_list() == list(range(500))
    assert rows.get_column("key").unique().to_list() == [queue]
    assert reader.position() == {"offset": 500}
    logs.close()
    assert waiting(broker, queue) == 0


@pytest.mark.parametrize("place", [0, 1, 97, 500])
def test_reading_goes_on_at_a_position_from_the_journal(
    broker: RabbitMq, queue: str, context: ReadContext, place: int
) -> None:
    send(broker, make(broker, queue), numbered(*range(500)))
    logs = opened(source(broker, queue), context)
    read(logs, context, 500)
    logs.close()
    send(broker, queue, numbered(500, 501))
    logs = opened(source(broker, queue), context, {"offset": place})
    assert numbers(read(logs, context, 502 - place)[1]) == list(range(place, 502))
    logs.close()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_messages_that_are_delivered_again_count_once(
    broker: RabbitMq, queue: str, context: ReadContext, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No acknowledgement arrives before the connection breaks: all comes again, in front of what is new."""
    send(broker, make(broker, queue, kind), numbered(*range(300)))

    async def lost(self: Any, channel: Any) -> None:
        return None

    acknowledge = queue_module.Taking._acknowledge
    monkeypatch.setattr(queue_module.Taking, "_acknowledge", lost)
    first = opened(source(broker, queue, prefetch=1_000), context)
    assert numbers(read(first, context, 300)[1]) == list(range(300))
    if kind == "classic":  # another start of the run, else the same one connected again
        first.close()
        first = opened(source(broker, queue), context, {"offset": 300})
    else:
        broker.control("close_all_connections", "test")
    monkeypatch.setattr(queue_module.Taking, "_acknowledge", acknowledge)
    send(broker, queue, numbered(*range(300, 310)))
    assert numbers(read(first, context, 10)[1]) == list(range(300, 310))
    first.close()
    assert waiting(broker, queue) == 0


def test_a_message_that_is_sent_twice_counts_twice_unless_ids_are_unique(
    broker: RabbitMq, queue: str, context: ReadContext, tmp_path: Path
) -> None:
    make(broker, queue)
    for copy in (1, 1, 2):
        send(broker, queue, numbered(copy), message_id=f"id {copy}")
    logs = opened(source(broker, queue), context)
    assert numbers(read(logs, context, 3)[1]) == [1, 1, 2]
    logs.close()
    for copy, text in ((1, 7), (1, 8), (2, 9)):
        send(broker, queue, numbered(text), message_id=f"id {copy}")
    other = ReadContext(state=tmp_path / "other")
    logs = opened(source(broker, queue, unique_ids=True), other)
    assert numbers(read(logs, other, 2)[1]) == [7, 9]
    logs.close()


def test_what_cannot_be_read_becomes_a_dead_letter(broker: RabbitMq, queue: str, context: ReadContext) -> None:
    poison = [b"", b"\xff", b"[" * 1_000_000, b'{"n": "x"}', b'{"n": 1}\n{"n": 2}', b'{"n":\n3}', b"\0", b'{"n": 4}']
    send(broker, make(broker, queue), poison)
    send(broker, queue, [b'{"n": 5, "text": "' + b"x" * 20 * 2**20 + b'"}'])
    logs = opened(source(broker, queue), context)
    _, batches = read(logs, context, 9)
    logs.close()
    assert numbers(batches) == [3, 4]
    refused = pl.concat([batch.refused for batch in batches])
    assert refused.get_column("_offset").to_list() == [0, 1, 2, 3, 4, 6, 8]
    assert "longer than" in refused.get_column("reason")[-1]
    assert refused.get_column("raw").str.len_bytes().max() < 100_000  # type: ignore[operator] # it is a number


def test_a_queue_is_read_through_stops_and_kills_of_the_broker(
    broker: RabbitMq, queue: str, context: ReadContext
) -> None:
    make(broker, queue, "quorum")
    stream = make(broker, f"{queue}_stream"[-60:], "stream")
    logs, beside = opened(source(broker, queue), context), ReadContext()
    streamed = opened(source(broker, stream, stream=True), beside)
    found: list[int] = []
    seen: list[int] = []
    for number, how in enumerate((signal.SIGTERM, signal.SIGKILL)):
        for one in (queue, stream):
            send(broker, one, numbered(*range(number * 200, number * 200 + 200)))
        if number:
            found += numbers(read(logs, context, 50)[1])
        broker.stop(how=how)
        broker.start()
        found += numbers(read(logs, context, (number + 1) * 200 - len(found))[1])
        seen += numbers(read(streamed, beside, (number + 1) * 200 - len(seen))[1])
    assert found == list(range(400))
    assert seen == list(range(400))
    logs.close()
    streamed.close()
    assert waiting(broker, queue) == 0


def test_what_is_kept_while_an_acknowledgement_is_on_its_way_gets_one_of_its_own() -> None:
    """Without a broker, since no broker can be made to wait there."""
    one = et.read_rabbitmq("q", address="amqp://h", schema=SCHEMA).plan.inputs[0].source
    taking: Any = queue_module.Taking(one, None, queue_module.Names())  # type: ignore[arg-type] # it keeps nothing here
    said: list[int] = []

    class Channel:
        is_closed = False

        async def basic_ack(self, tag: int, multiple: bool) -> None:
            said.append(tag)
            taking._settled = 9

    async def twice() -> None:
        taking._settled = 5
        for _ in range(3):
            await taking._acknowledge(Channel())

    asyncio.run(twice())
    assert said == [5, 9]


def test_what_a_disk_does_not_keep_is_not_acknowledged(broker: RabbitMq, queue: str, context: ReadContext) -> None:
    send(broker, make(broker, queue), numbered(*range(10)))

    class Full(type(context.disk)):  # type: ignore[misc] # the machine's disk
        def append(self, path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    logs = opened(source(broker, queue), replace(context, disk=Full()))
    with pytest.raises(et.SourceError, match="No space left on device. They were not acknowledged"):
        read(logs, context, 10)
    logs.close()
    assert waiting(broker, queue) == 10
    logs = opened(source(broker, queue), context)
    assert numbers(read(logs, context, 10)[1]) == list(range(10))
    logs.close()


def test_memory_and_disk_stay_bounded_when_nobody_reads(broker: RabbitMq, queue: str, context: ReadContext) -> None:
    """Nothing is taken in once 40 MB are kept or wait for the disk; what was asked for before that, 16 messages of a MB,
    may still be on its way. So no more than 56 come, and of the rest the broker keeps all but the 16 next ones.
    """
    large = json.dumps({"n": 1, "text": "x" * 1_000_000}).encode()
    stream = make(broker, f"{queue}_stream"[-60:], "stream")
    for one in (make(broker, queue), stream):
        send(broker, one, [large] * 100)
    logs, beside = opened(source(broker, queue, prefetch=16, journal_bytes_most=40_000_000), context), ReadContext()
    streamed = opened(source(broker, stream, stream=True, prefetch=8), beside)
    intake = streamed.reader._intake  # type: ignore[attr-defined] # what waits for the reader
    keeper = logs.keeper  # type: ignore[attr-defined] # as above
    while intake.has_room or not keeper.journal.is_full:
        context.wake.wait(0.05)
    assert intake._bytes < 80 * 2**20
    assert len(numbers(read(streamed, beside, 100)[1])) == 100
    streamed.close()
    assert 40 <= keeper.journal.next <= 56
    assert waiting(broker, queue) >= 100 - 56 - 16
    found = 0
    while found < 100:
        reader, batches = read(logs, context, 1)
        found += len(numbers(batches))
        reader.decided(reader.position(), reader.position())  # type: ignore[attr-defined] # a queue's reader
    assert found == 100
    logs.close()


@pytest.mark.parametrize("place", [1, 97, 300])
def test_a_stream_is_read_again_from_a_position_with_the_same_offsets(broker: RabbitMq, queue: str, place: int) -> None:
    send(broker, make(broker, queue, "stream"), numbered(*range(300)))
    context = ReadContext()
    logs = opened(source(broker, queue, stream=True), context)
    reader, first = read(logs, context, place, 1)
    position = dict(reader.position())
    assert position == {"offset": place}
    logs.close()
    send(broker, queue, numbered(300))
    logs = opened(source(broker, queue, stream=True), context, position)
    _, rest = read(logs, context, 301 - place)
    logs.close()
    rows = pl.concat([batch.rows for batch in (*first, *rest)])
    assert rows.get_column("n").to_list() == list(range(301))
    assert rows.get_column("_offset").to_list() == list(range(301))
    logs = opened(source(broker, queue, stream=True, start=250), context)
    assert numbers(read(logs, context, 51)[1]) == list(range(250, 301))
    logs.close()


def test_what_a_stream_has_thrown_away_stops_the_run(broker: RabbitMq, queue: str) -> None:
    make(broker, queue, "stream", x_max_length_bytes=200_000, x_stream_max_segment_size_bytes=50_000)
    send(broker, queue, [json.dumps({"n": n, "text": "x" * 20_000}).encode() for n in range(100)])
    context = ReadContext()
    logs = opened(source(broker, queue, stream=True), context, {"offset": 3})
    with pytest.raises(et.SourceError, match="thrown (them )?away"):
        read(logs, context, 1)
    logs.close()


def test_what_is_not_there_or_of_another_kind_is_told(broker: RabbitMq, queue: str, context: ReadContext) -> None:
    def refused(words: str, **settings: Any) -> None:
        name = settings.pop("queue", queue)
        logs = opened(source(broker, name, **settings), context)
        with pytest.raises(et.SourceError, match=words):
            read(logs, context, 1)
        logs.close()

    refused("there is no queue 'nobody' in RabbitMQ", queue="nobody")
    make(broker, queue)
    refused("is no stream: leave out stream=True", stream=True)
    stream = make(broker, f"{queue}_s", "stream")
    logs = opened(source(broker, stream), context)

    def until_refused() -> None:
        while logs.discover() is not None:
            logs.reader.read(1)  # type: ignore[attr-defined] # it begins behind what is there
            send(broker, stream, numbered(1))

    with pytest.raises(et.SourceError, match="is a stream: say stream=True"):
        until_refused()
    logs.close()


def test_a_wrong_password_is_told_without_it(
    broker: RabbitMq, queue: str, context: ReadContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = et.read_rabbitmq(queue, env="AIR_MQ", schema={"n": int})
    for address, words in (
        (f"amqp://guest:hush@127.0.0.1:{broker.port}", "does not let us in: check user and password"),
        (f"amqp://guest:guest@127.0.0.1:{broker.port}/hush", "into the virtual host"),
        ("amqp://me:hu/sh@h@x:port", "AIR_MQ cannot be read as an address.*%40"),
    ):
        monkeypatch.setenv("AIR_MQ", address)
        logs = opened(made, context)
        with pytest.raises(et.SourceError, match=words) as caught:
            read(logs, context, 1)
        assert "hu" not in str(caught.value)
        logs.close()
    with pytest.raises(ValueError, match="name it with env=") as refused:
        et.read_rabbitmq("q", address="amqp://me:hush@h", schema={"n": int})
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prefetch": 0}, "prefetch=0 must be from 1"),
        ({"start": "latest"}, "start= is for streams"),
        ({"stream": True, "unique_ids": True}, "are for queues"),
        ({"stream": True, "start": "soon"}, "is no place"),
        ({"address": "h"}, "must begin with amqp"),
        ({"env": "A"}, "say where RabbitMQ is, once"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        et.read_rabbitmq("q", **{"schema": {"n": int}, "address": "amqp://h", **settings})


def test_plans_with_rabbitmq_are_text_without_secrets() -> None:
    for made in (
        et.read_rabbitmq("q", env="AIR_MQ", schema={"n": int}, routing_key="key", unique_ids=True, prefetch=7),
        et.read_rabbitmq("s", address="amqp://h", schema={"n": int}, stream=True, start=12, arrival=None),
    ):
        both = made.write(et.write_rabbitmq("out", env="AIR_MQ"), "late").write(
            et.write_rabbitmq("a.b", exchange="air", address="amqp://h"), "dead_letters"
        )
        assert Stream.from_yaml(both.to_yaml()) == both


def test_check_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "is_installed", lambda: False)
    stream = et.read_rabbitmq("q", env="A", schema={"n": int})
    with pytest.raises(et.PlanError, match=r'pip install "eventide\[rabbitmq\]"'):
        stream.check()
