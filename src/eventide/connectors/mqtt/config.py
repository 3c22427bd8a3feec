"""Where an MQTT broker is, and a client for it.

Law: no password is kept, shown or written; what an address holds is never repeated in a message.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from eventide.errors import EventideError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEPALIVE_S = 60
_WAIT_MOST_S = 8
_STRANGERS = (0x85, 0x86, 0x87, 0x8A, 0x8C)
"""Reasons of a broker that trying again does not change: client id, name, password or right are wrong, or banned."""


@dataclass(frozen=True, slots=True)
class Broker:
    """An address (`server`) without a user, or the environment variable `env` that holds one."""

    server: str | None = None
    env: str | None = None

    def __post_init__(self) -> None:
        if (self.server is None) == (self.env is None):
            raise ValueError(
                'say where the broker is, once: server="mqtt://host:1883" (mqtts:// with TLS), or env="NAME" of the '
                "environment variable that holds such a text"
            )
        if self.server is not None:
            if "@" in self.server:
                raise ValueError(
                    "server= holds a user or a password, which would stand in plans and logs: put the whole text into "
                    "an environment variable and name it with env="
                )
            _parts(self.server, "server=")

    def client(self, fault: type[EventideError], client_id: str) -> Made:
        """A client that is not connected yet. Raises the given error when it cannot be made."""
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
        except ImportError:
            raise fault("the client of MQTT is not installed: pip install eventide[mqtt]") from None
        text = self.server if self.env is None else os.environ.get(self.env, "").strip()
        if not text:
            raise fault(f"the environment variable {self.env} is not set: it must hold where the broker is")
        try:
            parts = _parts(text, f"the environment variable {self.env}")
        except ValueError as told:
            raise fault(str(told)) from None
        made = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
        if parts.username is not None:
            made.username_pw_set(unquote(parts.username), None if parts.password is None else unquote(parts.password))
        if parts.scheme == "mqtts":
            made.tls_set()
        made.reconnect_delay_set(0.1, _WAIT_MOST_S)  # type: ignore[arg-type] # it takes parts of a second
        return Made(made, parts.hostname or "", parts.port or _PORTS[parts.scheme])

    def as_tree(self) -> dict[str, str]:
        """The broker as plain values."""
        return {"env": self.env} if self.env is not None else {"server": str(self.server)}


@dataclass(frozen=True, slots=True)
class Made:
    """A client and where it shall connect to."""

    client: Client
    host: str
    port: int

    def start(self, *, clean: bool | Literal[3], session_s: int, receive_most: int | None = None) -> None:
        """Connect, again and again while there is nobody, in a thread of the client's own."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # as the client has it
        properties.SessionExpiryInterval = session_s
        if receive_most is not None:
            properties.ReceiveMaximum = receive_most
        self.client.connect_async(self.host, self.port, _KEEPALIVE_S, clean_start=clean, properties=properties)
        self.client.loop_start()

    def end(self, *, forget: bool = False) -> None:
        """Say farewell and end the thread; the broker may `forget` the session."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call] # as the client has it
        if forget:
            properties.SessionExpiryInterval = 0
        self.client.disconnect(properties=properties)
        self.client.loop_stop()


def is_stranger(code: int) -> bool:
    """True for a refusal that lasts."""
    return code in _STRANGERS


def is_installed() -> bool:
    """True when the client is there."""
    return find_spec("paho") is not None


def _parts(text: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        if parts.scheme in _PORTS and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError(
        f'{where} does not hold an address of a broker: it looks like "mqtt://host:1883" or "mqtts://host"'
    )
