"""The ends of a plan, asked before its job is sent: topics of Kafka, tables of PostgreSQL.

Law: what an end itself says is not there is refused in words; an end that does not answer here may answer to the
cluster, so that is a warning. Nothing is written.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec

from eventide.connectors.kafka.config import Connection, explained, problems_of
from eventide.connectors.kafka.sink import KafkaSink
from eventide.connectors.kafka.source import KafkaTopics
from eventide.connectors.postgres.config import Unreachable
from eventide.connectors.postgres.sink import Postgres
from eventide.engine.pipeline import Pipeline
from eventide.errors import EventideError, SinkError, SourceError
from eventide.plan import Plan, Write
from eventide.runners.outlets import identity_of

logger = logging.getLogger("eventide.flink")

_TIMEOUT_S = 5


def ask_ends(plan: Plan) -> None:
    """Ask the servers of a plan for what it reads and writes. Raises `SourceError` and `SinkError` with the remedy."""
    asked: list[tuple[Connection, str, str, type[EventideError]]] = []
    for one in plan.inputs:
        if isinstance(one.source, KafkaTopics):
            where = f"source {one.source.name}"
            asked += [(one.source.connection, topic, where, SourceError) for topic in one.source.topics]
    for write in plan.writes:
        if isinstance(write.sink, KafkaSink):
            asked.append((write.sink.connection, write.sink.topic, f"sink {write.sink.name}", SinkError))
        elif isinstance(write.sink, Postgres) and write.sink.missing_extra is None:
            _ask_table(plan, write, write.sink)
    if find_spec("confluent_kafka") is not None:
        away: set[str] = set()
        for connection, topic, where, fault in asked:
            if connection.servers not in away and not _has_topic(connection, topic, where, fault):
                away.add(connection.servers)


def _has_topic(connection: Connection, topic: str, where: str, fault: type[EventideError]) -> bool:
    """False when no broker answers. A broker that makes topics by itself may do so."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    if problems_of(connection):
        return True  # its settings are those of the cluster's machines
    try:
        found = AdminClient(connection.client({}, fault)).list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    except KafkaException:
        logger.warning("%s: no broker answers here at %s: the job waits for one", where, connection.servers)
        return False
    if found.error is not None:
        raise fault(f"{where}: topic {topic} at {connection.servers}: {explained(found.error)}")
    return True


def _ask_table(plan: Plan, write: Write, sink: Postgres) -> None:
    columns = Pipeline.of(plan, 1).output_schema(write.output)
    try:
        sink.ask(columns, identity_of(plan, columns))
    except Unreachable as away:
        logger.warning("sink %s: %s (asked from here)", sink.name, away)
