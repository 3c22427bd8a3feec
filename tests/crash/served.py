"""The servers that jobs of the sweep read from and write to, started when a job needs them.

Law: each stage has its own schema and topics, made anew for every point.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

import psycopg
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # it is not in its __all__
from confluent_kafka.cimpl import NewTopic
from psycopg import sql
from tests.crash.program import lines

from eventide.testing.services import running
from eventide.testing.services.apicurio import Apicurio
from eventide.testing.services.kafka import Kafka
from eventide.testing.services.postgres import Postgres

Names = dict[str, str]

_PATIENCE_S = 60


@dataclass
class Systems:
    """Servers on loopback, until `close`."""

    held: ExitStack = field(default_factory=ExitStack)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def postgres(self) -> Postgres:
        return self.held.enter_context(running(Postgres()))

    @cached_property
    def kafka(self) -> Kafka:
        return self.held.enter_context(running(Kafka(session_ms=_PATIENCE_S * 1_000)))

    @cached_property
    def registry(self) -> Apicurio:
        return self.held.enter_context(running(Apicurio()))

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.kafka.address, "log_level": 0})

    @cached_property
    def input(self) -> str:
        """A topic with the readings."""
        topic = self._topic("input")
        producer = Producer({"bootstrap.servers": self.kafka.address, "log_level": 0})
        for number, line in enumerate(lines()):
            producer.produce(topic, line, partition=0, timestamp=1_000 + number)
        assert producer.flush(30) == 0
        return topic

    def close(self) -> None:
        self.held.close()

    def fresh(self, job: str) -> Names:
        """Where the next run of a job reads and writes: an empty schema, empty topics."""
        source, _, sink = job.rpartition("-")
        names: Names = {}
        if source == "kafka":
            names |= {"kafka": self.kafka.address, "input": self.input}
        if sink == "avro":
            names |= {"registry": self.registry.address}
        if sink in ("kafka", "avro"):
            names |= {"kafka": self.kafka.address, "results": self._topic("results"), "late": self._topic("late")}
        if sink == "postgres":
            names |= {"postgres": self.postgres.address, "schema": f"stage_{next(self.numbers)}"}
            with psycopg.connect(self.postgres.address) as connection:
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(names["schema"])))
        return names

    def shown(self, names: Names, by_epoch: bool) -> dict[str, object]:
        """What readers of the servers see: rows in their order, messages by topic."""
        found: dict[str, object] = {}
        if "schema" in names:
            found |= self._tables(names["schema"], by_epoch)
        for topic in ("results", "late"):
            if topic in names:
                found[topic] = self._messages(names[topic])
        return found

    def _tables(self, schema: str, by_epoch: bool) -> dict[str, object]:
        found: dict[str, object] = {}
        hidden = ["_run"] if by_epoch else ["_run", "_epoch"]
        with psycopg.connect(self.postgres.address) as connection:
            for table in ("r", "late"):
                rows = sql.SQL("SELECT to_jsonb(t) - %s::text[] FROM {} AS t ORDER BY 1")
                asked = connection.execute(rows.format(sql.Identifier(schema, table)), [hidden])
                found[table] = [row[0] for row in asked.fetchall()]
        return found

    def _messages(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        settings = {"bootstrap.servers": self.kafka.address, "group.id": "seen", "isolation.level": "read_committed"}
        # the end is told by an answer without messages, for which the broker would wait half a second
        consumer = Consumer({**settings, "enable.partition.eof": True, "fetch.wait.max.ms": 5, "log_level": 0})
        consumer.assign([TopicPartition(topic, 0, 0)])
        end = self._end(topic)
        found: list[tuple[bytes | None, bytes | None]] = []
        while True:
            message = consumer.poll(30)
            assert message is not None, "Kafka does not answer"
            if message.error() is not None:
                if (message.offset() or 0) >= end:
                    break
                continue  # a transaction that was committed is not told to all partitions yet
            value = message.value()
            assert isinstance(value, bytes)
            # in front of Avro stands the number of its schema, which is another one for each topic
            found.append((message.key(), value[5:] if value.startswith(b"\0") else value))
        consumer.close()
        return found

    def _end(self, topic: str) -> int:
        """The offset behind all messages of a topic, those of open transactions too."""
        place = TopicPartition(topic, 0)
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call] # the client has no type for it
        asked = self.admin.list_offsets({place: latest}, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return int(asked[place].result().offset)

    def _topic(self, kind: str) -> str:
        name = f"{kind}-{next(self.numbers)}"
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.admin.create_topics([NewTopic(name, 1, 1)])[name].result()
                return name
            except KafkaException as fault:
                # a broker that gets no time to answer its controller is left out until it does
                if fault.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)
