"""MQTT 5 as source and sink, on a real broker that is stopped and started again."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import eventide as et
from eventide.connectors.journal import JournalLogs
from eventide.connectors.mqtt import sink as sink_module
from eventide.flow import Acknowledged, Batch, EpochWriter, Opening, ReadContext
from eventide.testing.services import running
from eventide.testing.services.mosquitto import Mosquitto

SCHEMA: dict[str, Any] = {"n": int, "text": str}
COLUMNS = {"n": pl.Int64(), "text": pl.String()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with running(Mosquitto(tmp_path_factory.mktemp("mosquitto"))) as started:
        yield started


@pytest.fixture
def top(request: pytest.FixtureRequest) -> str:
    """A first topic level of its own for a test."""
    return "".join(one if one.isalnum() else "_" for one in request.node.name)[-60:]


class Other:
    """Another client of the broker."""

    def __init__(self, server: Mosquitto) -> None:
        self.got: list[MQTTMessage] = []
        self.changed = threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_message = self._came
        self.client.max_inflight_messages_set(500)
        self.client.connect("127.0.0.1", server.port)
        self.client.loop_start()

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, topic: str, *values: bytes, qos: int = 1, retain: bool = False, **properties: str) -> None:
        told = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for pair in properties.items():
            told.UserProperty = pair
        sent = [self.client.publish(topic, value, qos, retain, told) for value in values]
        for one in sent:
            one.wait_for_publish(30)
            assert one.is_published()

    def listen(self, topic: str) -> None:
        done = threading.Event()
        self.client.on_subscribe = lambda *_: done.set()
        self.client.subscribe(topic, 1)
        assert done.wait(60)

    def _came(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        with self.changed:
            self.got.append(message)
            self.changed.notify_all()

    def wait(self, count: int) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.got) >= count, 30), len(self.got)
            return [json.loads(one.payload) for one in self.got]


def send_large(server: Mosquitto, topic: str, size: int) -> None:
    """Send one large message with QoS 1, by hand: the client copies such ones again and again."""
    rest = len(topic).to_bytes(2, "big") + topic.encode() + b"\0\1\0"
    left, length = len(rest) + size, b""
    while left:
        length += bytes([left % 128 | (128 if left > 127 else 0)])
        left //= 128
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"\x10\x0e\0\4MQTT\5\2\0\0\0\0\1x")
        assert raw.recv(100)[:1] == b"\x20"
        raw.sendall(b"\x32" + length + rest)
        for _ in range(size // 2**20):
            raw.sendall(b"x" * 2**20)
        assert raw.recv(100)[:1] == b"\x40"


def numbered(*numbers: int) -> list[bytes]:
    return [json.dumps({"n": number, "text": "ü"}).encode() for number in numbers]


class Open:
    """An opened source, read until so much is there."""

    def __init__(self, broker: Mosquitto, folder: Path, topics: str | Sequence[str], **settings: Any) -> None:
        self.context = ReadContext()
        given = {"schema": SCHEMA, "server": broker.address, "journal": str(folder / "journal"), **settings}
        source = et.read_mqtt(topics, **given).plan.inputs[0].source
        logs = source.open(self.context, {})
        assert isinstance(logs, JournalLogs)
        assert isinstance(logs.reader, Acknowledged)
        self.logs = logs

    def __enter__(self) -> Open:
        return self

    def __exit__(self, *_: object) -> None:
        self.logs.close()

    def wait(self, subscribed: Callable[[], bool]) -> None:
        while not subscribed():
            self.logs.reader.watch()
            threading.Event().wait(0.01)

    def read(self, count: int, rows_max: int = 1_000) -> tuple[pl.DataFrame, pl.DataFrame]:
        """So many rows and refused rows."""
        batches: list[Batch] = []
        while sum(batch.received for batch in batches) < count:
            self.context.wake.clear()
            batch = self.logs.reader.read(rows_max)
            if batch is not None:
                batches.append(batch)
            else:
                assert self.context.wake.wait(60), f"{sum(one.received for one in batches)} of {count}"
        rows, refused = (pl.concat([getattr(one, part) for one in batches]) for part in ("rows", "refused"))
        return rows, refused


def settle(server: Mosquitto, folder: Path, topics: str | Sequence[str], **settings: Any) -> None:
    """Make the session once, so that the broker keeps what is sent from now on."""
    with Other(server) as other, Open(server, folder, topics, **settings) as opened:
        first = topics if isinstance(topics, str) else topics[0]
        topic = first.removeprefix("$share/g/").replace("#", "first").replace("+", "first")
        while not opened.context.wake.is_set():
            other.send(topic, b"{}")
            opened.context.wake.wait(0.05)
        opened.read(1)
        opened.logs.keeper.close()
        end = opened.logs.keeper.journal.next
        opened.logs.reader.decided({"offset": end}, {"offset": end})


def test_messages_come_in_order_with_topic_levels_and_properties(server: Mosquitto, tmp_path: Path, top: str) -> None:
    columns: dict[str, Any] = {"topic": "topic", "levels": (None, "site", "kind"), "properties": "properties"}
    settle(server, tmp_path, f"{top}/#", **columns)
    with Other(server) as other:
        other.send(f"{top}/graz/dose", *numbered(*range(300)))
        other.send(f"{top}/ü", b'{"n": 300, "text": null}', unit="µSv", x="1")
    with Open(server, tmp_path, f"{top}/#", **columns) as opened:
        rows, _ = opened.read(301, rows_max=70)
    assert rows.get_column("n").to_list() == list(range(301))
    offsets = rows.get_column("_offset")
    assert offsets.to_list() == list(range(offsets[0], offsets[0] + 301))
    expected = {"n": 299, "text": "ü", "topic": f"{top}/graz/dose", "site": "graz", "kind": "dose", "properties": None}
    assert rows.drop("_offset", "_arrival").row(299, named=True) == expected
    assert rows.row(300)[2:6] == (f"{top}/ü", "ü", None, '{"unit": "µSv", "x": "1"}')


def test_what_is_sent_while_the_run_is_away_is_kept_by_the_broker_and_comes_once(
    server: Mosquitto, tmp_path: Path, top: str
) -> None:
    settle(server, tmp_path, f"{top}/a")
    for start in (0, 100):
        with Other(server) as other:
            other.send(f"{top}/a", *numbered(*range(start, start + 100)))
        with Open(server, tmp_path, f"{top}/a") as opened:
            rows, _ = opened.read(100)
            assert rows.get_column("n").to_list() == list(range(start, start + 100))
            opened.logs.keeper.close()
            position = opened.logs.reader.position()
            opened.logs.reader.decided(position, position)


def test_nothing_is_acknowledged_that_is_not_on_the_disk(
    server: Mosquitto, tmp_path: Path, top: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(server, tmp_path, f"{top}/a")
    opened = Open(server, tmp_path, f"{top}/a")
    with opened, Other(server) as other:
        disk = type(opened.logs.keeper.journal._disk)
        with monkeypatch.context() as broken:
            broken.setattr(disk, "append", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            other.send(f"{top}/a", *numbered(1, 2))
            with pytest.raises(et.SourceError, match="cannot write to the journal in .*: No space left on device"):
                opened.wait(lambda: False)
    with Open(server, tmp_path, f"{top}/a") as opened:
        assert opened.read(2)[0].get_column("n").to_list() == [1, 2]


def test_two_runs_share_a_subscription(server: Mosquitto, tmp_path: Path, top: str) -> None:
    shared = f"$share/g/{top}/a"
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        settle(server, folder, shared)
    with Open(server, folders[0], shared) as one, Open(server, folders[1], shared) as two:
        with Other(server) as other:
            other.send(f"{top}/a", *numbered(*range(200)))
        found: list[int] = []
        while len(found) < 200:
            for opened in (one, two):
                batch = opened.logs.reader.read(1_000)
                found += [] if batch is None else [n for n in batch.rows.get_column("n") if n is not None]
            threading.Event().wait(0.01)
        assert one.logs.reader.position() != two.logs.reader.position()
    assert sorted(found) == list(range(200))


def test_retained_messages_count_unless_they_shall_not(server: Mosquitto, tmp_path: Path, top: str) -> None:
    with Other(server) as other:
        other.send(f"{top}/a", *numbered(1), retain=True)
        with Open(server, tmp_path / "with", f"{top}/a") as opened:
            assert opened.read(1)[0].get_column("n").to_list() == [1]
        with Open(server, tmp_path / "without", f"{top}/a", retained=False) as opened:
            while not opened.context.wake.is_set():
                other.send(f"{top}/a", *numbered(2))
                opened.context.wake.wait(0.05)
            assert opened.read(1)[0].get_column("n")[0] == 2


def test_what_cannot_be_read_is_a_dead_letter_and_memory_holds(server: Mosquitto, tmp_path: Path, top: str) -> None:
    settle(server, tmp_path, f"{top}/a", record_max_bytes=2**21)
    poison = [b"", b"\xff", b"[" * 1_000_000, b'{"n": "x"}', b'{"n": 1}\n{"n": 2}']
    with Other(server) as other:
        other.send(f"{top}/a", *poison)
        send_large(server, f"{top}/a", 100 * 2**20)
        other.send(f"{top}/a", b'{"n": 4}')
    with Open(server, tmp_path, f"{top}/a", record_max_bytes=2**21) as opened:
        rows, refused = opened.read(7)
        held = sum(path.stat().st_size for path in (tmp_path / "journal").glob("*.log"))
    assert rows.get_column("n").to_list() == [4]
    assert refused.height == 6
    assert "longer than" in refused.get_column("reason")[5]
    assert held < 2**21


def test_when_the_engine_is_slow_messages_wait_with_the_broker(server: Mosquitto, tmp_path: Path, top: str) -> None:
    settings: dict[str, Any] = {"journal_bytes_most": 2_000_000}
    settle(server, tmp_path, f"{top}/a", **settings)
    value = [json.dumps({"n": n, "text": "x" * 50_000}).encode() for n in range(300)]
    with Other(server) as other, Open(server, tmp_path, f"{top}/a", **settings) as opened:
        other.send(f"{top}/a", *value)
        opened.wait(lambda: not opened.logs.keeper.has_room)
        assert sum(path.stat().st_size for path in (tmp_path / "journal").glob("*.log")) < 2_500_000
        found: list[int] = []
        while len(found) < 300:
            found += opened.read(1)[0].get_column("n").to_list()
            position = opened.logs.reader.position()
            opened.logs.reader.decided(position, position)
        assert found == list(range(300))


EPOCHS = [
    pl.DataFrame({"n": [1, 2], "text": ["a", "ü\n\"'"]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"n": [3, None, 3], "text": [None, "a\0", None]}, schema=COLUMNS),
    pl.DataFrame({"n": range(10, 2_000), "text": ["x"] * 1_990}, schema=COLUMNS),
]


def writer_of(server: Mosquitto, topic: str) -> EpochWriter:
    return et.write_mqtt(topic, server=server.address).open_epochs(Opening("late", COLUMNS, (), "run"))


def test_each_epoch_is_sent_and_after_a_kill_the_last_one_again_under_the_same_ids(server: Mosquitto, top: str) -> None:
    with Other(server) as other:
        other.listen(f"{top}/out")
        writer = writer_of(server, f"{top}/out")
        writer.recover(0, EPOCHS[1], {})
        stands = []
        for epoch, rows in enumerate(EPOCHS, 1):
            stands.append(writer.stand())
            writer.deliver(epoch, rows)
        writer.close()
        expected = [row for rows in EPOCHS for row in rows.to_dicts()]
        assert other.wait(len(expected)) == expected
        writer = writer_of(server, f"{top}/out")
        writer.recover(3, EPOCHS[2], stands[2])
        writer.close()
        assert other.wait(len(expected) + 3)[-3:] == EPOCHS[2].to_dicts()
        ids = [dict(one.properties.UserProperty)["eventide-id"] for one in other.got]  # type: ignore[union-attr]
        assert ids[2:5] == ids[-3:] == ["run:late:3:0", "run:late:3:1", "run:late:3:2"]
        assert len(set(ids)) == len(expected)


def test_who_is_not_let_in_and_who_is_not_there_is_told_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = "user air\ntopic readwrite ok/#\n"
    with running(Mosquitto(tmp_path, user="air", password="wind", rights=rights)) as closed:
        monkeypatch.setenv("AIR_MQTT", f"mqtt://air:hush@127.0.0.1:{closed.port}")
        sink = et.write_mqtt("ok/out", env="AIR_MQTT")
        with pytest.raises(et.SinkError, match="does not let us in") as told:
            sink.open("late", COLUMNS, ())
        settings: dict[str, Any] = {"server": None, "env": "AIR_MQTT"}
        opened = Open(closed, tmp_path / "1", "ok/in", **settings)
        with opened, pytest.raises(et.SourceError, match="does not let us in") as caught:
            opened.wait(lambda: False)
        assert "hush" not in f"{told.value!r} {caught.value!r} {sink!r}"
        monkeypatch.setenv("AIR_MQTT", f"mqtt://air:wind@127.0.0.1:{closed.port}")
        writer = et.write_mqtt("no/out", env="AIR_MQTT").open_epochs(Opening("late", COLUMNS, (), "run"))
        with pytest.raises(et.SinkError, match="does not take messages of mqtt topic no/out: not authorized"):
            writer.deliver(1, EPOCHS[0])
        writer.close()
        et.write_mqtt("ok/out", env="AIR_MQTT").open("late", COLUMNS, ()).close()
    monkeypatch.setattr(sink_module, "_PATIENCE_S", 0.2)
    with pytest.raises(et.SinkError, match="cannot send to mqtt topic ok/out: .* Check the broker's address"):
        sink.open("late", COLUMNS, ())
    opened = Open(closed, tmp_path / "2", "ok/in", patience="200ms")
    with opened, pytest.raises(et.SourceError, match="no MQTT broker to read ok/in from: nobody answers"):
        opened.wait(lambda: False)


def test_plans_as_text_and_what_is_no_topic() -> None:
    made = et.read_mqtt(
        ["a/+", "$share/g/b/#"], env="M", schema=SCHEMA, levels=(None, "x"), topic="t", session="2h", journal="j"
    )
    made = made.write(et.write_mqtt("out", server="mqtts://broker", retain=True))
    assert et.Stream.from_yaml(made.to_yaml()).plan == made.plan
    for topic in ("", "a/#/b", "a+", "a/b#", "$share/a", "$share/+/a"):
        with pytest.raises(ValueError, match="no topic|no shared"):
            et.read_mqtt(topic, server="mqtt://a", schema=SCHEMA)
    wrongs: list[dict[str, Any]] = [
        {"server": "mqtt://u:p@a"},
        {"server": "http://a"},
        {},
        {"server": "mqtt://a", "env": "B"},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="server="):
            et.write_mqtt("a", **wrong)
    for topic in ("a/+", "#", "", "$SYS/a"):
        with pytest.raises(ValueError, match="is not one topic"):
            et.write_mqtt(topic, server="mqtt://a")
