"""What a reader of committed messages finds in a topic of one partition.

Law: a transaction whose end the broker has not told to the partition yet is waited for, a while: one may stay open.
"""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Message, TopicPartition

_PATIENCE_S = 60
_STAYS_OPEN_S = 10


def committed(address: str, topic: str) -> list[Message]:
    """Every committed message, in order."""
    settings = {"bootstrap.servers": address, "group.id": "seen", "enable.auto.commit": False, "log_level": 0}
    place = TopicPartition(topic, 0, 0)
    looking = Consumer({**settings, "isolation.level": "read_uncommitted"})
    _, end = looking.get_watermark_offsets(place, timeout=60)
    looking.close()
    # the end is told by an answer without messages
    reading = {"isolation.level": "read_committed", "enable.partition.eof": True, "fetch.wait.max.ms": 20}
    consumer = Consumer({**settings, **reading})
    consumer.assign([place])
    found: list[Message] = []
    answered = False
    until = time.monotonic() + _PATIENCE_S
    while (message := consumer.poll(0.2)) is not None or time.monotonic() < until:
        if message is None:
            continue
        if message.error() is None:
            found.append(message)
        elif (message.offset() or 0) >= end:
            break
        elif not answered:  # the end that readers see is in front of a transaction that is open
            answered, until = True, time.monotonic() + _STAYS_OPEN_S
    else:
        assert answered, "Kafka does not answer"
    consumer.close()
    return found
