"""Kafka on this machine: JSON in, 10 s windows out, and what the client alone takes from the same topic.

Run as `python -m benchmarks.kafka`.
"""

from __future__ import annotations

import time

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


def client_alone(address: str, topic: str) -> float:
    """Seconds in which the client hands out all messages, and nothing is done with them."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": address, "group.id": "alone", "enable.auto.commit": False})
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
            print(f"client alone  {EVENTS / client_alone(kafka.address, 'w1'):>10,.0f} messages/s")
            print(f"windows       {EVENTS / windows(kafka.address, 'w1'):>10,.0f} events/s")


if __name__ == "__main__":
    main()
