"""The ways in and out: `read_kafka` and `write_kafka`.

Law: nothing is connected before the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from eventide.connectors.formats.encoded import MessageFormat, RawFormat, RegistryFormat
from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.formats.text import RECORD_MAX_BYTES
from eventide.connectors.kafka.config import Servers, Setting, connection
from eventide.connectors.kafka.encoding import Retractions
from eventide.connectors.kafka.sink import KafkaSink, Writing
from eventide.connectors.kafka.source import Isolation, KafkaTopics, Reading, Start
from eventide.connectors.kinds import check_kinds
from eventide.instants import Duration, positive_us
from eventide.plan import Stream
from eventide.semantics.schema import SchemaLike, as_schema


def read_kafka(  # noqa: PLR0913 - settings of a topic, each with a default
    topic: str | Sequence[str],
    *,
    servers: Servers,
    schema: SchemaLike | None = None,
    format: MessageFormat = "json",
    start: str | datetime = "earliest",
    bounded: bool = False,
    arrival: str | None = None,
    group: str | None = None,
    key: str | None = None,
    headers: str | None = None,
    header: Sequence[str] = (),
    isolation: Isolation = "read_committed",
    discover_every: Duration = "30s",
    patience: Duration = "10s",
    record_max_bytes: int = RECORD_MAX_BYTES,
    settings: Mapping[str, Setting] | None = None,
    name: str = "",
) -> Stream:
    """A stream of one or more topics of Kafka. A partition is a log, named `topic/number`; offsets are Kafka's.

    `format` is `"json"` (an object in each message, nested values by `path=` in the schema's fields), `"csv"` (one
    record without a header line; `header` names its values, else the schema does in its order), `"raw"` (text; the
    schema has one column of text, without a schema it is `value`), or what `json_format`, `raw_format`, `avro_format`
    and `json_schema_format` make.

    `start` says where partitions without a saved position begin: `"earliest"`, `"latest"`, `"committed"` (where
    `group` stands, else at the beginning; Eventide itself commits nothing there) or an instant (the first message at
    or behind it). `bounded` reads to where the partitions end at the start; otherwise reading goes on, and partitions
    that come later are found within `discover_every`. Rows arrive at the message's timestamp, or as the column
    `arrival` says. `key` and `headers` name columns of text for the message's key and its headers as a JSON object.

    Messages without a value, and those that break the schema, go to `dead_letters` with the log and the offset.
    `settings` go to the client (names of librdkafka); secrets among them are written as `"env:NAME"` and taken from
    the environment. `patience` is how long an answer is waited for at the start; later the run waits until Kafka is
    back.

    Raises `SourceError` when the run begins and no broker answers, the topic is not there, or messages were deleted
    before they were read.

    >>> stream = read_kafka("readings", servers="localhost:9092", schema={"sensor": str, "dose": float})
    >>> stream.plan.inputs[0].source.name
    'readings'
    """
    check_kinds(read_kafka, locals())
    rules = as_schema(
        {"value": str} if schema is None and (format == "raw" or isinstance(format, RawFormat)) else _given(schema)
    )
    reading = Reading(
        Start.of(start),
        bounded,
        group,
        isolation,
        key,
        headers,
        positive_us(discover_every, "discover_every"),
        positive_us(patience, "patience"),
    )
    parser = MessageParser(rules, format, arrival, record_max_bytes, tuple(header), reading.extra)
    topics = (topic,) if isinstance(topic, str) or not isinstance(topic, Iterable) else tuple(topic)
    return Stream.from_source(KafkaTopics(topics, connection(servers, settings), parser, reading, name))


def _given(schema: SchemaLike | None) -> SchemaLike:
    if schema is None:
        raise ValueError(
            'read_kafka needs schema=: for example schema={"sensor": str, "at": et.Instant, "dose": float}'
        )
    return schema


def write_kafka(  # noqa: PLR0913 - settings of a topic, each with a default
    topic: str,
    *,
    servers: Servers,
    key: str | Sequence[str] = (),
    retractions: Retractions = "mark",
    format: RegistryFormat | Literal["json"] = "json",
    register: bool = True,
    patience: Duration = "60s",
    settings: Mapping[str, Setting] | None = None,
) -> KafkaSink:
    """A sink that writes each row as a JSON object to a topic of Kafka, or as `format` says: what `avro_format` and
    `json_schema_format` make. Their schema comes from the output's columns and is registered in its subject
    (`TOPIC-value`); with `register=False` it must be there already.

    The message's key is made of the columns `key`, or of those that identify a row (for windows: keys and window): of
    one column its value as text, of several a JSON object. Messages with one key are in one partition, in their order;
    it is chosen as Java's clients choose it. A row whose `op` is `"retract"` is written like others
    (`retractions="mark"`) or as a message without a value (`"tombstone"`), as compacted topics have it.

    With `run(state=...)` each epoch is one transaction, and consumers that read committed messages see it once (the
    topic `eventide-epochs` keeps the number of the last one). Without a state folder messages come at least once.
    `patience` is how long Kafka is waited for before the run stops; with a state folder nothing is lost by that.

    >>> write_kafka("doses", servers="localhost:9092", key="sensor").name
    'Kafka topic doses'
    """
    check_kinds(write_kafka, locals())
    columns = (key,) if isinstance(key, str) else tuple(key)
    form = format if isinstance(format, RegistryFormat) else None
    if form is None and format != "json":
        raise ValueError(
            f'format={format!r} cannot be written: use "json", et.avro_format(...) or et.json_schema_format'
        )
    writing = Writing(columns, retractions, positive_us(patience, "patience"), form, register)
    return KafkaSink(topic, connection(servers, settings), writing)
