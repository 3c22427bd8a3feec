"""MQTT for the suites: a topic for each place."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.servers.suite.system import SCHEMA, Row, System, as_json, of_json

import eventide as et
from eventide.connectors.mqtt import sink as sink_module
from eventide.flow import Sink
from eventide.testing.services.mosquitto import Mosquitto

NOBODY = "mqtt://127.0.0.1:9"
_PATIENCE_S = 30
_DAY_S = 86_400


class Member:
    """Another client, whose session the broker keeps while it is away."""

    def __init__(self, port: int, name: str) -> None:
        self.got: list[MQTTMessage] = []
        self._changed = threading.Condition()
        self._subscribed, self._there = threading.Event(), threading.Event()
        self.client = client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        client.on_message = self._came
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_connect = lambda *_: self._there.set()
        client.on_disconnect = lambda *_: self._there.clear()
        client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type] # it takes parts of a second
        client.max_inflight_messages_set(1_000)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # as the client has it
        properties.SessionExpiryInterval = _DAY_S
        client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        client.loop_start()

    def listen(self, topic: str) -> None:
        assert self._there.wait(_PATIENCE_S)
        self.client.subscribe(topic, 1)
        assert self._subscribed.wait(_PATIENCE_S)

    def send(self, topic: str, *values: bytes) -> None:
        assert self._there.wait(_PATIENCE_S)
        for one in [self.client.publish(topic, value, 1) for value in values]:
            one.wait_for_publish(_PATIENCE_S)
            assert one.is_published()

    def wait(self, done: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(done, _PATIENCE_S)

    def _came(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        with self._changed:
            self.got.append(message)
            self._changed.notify_all()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class MqttSystem(System):
    """A broker of its own, and one that asks for a password."""

    repeats = True

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._own, self._guarded = Mosquitto(), Mosquitto(user="air", password="wind")
        self.put_behind_link(self._own)
        self._guarded.start()
        self.address = f"mqtt://127.0.0.1:{self.link.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="eventide-suite-")
        self._reading: dict[str, Member] = {}
        self._sending = Member(self._own.port, "sender")

    def close(self) -> None:
        for one in (self._sending, *self._reading.values()):
            one.close()
        super().close()
        self._guarded.stop()
        self._folder.cleanup()

    def be_patient(self, monkeypatch: pytest.MonkeyPatch, waits_s: Sequence[float]) -> None:
        monkeypatch.setattr(sink_module, "_PATIENCE_S", 0.2 if len(waits_s) < 3 else 30.0)

    def make(self, name: str) -> None:
        """Make the session that a source with this name goes on with, so that what comes from now on is kept for it."""
        member = Member(self._own.port, name)
        member.listen(f"{name}/in")
        member.close()

    def put(self, place: str, rows: Sequence[Row]) -> None:
        self._sending.send(f"{self.named(place)}/in", *map(as_json, rows))

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        name = self.named(place)
        journal = str(Path(self._folder.name) / name)
        return et.read_mqtt(f"{name}/in", server=self.address, schema=SCHEMA, client_id=name, journal=journal)

    def refused_stream(self) -> et.Stream:
        return et.read_mqtt("t", env="SUITE_MQTT", schema=SCHEMA)

    def away_stream(self) -> et.Stream:
        return et.read_mqtt("t", server=NOBODY, schema=SCHEMA, patience="200ms")

    @property
    def secrets(self) -> Mapping[str, str]:
        return {"SUITE_MQTT": f"mqtt://air:hush@127.0.0.1:{self._guarded.port}"}

    def sink(self, place: str) -> Sink:
        name = self.named(place)
        if name not in self._reading:
            self._reading[name] = Member(self._own.port, f"{name}-reader")
            self._reading[name].listen(f"{name}/out")
        return et.write_mqtt(f"{name}/out", server=self.address)

    def rows(self, place: str) -> list[dict[str, Any]]:
        """What has come in front of a message sent now."""
        name = self.named(place)
        reader = self._reading[name]
        last = json.dumps({"last": len(reader.got)}).encode()
        self._sending.send(f"{name}/out", last)
        reader.wait(lambda: last in [one.payload for one in reader.got])
        found: dict[str, dict[str, Any]] = {}
        for one in reader.got:
            if one.properties is not None and hasattr(one.properties, "UserProperty"):
                found.setdefault(dict(one.properties.UserProperty)["eventide-id"], of_json(bytes(one.payload)))
        return list(found.values())

    def refused_sink(self) -> Sink:
        return et.write_mqtt("t", env="SUITE_MQTT")

    def away_sink(self) -> Sink:
        return et.write_mqtt("t", server=NOBODY)
