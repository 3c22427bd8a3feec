"""Topics of an MQTT broker as a sink: each row a JSON message, with an id made of run, output, epoch and row.

Law: an epoch is decided before any of it is sent, and done when the broker has confirmed all of it. What a kill leaves
unknown is sent again, under the same ids.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from eventide.connectors.by_commit import ByCommit
from eventide.connectors.files.encoding import rows_as_bytes
from eventide.connectors.kinds import check_kinds
from eventide.connectors.mqtt.config import Broker, is_installed, is_stranger
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_ID = "eventide-id"
_AT_ONCE = 500
_SESSION_S = 3_600
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class MqttTopic:
    """A topic of a broker; `retain` makes the broker keep the last message for those who subscribe later."""

    broker: Broker
    topic: str
    retain: bool = False

    def __post_init__(self) -> None:
        if not self.topic or any(mark in self.topic for mark in "+#\0") or self.topic.startswith("$"):
            raise ValueError(f"topic={self.topic!r} is not one topic: leave out +, # and a $ in front")

    @property
    def name(self) -> str:
        return f"mqtt topic {self.topic}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "mqtt"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> ByCommit:
        publisher = Publisher(self, f"{uuid.uuid4().hex}:{output}")
        return ByCommit(publisher.send, publisher.close)

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return MqttEpochs(Publisher(self, f"{opening.run}:{opening.output}"))


class Publisher:
    """A connection that sends messages and waits for the broker to confirm them."""

    def __init__(self, sink: MqttTopic, prefix: str) -> None:
        self._sink = sink
        self._prefix = prefix
        self._made = sink.broker.client(SinkError, f"eventide-{uuid.uuid4().hex[:12]}")
        self._changed = threading.Condition()
        self._confirmed = 0
        self._why = "nobody answers"
        self._is_there = False
        self._fault: str | None = None
        client = self._made.client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.max_inflight_messages_set(_AT_ONCE)
        self._made.start(clean=3, session_s=_SESSION_S)  # 3: clean at the first connect, the same session afterwards
        try:
            self._wait(lambda: self._is_there)
        except BaseException:
            self.close()
            raise

    def send(self, epoch: int, rows: pl.DataFrame) -> None:
        """Send the rows of an epoch; on return the broker has them. Raises `SinkError`."""
        payloads = [line for line in rows_as_bytes(rows, "ndjson", header=False).split(b"\n") if line]
        for start in range(0, len(payloads), _AT_ONCE):
            part = payloads[start : start + _AT_ONCE]
            with self._changed:
                self._confirmed = 0
            for number, payload in enumerate(part, start):
                self._publish(f"{self._prefix}:{epoch}:{number}", payload)
            self._wait(lambda part=part: self._confirmed >= len(part))

    def _publish(self, name: str, payload: bytes) -> None:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # as the client has it
        properties.UserProperty = (_ID, name)
        properties.ContentType = "application/json"
        try:
            self._made.client.publish(self._sink.topic, payload, 1, self._sink.retain, properties)
        except ValueError as fault:
            raise SinkError(f"a row cannot be sent to {self._sink.name}: {fault}") from None

    def _wait(self, done: Any) -> None:
        """Wait for something while there is progress, or half a minute without."""
        with self._changed:
            seen = self._confirmed
            while not done() and self._fault is None:
                if self._changed.wait(_PATIENCE_S) or seen != self._confirmed:
                    seen = self._confirmed
                    continue
                raise SinkError(
                    f"cannot send to {self._sink.name}: {self._why}. Check the broker's address, or start it"
                )
            if self._fault is not None:
                raise SinkError(self._fault)

    def _on_connect(self, client: Client, userdata: object, flags: object, code: Any, properties: object) -> None:
        with self._changed:
            if code.is_failure:
                self._why = f"the broker answers {str(code).lower()}"
                if is_stranger(code.value):
                    self._fault = f"the MQTT broker does not let us in ({str(code).lower()}): check user and password"
            else:
                self._is_there = True
            if self._fault is not None or self._is_there:
                self._changed.notify_all()

    def _on_disconnect(self, client: Client, userdata: object, flags: object, code: object, properties: object) -> None:
        self._why = "the connection broke off"

    def _on_publish(self, client: Client, userdata: object, mid: int, code: Any, properties: object) -> None:
        with self._changed:
            self._confirmed += 1
            if code.is_failure:
                self._fault = (
                    f"the MQTT broker does not take messages of {self._sink.name}: {str(code).lower()}. Check rights"
                )
            self._changed.notify_all()

    def close(self) -> None:
        """Release connection and thread."""
        self._made.end(forget=True)


class MqttEpochs:
    """The rows of an output as messages, epoch by epoch."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def stand(self) -> Stand:
        return {"epochs": "confirmed"}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        self._publisher.send(epoch, rows)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        if epoch and stand:
            self._publisher.send(epoch, rows)

    def close(self) -> None:
        self._publisher.close()


def write_mqtt(topic: str, *, server: str | None = None, env: str | None = None, retain: bool = False) -> MqttTopic:
    """A sink that sends each row as a JSON message to a topic, over MQTT 5 with QoS 1.

    The broker is named as in `read_mqtt`. Each message has the user property `eventide-id`, made of run, output, epoch
    and row: after a kill the last epoch is sent again, and who must not count twice leaves out ids that were seen.

    >>> write_mqtt("air/doses", server="mqtt://127.0.0.1:1883").name
    'mqtt topic air/doses'
    """
    check_kinds(write_mqtt, locals())
    return MqttTopic(Broker(server, env), topic, retain)
