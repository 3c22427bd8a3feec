"""Real servers for the tests, started once a session on loopback."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventide.testing.services import running
from eventide.testing.services.apicurio import Apicurio
from eventide.testing.services.cassandra import Cassandra
from eventide.testing.services.kafka import Kafka
from eventide.testing.services.mongodb import MongoDb
from eventide.testing.services.rabbitmq import RabbitMq

_PATIENCE_S = 60

Sent = tuple[bytes | str | None, int]


@dataclass
class Topics:
    """Makes topics of a broker and fills them."""

    address: str
    names: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def make(self, partitions: int = 1, **config: str) -> str:
        """A new topic."""
        name = f"topic-{next(self.names)}"
        new = NewTopic(name, partitions, 1, config={key.replace("_", "."): value for key, value in config.items()})
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.admin.create_topics([new])[name].result()
                return name
            except KafkaException as fault:
                # a broker that gets no time to answer its controller is left out until it does
                if fault.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > until:
                    raise
            threading.Event().wait(0.1)

    def send(self, topic: str, *values: bytes | str | None, partition: int = 0, at_ms: int = 1_000) -> None:
        """Send values, in order, with timestamps 1 ms apart."""
        producer = Producer({"bootstrap.servers": self.address, "linger.ms": 0, "log_level": 0})
        for number, value in enumerate(values):
            producer.produce(topic, value, partition=partition, timestamp=at_ms + number)
            producer.poll(0)
        assert producer.flush(30) == 0

    def end(self, topic: str) -> int:
        """How many entries partition 0 has: messages and the marks behind transactions."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "ends", "log_level": 0})
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.close()
        return int(high)

    def transaction(self, topic: str, *values: str, commit: bool = True) -> None:
        """Send values in a transaction that is committed or not, up to the mark that the broker writes behind it."""
        marked = self.end(topic) + len(values) + 1
        settings = {"bootstrap.servers": self.address, "transactional.id": f"{topic}-writer", "log_level": 0}
        producer = Producer(settings)
        producer.init_transactions(30)
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value, partition=0)
        producer.flush(30)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
        until = time.monotonic() + 60
        while self.end(topic) < marked:  # the broker answers before it has written the mark
            assert time.monotonic() < until, f"{topic} has no mark behind its transaction"


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A broker that all tests share."""
    with running(Kafka(session_ms=_PATIENCE_S * 1_000)) as started:
        yield started


@pytest.fixture(scope="session")
def apicurio() -> Iterator[Apicurio]:
    """A schema registry that all tests share."""
    with running(Apicurio()) as started:
        yield started


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """A RabbitMQ that all tests share; who stops it starts it again."""
    with running(RabbitMq(tmp_path_factory.mktemp("rabbitmq"))) as started:
        yield started


@pytest.fixture(scope="session")
def cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cassandra]:
    """A node of Cassandra with passwords that all tests share; who stops it starts it again."""
    with running(Cassandra(tmp_path_factory.mktemp("cassandra"), guarded=True)) as started:
        yield started


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDb]:
    """What speaks MongoDB's protocol, shared by all tests; who stops it starts it again."""
    with running(MongoDb(tmp_path_factory.mktemp("mongodb"))) as started:
        yield started


@pytest.fixture(scope="session")
def topics(kafka: Kafka) -> Topics:
    """Topics of the shared broker."""
    return Topics(kafka.address)


@pytest.fixture
def own_kafka() -> Iterator[Callable[[], Kafka]]:
    """Starts a broker that the test may stop."""
    started: list[Kafka] = []

    def start() -> Kafka:
        started.append(Kafka())
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()
