"""The logs of a plan that can be named before it runs: the partitions of its topics.

Law: what cannot be asked is not known, and then one door sees all logs: slower, with the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from eventide.connectors.kafka.config import problems_of
from eventide.connectors.kafka.source import KafkaTopics
from eventide.errors import SourceError
from eventide.plan import Plan

_TIMEOUT_S = 10


def known_logs(plan: Plan) -> Sequence[str] | None:
    """The names of all partitions that a plan reads, as its engines name them; None when nobody can tell here."""
    topics = [one.source for one in plan.inputs if isinstance(one.source, KafkaTopics)]
    if not topics or find_spec("confluent_kafka") is None:
        return None
    found = [_partitions(source) for source in topics]
    return [log for logs in found for log in logs or ()]


def _partitions(source: KafkaTopics) -> Sequence[str] | None:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if problems_of(source.connection):
        return None
    client = AdminClient(source.connection.client({}, SourceError))
    try:
        found = client.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException:
        return None
    if any(topic not in found for topic in source.topics):
        return None
    return [f"{topic}/{number}" for topic in source.topics for number in sorted(found[topic].partitions)]
