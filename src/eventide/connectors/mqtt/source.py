"""Topics of an MQTT broker as a source: one log, kept in a journal before anything is acknowledged.

Law: offsets are those of the journal; rows arrive when they were kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl

from eventide.connectors.formats.encoded import MessageFormat
from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.journal import JournalLogs, JournalSettings, Record, open_journal
from eventide.connectors.kinds import check_kinds
from eventide.connectors.mqtt.config import Broker, is_installed
from eventide.connectors.mqtt.kept import Parts
from eventide.connectors.mqtt.session import Session
from eventide.errors import SourceError
from eventide.flow import Batch, Position, ReadContext
from eventide.instants import Duration, positive_us
from eventide.plan import Stream
from eventide.semantics.schema import SchemaLike, as_schema

_CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Listening:
    """How a session listens: the name it has with the broker (empty: one of its journal), for how long the broker keeps
    it, how long a broker may be away, and whether retained messages count. The journal is full with so many bytes.
    """

    client_id: str = ""
    session_us: int = 86_400_000_000
    patience_us: int = 30_000_000
    retained: bool = True
    journal_bytes_most: int = JournalSettings().most_bytes

    def __post_init__(self) -> None:
        if self.journal_bytes_most < 1:
            raise ValueError(f"journal_bytes_most={self.journal_bytes_most} must be at least 1")


@dataclass(frozen=True, slots=True)
class MqttTopics:
    """The messages of topics."""

    broker: Broker
    topics: tuple[str, ...]
    parser: MessageParser
    parts: Parts = field(default_factory=Parts)
    listening: Listening = field(default_factory=Listening)
    journal: str | None = None
    name: str = ""
    single_log: bool = field(default=True, init=False)
    bounded: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.topics:
            raise ValueError('topics= names no topic: write for example topics="air/+/dose"')
        for topic in self.topics:
            _check_filter(topic)
        if not self.name:
            object.__setattr__(self, "name", " ".join(self.topics))

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return self.parser.columns

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "mqtt"

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong before anything is opened, each with its remedy."""
        return self.parser.problems

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> JournalLogs:
        parser = self.parser.opened()

        def as_batch(log: str, records: Sequence[Record]) -> Batch:
            return parser.batch(log, self.parts.messages(records))

        settings = JournalSettings(self.listening.journal_bytes_most, in_order=True)
        logs = open_journal(self.name, self.journal, context, positions, as_batch, settings)
        with ExitStack() as held:
            held.callback(logs.close)
            lasting = self.journal is not None or context.state is not None
            client_id = self.listening.client_id or logs.label(_CLIENT, f"eventide-{uuid.uuid4().hex[:12]}")
            made = self.broker.client(SourceError, client_id)
            retained, most = self.listening.retained, self.parser.record_max_bytes
            session = Session(made, self.topics, logs.keeper, context.clock, most, retained=retained)
            session.start(self.listening.session_us // 1_000_000 if lasting else 0)
            logs.held.callback(session.close)
            logs.reader.watch = lambda: session.watch(self.listening.patience_us)
            held.pop_all()
        return logs


def _check_filter(topic: str) -> None:
    levels = topic.split("/")
    if levels[0] == "$share":
        if len(levels) < 3 or not levels[1] or any(one in levels[1] for one in "+#"):
            raise ValueError(f'{topic!r} is no shared subscription: write "$share/GROUP/TOPIC"')
        levels = levels[2:]
    wrong = any(("#" in one and one != "#") or ("+" in one and one != "+") for one in levels)
    if not topic or "\0" in topic or wrong or "#" in levels[:-1] or levels == [""]:
        raise ValueError(f'{topic!r} is no topic: "+" stands for one whole level, "#" for all at the end')


def read_mqtt(  # noqa: PLR0913 - settings of topics, each with a default
    topics: str | Sequence[str],
    *,
    schema: SchemaLike,
    server: str | None = None,
    env: str | None = None,
    format: MessageFormat = "json",
    topic: str | None = None,
    levels: Sequence[str | None] = (),
    properties: str | None = None,
    retained: bool = True,
    client_id: str = "",
    session: Duration = "1d",
    patience: Duration = "30s",
    journal: str | None = None,
    journal_bytes_most: int = JournalSettings().most_bytes,
    arrival: str | None = None,
    record_max_bytes: int = RECORD_MAX_BYTES,
    name: str = "",
) -> Stream:
    """A stream of the messages of topics, such as `"air/+/dose"` or `"$share/GROUP/air/#"`, over MQTT 5.

    The broker is named by `server`, such as `"mqtt://host:1883"` or `"mqtts://host"` (with TLS), or by `env`, the
    environment variable that holds such an address with user and password. Messages are subscribed to with QoS 1, and
    acknowledged when they are on the disk: in the folder `journal`, by default below the run's state folder (without
    either they last as long as the run, and so does the session). It takes up to `journal_bytes_most` bytes that no
    checkpoint holds yet. The broker keeps what comes while the run is away for `session`. A run stops when the broker
    is away for longer than `patience`.

    `format` is `"json"` (an object a message), `"csv"` (a record), `"raw"` or what `avro_format` and its like make.
    `topic` names a column of text for the message's topic, `levels` columns for the topic's levels in their order (None
    leaves one out), `properties` one for its user properties as a JSON object. `retained=False` leaves out what the
    broker held when the session began. Rows arrive when they were kept, or as the column `arrival` says. What cannot be
    read goes to `dead_letters`.

    >>> stream = read_mqtt("air/+/dose", levels=(None, "sensor"), schema={"dose": float}, server="mqtt://127.0.0.1")
    >>> stream.plan.inputs[0].source.name
    'air/+/dose'
    """
    check_kinds(read_mqtt, locals())
    parts = Parts(topic, tuple(levels), properties)
    parser = MessageParser(as_schema(schema), format, arrival, record_max_bytes, (), parts.columns)
    given = (topics,) if isinstance(topics, str) else tuple(topics)
    durations = positive_us(session, "session"), positive_us(patience, "patience")
    listening = Listening(client_id, *durations, retained, journal_bytes_most)
    return Stream.from_source(MqttTopics(Broker(server, env), given, parser, parts, listening, journal, name))
