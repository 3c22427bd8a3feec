"""RabbitMQ as a source: a queue, or a stream, as one log.

Law: what RabbitMQ delivers counts once, whatever it delivers again and whoever is stopped when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import polars as pl

from eventide.connectors.formats.encoded import MessageFormat
from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.journal import JournalSettings
from eventide.connectors.kinds import check_kinds
from eventide.connectors.rabbitmq.config import Broker, driver, is_installed
from eventide.errors import SourceError
from eventide.flow import LogSet, Position, ReadContext
from eventide.plan import Stream
from eventide.semantics.schema import Schema, SchemaLike, as_schema

Start = Literal["earliest", "latest"] | int | datetime

_PREFETCH_MOST = 65_535


@dataclass(frozen=True, slots=True)
class RabbitMqQueue:
    """The messages of a queue; with `stream`, of one of the type stream."""

    broker: Broker
    queue: str
    schema: Schema
    stream: bool = False
    format: MessageFormat = "json"
    start: Start = "earliest"
    arrival: str | None = None
    routing_key: str | None = None
    prefetch: int = 256
    unique_ids: bool = False
    journal: str | None = None
    journal_bytes_most: int = JournalSettings().most_bytes
    name: str = ""
    parser: MessageParser = field(init=False, compare=False, repr=False)
    single_log: bool = field(default=True, init=False)
    bounded: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.queue:
            raise ValueError('queue="" is no name: name the queue, which must be there')
        if not 1 <= self.prefetch <= _PREFETCH_MOST:
            raise ValueError(f"prefetch={self.prefetch} must be from 1 to {_PREFETCH_MOST:,}")
        if isinstance(self.start, datetime) and self.start.tzinfo is None:
            raise ValueError(f"start={self.start} has no time zone: give it one, such as datetime.UTC")
        if not isinstance(self.start, int | datetime) and self.start not in ("earliest", "latest"):
            raise ValueError(f'start={self.start!r} is no place: use "earliest", "latest", an offset or a datetime')
        if not self.stream and self.start != "earliest":
            raise ValueError("start= is for streams: a queue hands out what nobody has acknowledged")
        if self.stream and (self.unique_ids or self.journal is not None):
            raise ValueError("unique_ids= and journal= are for queues: a stream's messages have offsets")
        if self.journal_bytes_most < 1:
            raise ValueError(f"journal_bytes_most={self.journal_bytes_most} must be at least 1")
        extra: Mapping[str, pl.DataType] = {} if self.routing_key is None else {self.routing_key: pl.String()}
        object.__setattr__(self, "parser", MessageParser(self.schema, self.format, self.arrival, extra=extra))
        if not self.name:
            object.__setattr__(self, "name", self.queue)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return self.parser.columns

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "rabbitmq"

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong before anything is opened, each with its remedy."""
        return self.parser.problems

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        driver(SourceError)
        from eventide.connectors.rabbitmq.queue import open_queue
        from eventide.connectors.rabbitmq.stream import open_stream

        return (open_stream if self.stream else open_queue)(self, context, positions)


def read_rabbitmq(  # noqa: PLR0913 - settings of a queue, each with a default
    queue: str,
    *,
    schema: SchemaLike,
    address: str | None = None,
    env: str | None = None,
    stream: bool = False,
    format: MessageFormat = "json",
    start: Start = "earliest",
    arrival: str | None = None,
    routing_key: str | None = None,
    prefetch: int = 256,
    unique_ids: bool = False,
    journal: str | None = None,
    journal_bytes_most: int = JournalSettings().most_bytes,
    name: str = "",
) -> Stream:
    """A stream of the messages of a queue, classic or quorum, or with `stream=True` of one of the type stream.

    The broker is named by `address`, without a user, or by `env`, the environment variable that holds a whole address.
    A queue's messages are acknowledged when they are in a journal in the state folder (or in the folder `journal`), on
    the disk; at most `prefetch` are on their way, and once `journal_bytes_most` wait for the engine no more are taken.
    A stream's are read from `start`: `"earliest"`, `"latest"`, an offset or a datetime. `unique_ids=True` says that
    senders give each message a `message_id` of its own, so that copies by them are left out, too. A message arrives
    when it is read, or when the column `arrival` says; `routing_key` names a column for its routing key. `format` is
    `"json"`, `"csv"`, `"raw"` or what `avro_format` and its like make; what cannot be read goes to `dead_letters`.

    >>> read_rabbitmq("readings", schema={"dose": float}, address="amqp://127.0.0.1").plan.inputs[0].source.name
    'readings'
    """
    check_kinds(read_rabbitmq, locals())
    where = Broker(address, env)
    settings = (stream, format, start, arrival, routing_key, prefetch, unique_ids, journal)
    rest = (journal_bytes_most, name)
    return Stream.from_source(RabbitMqQueue(where, queue, as_schema(schema), *settings, *rest))
