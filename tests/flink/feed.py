"""Events in skewed, disordered partitions, and rows of both engines in one form to compare them.

Every value is a multiple of 1/8, so that sums are exact in any order.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
from confluent_kafka import Consumer, IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # it is not in its __all__
from confluent_kafka.cimpl import NewTopic

import eventide as et
from eventide import col
from eventide.flow import SystemClock
from eventide.runners.flink.run import FlinkRun

SCHEMA = et.schema({"sensor": str, "at": et.field(et.Instant, unit="ms"), "dose": float})
_SENT = {"sensor": pl.String, "at": pl.Int64, "dose": pl.Float64}
_KINDS: dict[object, type] = {pl.Datetime: et.Instant, pl.String: str, pl.Boolean: bool, pl.Float64: float}
START_MS = 1_600_000_000_000
Row = dict[str, object]


def partitions(rows: int, count: int = 3, seed: int = 7, begin_ms: int = START_MS) -> list[list[Row]]:
    """Partitions of events about 20 ms apart, each with another rate; one in five is up to 1.9 s behind, one in a
    hundred 5 to 30 s.
    """
    draw = random.Random(seed)
    made: list[list[Row]] = [[] for _ in range(count)]
    for number in range(rows):
        place = min(int(draw.expovariate(1.0)), count - 1)
        behind = draw.choice([0, 0, 0, 0, draw.randrange(1_900)])
        if draw.random() < 0.01:
            behind = draw.randrange(5_000, 30_000)
        at = begin_ms + 30_000 + number * 20 - behind
        made[place].append({"sensor": f"s{draw.randrange(9)}", "at": at, "dose": draw.randrange(800) / 8})
    return made


def windows(stream: et.Stream, *, lateness: str = "0s") -> et.Stream:
    """Ten-second windows of each sensor, bound 2 s."""
    timed = stream.event_time("at", et.bounded("2s"), max_future=None).group_by("sensor")
    dose = col("dose")
    return timed.window(et.tumbling("10s"), lateness=lateness).agg(
        n=et.count(), total=dose.sum(), mean=dose.mean(), low=dose.min(), high=dose.max()
    )


def make_topic(address: str, name: str, count: int = 1) -> str:
    """A new topic."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic(name, count, 1)])[name].result()
    return name


def send(address: str, topic: str, parts: list[list[Row]]) -> None:
    """Send rows as JSON, each partition in its order."""
    producer = Producer({"bootstrap.servers": address, "log_level": 0})
    for number, rows in enumerate(parts):
        for text in pl.DataFrame(rows, schema=_SENT).write_ndjson().splitlines():
            producer.produce(topic, text, partition=number)
            producer.poll(0)
    assert producer.flush(30) == 0


def write_files(folder: Path, parts: list[list[Row]]) -> str:
    """A CSV file for each partition; the pattern that names them."""
    folder.mkdir(parents=True)
    for number, rows in enumerate(parts):
        pl.DataFrame(rows).write_csv(folder / f"part-{number}.csv")
    return str(folder / "*.csv")


def await_marks(address: str, topic: str, wait_us: int = 60_000_000) -> None:
    """Wait until readers of committed messages see a topic to its end: Kafka answers a commit first, and writes it into
    the partitions then. A transaction that stays open fails the test.
    """
    admin, clock, never = AdminClient({"bootstrap.servers": address, "log_level": 0}), SystemClock(), threading.Event()
    places = [TopicPartition(topic, number) for number in admin.list_topics(topic, timeout=30).topics[topic].partitions]

    def ends(isolation: IsolationLevel) -> list[int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call] # the client has no type for it
        asked = admin.list_offsets(dict.fromkeys(places, latest), isolation_level=isolation)
        return [asked[place].result().offset for place in places]

    until_us = clock.now_us() + wait_us
    while ends(IsolationLevel.READ_COMMITTED) < ends(IsolationLevel.READ_UNCOMMITTED):
        assert clock.now_us() < until_us, f"{topic} has a transaction without an end"
        clock.wait(never, 20_000)


def read_topic(address: str, topic: str, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """What consumers that read committed messages see in a topic, in the types of an output."""
    await_marks(address, topic)
    schema = et.schema({name: _KINDS.get(type(dtype), int) for name, dtype in columns.items()})
    out = et.read_kafka(topic, servers=address, schema=schema, bounded=True).run(show=False)
    assert out.dead_letters.is_empty(), out.dead_letters
    return in_order(out.results.select(list(columns)))


def compacted(address: str, topic: str) -> tuple[list[Row], int]:
    """What compaction leaves of a topic of one partition: the last value of each key; and how many tombstones came."""
    await_marks(address, topic)
    reading = {"bootstrap.servers": address, "group.id": "compaction", "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer({**reading, "enable.partition.eof": True, "isolation.level": "read_committed"})
    consumer.subscribe([topic])
    last: dict[object, Row | None] = {}
    tombstones = 0
    while (message := consumer.poll(30)) is not None and message.error() is None:
        value = message.value()
        last[message.key()] = None if value is None else json.loads(value)
        tombstones += value is None
    assert message is not None, "the topic does not answer"
    consumer.close()
    return [value for value in last.values() if value is not None], tombstones


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in an order that depends on nothing but them."""
    return rows.sort(name for name in rows.columns if not rows.schema[name].is_nested())


def same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Both have the same rows, each as often."""
    assert found.columns == expected.columns
    left, right = in_order(found), in_order(expected.cast(found.schema))
    assert left.height == right.height
    assert left.equals(right), left.join(right, on=left.columns, how="anti", nulls_equal=True)


def until(done: Callable[[], bool], run: FlinkRun, wait_us: int = 120_000_000) -> None:
    """Look until it is so; a job that ended before that, or takes too long, fails the test."""
    clock, never = SystemClock(), threading.Event()
    until_us = clock.now_us() + wait_us
    while not done():
        assert not run.ended(), run.status()
        assert clock.now_us() < until_us, run.status()
        clock.wait(never, 100_000)
