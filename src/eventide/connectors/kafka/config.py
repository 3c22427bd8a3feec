"""How to reach Kafka: servers, settings of the client, and secrets by the name of their environment variable.

Law: a secret stands nowhere but in the environment: not in a plan, its text, its `repr` or an error.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from eventide.errors import EventideError
from eventide.flow import SystemClock

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

Setting = str | int | float | bool
Servers = str | Sequence[str]

logger = logging.getLogger("eventide.kafka")

_T = TypeVar("_T")
_AGAIN_US = 100_000

_FROM_ENVIRONMENT = "env:"
_SECRET = re.compile(r"password|secret|\.pem$|token|private|sasl\.jaas|credential")
_OWN = (
    *("bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset"),
    *("isolation.level", "enable.partition.eof", "transactional.id", "enable.idempotence", "acks", "error_cb"),
)
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Kafka is and how its client is set. Values `"env:NAME"` are taken from the environment when it connects."""

    servers: str
    settings: tuple[tuple[str, Setting], ...] = ()

    def __post_init__(self) -> None:
        if not self.servers or any(not one.strip() for one in self.servers.split(",")):
            raise ValueError(f'servers={self.servers!r} names no server: write for example servers="localhost:9092"')
        for name, value in self.settings:
            if name in _OWN:
                raise ValueError(f"settings: {name!r} is set by Eventide itself: leave it out")
            literal = not (isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT))
            if literal and _SECRET.search(name) and not name.endswith(".location"):
                raise ValueError(
                    f"settings: {name!r} is a secret and must not stand in a plan: put it into an environment "
                    f'variable and write {{"{name}": "env:THE_VARIABLE"}}'
                )

    @property
    def missing(self) -> list[str]:
        """The environment variables that settings name and that are not there."""
        names = [name for _, value in self.settings if (name := _variable(value)) is not None]
        return [name for name in names if name not in os.environ]

    def client(self, own: Mapping[str, object], fault: type[EventideError]) -> dict[str, Any]:
        """The settings of a client: first our usual ones, then the user's, then those that must be."""
        if self.missing:
            raise fault(
                f"Kafka at {self.servers}: settings= names the environment variable {self.missing[0]}, which is not set"
            )
        given = {
            name: os.environ[variable] if (variable := _variable(value)) else value for name, value in self.settings
        }
        return {"log_level": 0, "client.id": "eventide", **given, "bootstrap.servers": self.servers, **own}


def _variable(value: Setting) -> str | None:
    found = isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT)
    return str(value).removeprefix(_FROM_ENVIRONMENT) if found else None


def connection(servers: Servers, settings: Mapping[str, Setting] | None) -> Connection:
    """A connection as `read_kafka` and `write_kafka` take it."""
    named = servers if isinstance(servers, str) else ",".join(servers)
    return Connection(named, tuple(sorted((settings or {}).items())))


def check_topic(topic: object) -> None:
    """Refuse what Kafka does not take as the name of a topic."""
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise ValueError(f"topic {topic!r} is not a name that Kafka takes: letters, digits, dot, underscore and hyphen")


def library(fault: type[EventideError]) -> ModuleType:
    """The client library."""
    try:
        import confluent_kafka
    except ImportError:
        raise fault('Kafka needs the package confluent-kafka: pip install "eventide[kafka]"') from None
    return confluent_kafka


def problems_of(reached: Connection) -> list[tuple[str, str]]:
    """What keeps a run from reaching Kafka and can be known without trying, each with its remedy."""
    from importlib.util import find_spec

    found = []
    if find_spec("confluent_kafka") is None:
        found.append(("Kafka needs the package confluent-kafka", 'pip install "eventide[kafka]"'))
    named = "settings= names the environment variable {}, which is not set"
    return [*found, *((named.format(name), f"Set {name}") for name in reached.missing)]


@contextmanager
def told(fault: type[EventideError], what: str, remedy: str = "") -> Iterator[None]:
    """Faults of the client in our words."""
    import confluent_kafka

    try:
        yield
    except confluent_kafka.KafkaException as thrown:
        raise fault(f"{what}: {explained(thrown.args[0], remedy)}") from None


def explained(error: KafkaError, remedy: str = "") -> str:
    """An error of Kafka with what to do about it."""
    import confluent_kafka

    code, text = error.code(), str(error.str())
    kinds: Mapping[int, str] = {
        confluent_kafka.KafkaError._TRANSPORT: "Is the broker running, and is servers= right?",
        confluent_kafka.KafkaError._ALL_BROKERS_DOWN: "Is the broker running, and is servers= right?",
        confluent_kafka.KafkaError._TIMED_OUT: "Is the broker running, and is servers= right?",
        confluent_kafka.KafkaError._RESOLVE: "Check the name of the host in servers=",
        confluent_kafka.KafkaError._AUTHENTICATION: "Check the security settings and the variables they name",
        confluent_kafka.KafkaError._SSL: "Check the security settings and certificates",
        confluent_kafka.KafkaError._INVALID_ARG: "Check settings=",
        confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART: "Create the topic first, or check its name",
        confluent_kafka.KafkaError._UNKNOWN_TOPIC: "Create the topic first, or check its name",
        confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED: "Give this user the right to it",
        confluent_kafka.KafkaError.GROUP_AUTHORIZATION_FAILED: "Give this user the right to the group",
        confluent_kafka.KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "Give this user the right to transactions",
        confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE: 'Raise settings={"message.max.bytes": ...} and the topic limit',
        confluent_kafka.KafkaError._FENCED: "Another run with the same state writes: stop one of them",
    }
    return ". ".join(part for part in (text, kinds.get(code, remedy)) if part)


def patiently(work: Callable[[], _T], patience_us: int) -> _T:
    """Do work; when a connection breaks under it, or a partition has no leader yet, it is done again, for so long."""
    import confluent_kafka

    kinds = confluent_kafka.KafkaError
    away = (kinds._TRANSPORT, kinds._TIMED_OUT, kinds._ALL_BROKERS_DOWN, kinds._DESTROY_BROKER)
    passing = (*away, kinds.NOT_LEADER_FOR_PARTITION, kinds.LEADER_NOT_AVAILABLE, kinds.REQUEST_TIMED_OUT)
    clock, never = SystemClock(), threading.Event()
    until_us = clock.now_us() + patience_us
    while True:
        try:
            return work()
        except confluent_kafka.KafkaException as thrown:
            if thrown.args[0].code() not in passing or clock.now_us() > until_us:
                raise
        clock.wait(never, _AGAIN_US)


@dataclass
class Presence:
    """Notices that all brokers are away and that they are back, and says each once. Keeps an error that waiting does
    not mend.
    """

    servers: str
    fault: KafkaError | None = None
    away: bool = False
    wake: Callable[[], None] = field(default=lambda: None)

    def heard(self, error: KafkaError) -> None:
        """The client's callback for errors of its own."""
        import confluent_kafka

        kinds = confluent_kafka.KafkaError
        if error.fatal() or error.code() in (kinds._AUTHENTICATION, kinds._FENCED):
            self.fault = error
            self.wake()
        elif error.code() == kinds._ALL_BROKERS_DOWN and not self.away:
            self.away = True
            logger.warning("Kafka at %s does not answer: waiting for it", self.servers)

    def back(self) -> None:
        """Something came from a broker."""
        if self.away:
            self.away = False
            logger.warning("Kafka at %s answers again", self.servers)
