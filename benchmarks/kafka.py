"""Kafka on this machine: JSON in, 10 s windows out, and what the client alone takes from the same topic.

Run as `python -m benchmarks.kafka`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import polars as pl

import eventide as et
from eventide.testing.services import running
from eventide.testing.services.kafka import Kafka

EVENTS = 500_000
SENSORS = 1_000


def fill(address: str, topic: str) -> None:
    """Send W1's kind of events, 1 ms apart."""
    number = pl.int_range(EVENTS, dtype=pl.Int64, eager=True)
    frame = pl.DataFrame({"sensor": (number % SENSORS).cast(pl.String), "at": number, "dose": number % 977 / 7})
    et.from_frame(frame).write(et.write_kafka(topic, servers=address)).run(show=False)


AS_IT_COMES: Mapping[str, str | int | float | bool] = {}
READING_AHEAD = {"queued.min.messages": 1_000_000, "queued.max.messages.kbytes": 32_768, "fetch.queue.backoff.ms": 10}
"""The settings of Eventide's source."""


def client_alone(address: str, topic: str, settings: Mapping[str, str | int | float | bool]) -> float:
    """Seconds in which the client hands out all messages, and nothing is done with them."""
    from confluent_kafka import Consumer, TopicPartition

    own: dict[str, str | int | float | bool] = {"bootstrap.servers": address, "group.id": "alone"}
    consumer = Consumer({**own, "enable.auto.commit": False, **settings})
    began = time.perf_counter()
    consumer.assign([TopicPartition(topic, 0, 0)])
    seen = 0
    while seen < EVENTS:
        seen += len(consumer.consume(10_000, 0.1))
    took = time.perf_counter() - began
    consumer.close()
    return took


def windows(address: str, topic: str) -> float:
    """Seconds from the topic to all windows."""
    schema = {"sensor": str, "at": et.field(et.Instant, unit="ms"), "dose": float}
    stream = et.read_kafka(topic, servers=address, schema=schema, bounded=True)
    timed = stream.event_time("at", et.bounded("2s")).group_by("sensor").window(et.tumbling("10s"))
    began = time.perf_counter()
    out = timed.agg(n=et.count(), mean=et.col("dose").mean()).run(show=False)
    took = time.perf_counter() - began
    assert out.results.get_column("n").sum() == EVENTS
    return took


def main() -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    with running(Kafka()) as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.address})
        admin.create_topics([NewTopic("w1", 1, 1)])["w1"].result()
        began = time.perf_counter()
        fill(kafka.address, "w1")
        print(f"written       {EVENTS / (time.perf_counter() - began):>10,.0f} rows/s")
        for _ in range(3):
            for name, settings in (("its own settings", AS_IT_COMES), ("reading ahead", READING_AHEAD)):
                took = client_alone(kafka.address, "w1", settings)
                print(f"client alone, {name:18s} {EVENTS / took:>10,.0f} messages/s")
            used = time.process_time()
            took = windows(kafka.address, "w1")
            used = time.process_time() - used
            print(f"windows {EVENTS / took:>10,.0f} events/s, {EVENTS / used:>10,.0f} a second of processor time")


if __name__ == "__main__":
    main()
