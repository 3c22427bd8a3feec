"""A topic of Kafka that takes whole epochs: the messages and the epoch's number in one transaction.

Law: the topic `eventide-epochs` has, in the same transaction as an epoch's messages, a message that says which run and
output had that epoch. So whoever reads committed messages sees an epoch once, and a restart knows which was the last.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import polars as pl

from eventide.connectors.kafka.config import explained, library, logger, patiently, told
from eventide.connectors.kafka.encoding import RowEncoder
from eventide.connectors.kafka.sink import KafkaSink, Sending
from eventide.errors import SinkError
from eventide.flow import Opening, Stand, SystemClock

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

CONTROL = "eventide-epochs"
"""The compacted topic with the last epoch of each run and output."""

_PARTITIONS = 16
_TRANSACTION_MS = 120_000
_KEPT = {
    "cleanup.policy": "compact",
    "segment.bytes": "16777216",
    "segment.ms": "3600000",
    "min.cleanable.dirty.ratio": "0.1",
}


class KafkaEpochs:
    """The rows of an output in a topic, an epoch in a transaction."""

    def __init__(self, sink: KafkaSink, encoder: RowEncoder, opening: Opening) -> None:
        self._sink = sink
        self._encoder = encoder
        self._key = json.dumps([opening.run, opening.output, sink.topic])
        own = {
            "transactional.id": f"eventide-{opening.run}-{opening.output}-{sink.topic}",
            "transaction.timeout.ms": _TRANSACTION_MS,
            "message.timeout.ms": _TRANSACTION_MS // 2,
        }
        self._sending: Sending = sink.sending(own)
        self._producer = self._sending.producer
        self._control = _Control(sink, self._key)
        self._place = 0

    def stand(self) -> Stand:
        return {"control": self._place, "partition": self._control.partition}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        if rows.height:
            self._transaction(epoch, rows)

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        with self._told():
            self._take_over()
        if not epoch:
            self._place = self._control.reach()[1]
            return
        if "partition" in stand:
            self._control.partition = int(stand["partition"] or 0)
        self._place = int(stand.get("control") or 0)
        there = self._control.last(self._place)
        if there is not None and there > epoch:
            logger.warning(
                "%s has epochs up to %d, the state goes on behind epoch %d: what comes out again is sent again",
                self._sink.name,
                there,
                epoch,
            )
            self._transaction(epoch, rows.clear())
        elif rows.height and (there is None or there < epoch):
            self._transaction(epoch, rows)

    def _take_over(self) -> None:
        """End what the run before left open, and shut it out if it still lives."""
        import confluent_kafka

        until_us = self._sending.now_us() + self._sink.writing.patience_us
        while True:
            try:
                self._producer.init_transactions(self._patience_s)
            except confluent_kafka.KafkaException as thrown:
                if not thrown.args[0].retriable() or self._sending.now_us() > until_us:
                    raise
            else:
                return

    @property
    def _patience_s(self) -> float:
        return self._sink.writing.patience_us / 1e6

    def _transaction(self, epoch: int, rows: pl.DataFrame) -> None:
        """Send rows with the epoch's number, again from the start where Kafka asks for that."""
        import confluent_kafka

        until_us = self._sending.now_us() + self._sink.writing.patience_us
        while True:
            try:
                self._producer.begin_transaction()
                self._sending.produce(self._encoder.messages(rows), until_us)
                self._producer.produce(
                    CONTROL,
                    json.dumps({"epoch": epoch}),
                    self._key,
                    partition=self._control.partition,
                    on_delivery=self._noted,
                )
                self._commit(until_us)
            except confluent_kafka.KafkaException as thrown:
                self._abort(thrown.args[0], until_us)
            else:
                return

    def _commit(self, until_us: int) -> None:
        import confluent_kafka

        while True:
            try:
                left_s = max((until_us - self._sending.now_us()) / 1e6, 1.0)
                self._producer.commit_transaction(left_s)
            except confluent_kafka.KafkaException as thrown:
                error = thrown.args[0]
                if not error.retriable() or error.txn_requires_abort():
                    raise
                if self._sending.now_us() > until_us:
                    raise self._sending.away() from None
            else:
                return

    def _abort(self, error: KafkaError, until_us: int) -> None:
        """End a transaction that failed. Raises when trying once more does not help."""
        import confluent_kafka

        kinds = confluent_kafka.KafkaError
        passing = (kinds._MSG_TIMED_OUT, kinds._TIMED_OUT, kinds._TRANSPORT, kinds._PURGE_QUEUE, kinds._PURGE_INFLIGHT)
        fault = self._sending.fault
        lasting = fault is not None and fault.code() not in passing and not fault.retriable()
        if error.fatal() or not error.txn_requires_abort():
            raise self._failed(error)
        if self._sending.now_us() > until_us:
            raise self._sending.away()
        with self._told():
            self._producer.abort_transaction(self._patience_s)
        if lasting and fault is not None:
            raise self._failed(fault)
        self._sending.fault = None

    def _failed(self, error: KafkaError) -> SinkError:
        return SinkError(
            f"{self._sink.name}: the transaction failed: {explained(error)}. Mend that and start again: the epoch is "
            "kept in the state folder and will be written then"
        )

    def _noted(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._place = message.offset() or 0
        elif self._sending.fault is None:
            self._sending.fault = error

    def _told(self) -> Any:
        return told(SinkError, f"{self._sink.name} at {self._sink.connection.servers}", "Is the broker running?")

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(1)


class _Control:
    """The topic with the numbers of epochs."""

    def __init__(self, sink: KafkaSink, key: str) -> None:
        kafka = library(SinkError)
        own = {
            "group.id": "eventide",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,  # the end of the partition is told by an answer without messages
        }
        self._sink = sink
        self._key = key.encode()
        self._kafka = kafka
        self._settings = sink.connection.client(own, SinkError)
        with told(SinkError, f"{sink.name}: the topic {CONTROL} that keeps the numbers of epochs"):
            self.partition = zlib.crc32(self._key) % patiently(self._made, sink.writing.patience_us)

    def _made(self) -> int:
        """The number of partitions of the topic, which is made if it is not there."""
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        admin = AdminClient(self._sink.connection.client({}, SinkError))
        there = admin.list_topics(timeout=10).topics
        if CONTROL not in there:
            new = NewTopic(CONTROL, num_partitions=_PARTITIONS, replication_factor=-1, config=_KEPT)
            try:
                admin.create_topics([new], operation_timeout=10)[CONTROL].result(20)
            except self._kafka.KafkaException as thrown:
                if thrown.args[0].code() != self._kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
            return _PARTITIONS
        return len(there[CONTROL].partitions)

    def reach(self) -> tuple[int, int]:
        """The first offset and the one behind the last, open transactions included."""
        patience_us = self._sink.writing.patience_us
        with self._told():
            reader = self._kafka.Consumer({**self._settings, "isolation.level": "read_uncommitted"})
            try:
                low, high = patiently(lambda: reader.get_watermark_offsets(self._at(), timeout=10), patience_us)
                return int(low), int(high)
            finally:
                reader.close()

    def _at(self, offset: int | None = None) -> Any:
        place = (CONTROL, self.partition)
        return self._kafka.TopicPartition(*place) if offset is None else self._kafka.TopicPartition(*place, offset)

    def last(self, begin: int) -> int | None:
        """The last epoch that was committed at or behind an offset; None when there was none.

        It waits for the transactions that are open now, those of other runs too: behind them nothing can be read.
        """
        low, high = self.reach()
        found: int | None = None
        place = max(begin, low)
        until_us = self._now_us() + self._sink.writing.patience_us + _TRANSACTION_MS * 1_000
        with self._told():
            reader = self._kafka.Consumer(self._settings)
            try:
                reader.assign([self._at(place)])
                while place < high:
                    message = reader.poll(0.2)
                    if message is not None:
                        if message.error() is None and message.key() == self._key:
                            found = int(json.loads(message.value())["epoch"])
                        place = max(place, self._behind(message))
                    if self._now_us() > until_us:
                        raise SinkError(
                            f"{self._sink.name}: cannot tell which epoch was the last: {CONTROL}/{self.partition} has "
                            "a transaction that does not end. Start again when it has"
                        )
            finally:
                reader.close()
        return found

    def _behind(self, message: Message) -> int:
        """Up to where a message, or the news of the end, says that everything was read."""
        offset, error = message.offset() or 0, message.error()
        if error is None:
            return offset + 1
        return offset if error.code() == self._kafka.KafkaError._PARTITION_EOF else 0

    def _now_us(self) -> int:
        return SystemClock().now_us()

    def _told(self) -> Any:
        return told(SinkError, f"{self._sink.name}: the topic {CONTROL}", "Is the broker running?")
