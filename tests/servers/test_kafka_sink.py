"""Topics of a real Kafka as sinks: what consumers of committed messages see, whatever was killed when."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import KafkaError, KafkaException
from tests.servers.committed import committed
from tests.servers.conftest import Topics

import eventide as et
from eventide.connectors.kafka.config import patiently
from eventide.flow import EpochWriter, Opening, Stand
from eventide.testing.services.kafka import Kafka

COLUMNS = {"k": pl.String(), "n": pl.Int64()}
EPOCHS = [
    pl.DataFrame({"k": ["a", "ü\n\"'"], "n": [1, 2]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"k": [None, "a"], "n": [3, None]}, schema=COLUMNS),
    pl.DataFrame({"k": ["b"], "n": [4]}),
]


def shown(kafka: Kafka, topic: str) -> list[tuple[str | None, str | None]]:
    """Key and value of every committed message, in order; topics of one partition."""
    return [(_text(one.key()), _text(one.value())) for one in committed(kafka.address, topic)]


def _text(data: bytes | str | None) -> str | None:
    return data.decode() if isinstance(data, bytes) else data


def opened(kafka: Kafka, topic: str) -> EpochWriter:
    opening = Opening("late", COLUMNS, (), f"run of {topic}")
    return et.write_kafka(topic, servers=kafka.address, patience="60s").open_epochs(opening)


def delivered(kafka: Kafka, topic: str, count: int = 4) -> list[Stand]:
    """The stands before each of the first epochs."""
    writer, stands = opened(kafka, topic), []
    writer.recover(0, EPOCHS[1], {})
    for number in range(count):
        stands.append(writer.stand())
        writer.deliver(number + 1, EPOCHS[number])
    stands.append(writer.stand())
    writer.close()
    return stands


EXPECTED = [
    (None, '{"k":"a","n":1}'),
    (None, '{"k":"ü\\n\\"\'","n":2}'),
    (None, '{"k":null,"n":3}'),
    (None, '{"k":"a","n":null}'),
]


@pytest.mark.parametrize("before", [2, 3])
def test_an_epoch_that_was_decided_is_shown_once(before: int, kafka: Kafka, topics: Topics) -> None:
    """Epoch 3 was decided; it had been delivered or not before the crash."""
    topic = topics.make()
    stand = delivered(kafka, topic, before)[2]
    for _ in range(2):
        writer = opened(kafka, topic)
        writer.recover(3, EPOCHS[2], stand)
        assert shown(kafka, topic) == EXPECTED
    writer.deliver(4, EPOCHS[3])
    writer.close()
    assert shown(kafka, topic) == [*EXPECTED, (None, '{"k":"b","n":4}')]


def test_a_transaction_that_a_crash_left_open_shows_nothing_and_holds_nobody_up(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    stand = delivered(kafka, topic, 2)[2]
    broken = opened(kafka, topic)
    broken.recover(2, EPOCHS[1], stand)

    def crash(until_us: int) -> None:
        broken._producer.flush(20)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    broken._commit = crash  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        broken.deliver(3, EPOCHS[2])
    writer = opened(kafka, topic)
    writer.recover(3, EPOCHS[2], stand)
    assert shown(kafka, topic) == EXPECTED
    writer.close()
    assert shown(kafka, topic) == EXPECTED


def test_a_run_that_another_one_has_taken_over_is_shut_out(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    stale = opened(kafka, topic)
    stale.recover(0, EPOCHS[1], {})
    stand = stale.stand()
    stale.deliver(1, EPOCHS[0])
    writer = opened(kafka, topic)
    writer.recover(1, EPOCHS[0], stand)
    with pytest.raises(et.SinkError, match="the transaction failed.*Another run with the same state writes"):
        stale.deliver(2, EPOCHS[3])
    writer.deliver(2, EPOCHS[2])
    writer.close()
    assert shown(kafka, topic) == EXPECTED


def test_behind_a_damaged_checkpoint_the_new_history_counts(
    kafka: Kafka, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    topic = topics.make()
    stands = delivered(kafka, topic, 4)
    writer = opened(kafka, topic)
    writer.recover(3, EPOCHS[2], stands[2])
    assert "has epochs up to 4, the state goes on behind epoch 3" in caplog.text
    stand = writer.stand()
    writer.close()
    other = pl.DataFrame({"k": ["c"], "n": [5]})
    writer = opened(kafka, topic)
    writer.recover(4, other, stand)
    writer.close()
    assert shown(kafka, topic)[-1] == (None, '{"k":"c","n":5}')


PROGRAM = """
import os, sys
import eventide as et
from eventide.connectors.kafka.epochs import KafkaEpochs

address, source, sink, state, when, place = sys.argv[1:]
count, commit = 0, KafkaEpochs._commit

def killed(self, until_us):
    global count
    count += 1
    if count == int(when) and place == "before":
        self._producer.flush(20)
        os.kill(os.getpid(), 9)
    commit(self, until_us)
    if count == int(when):
        os.kill(os.getpid(), 9)

KafkaEpochs._commit = killed
read = et.read_kafka(source, servers=address, schema={"k": str, "at": et.field(et.Instant, unit="ms"), "n": int}, bounded=True)
stream = read.event_time("at", et.bounded("1s")).group_by("k").window(et.tumbling("2s")).agg(n=et.col("n").sum())
stream.write(et.write_kafka(sink, servers=address)).run(show=False, state=state, rows_max=100, checkpoint_every="1us")
"""


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_run_that_is_killed_at_its_commits_shows_every_row_once(
    place: str, kafka: Kafka, topics: Topics, tmp_path: Path
) -> None:
    source, sink = topics.make(), topics.make()
    topics.send(source, *(json.dumps({"k": "ab"[n % 2], "at": n * 50, "n": n}) for n in range(600)))
    codes: list[int] = []
    while not codes or codes[-1]:
        arguments = [kafka.address, source, sink, str(tmp_path / "state"), "2", place]
        command = [sys.executable, "-c", PROGRAM, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        codes.append(done.returncode)
        assert done.returncode in (0, -9), done.stderr
    assert set(codes[:-1]) == {-9}
    expected = {
        ("ab"[k], start * 2_000): sum(n for n in range(start * 40, start * 40 + 40) if n % 2 == k)
        for k in range(2)
        for start in range(15)
    }
    rows = [json.loads(value or "") for _, value in shown(kafka, sink)]
    got = {(row["k"], int(datetime.fromisoformat(row["window_start"]).timestamp() * 1_000)): row["n"] for row in rows}
    assert got == expected
    assert len(rows) == len(expected), "a row came twice"


def test_all_types_come_back_as_they_were(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make()
    at = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "s": ['ü☃\n"\\', "", None, "x" * 900_000],
            "i": [2**63 - 1, -(2**63), None, 0],
            "f": [0.1, -1e300, None, 5e-324],
            "b": [True, False, None, True],
            "t": [at, at - timedelta(days=365 * 500), None, at],
        },
        schema={"s": pl.String(), "i": pl.Int64(), "f": pl.Float64(), "b": pl.Boolean(), "t": pl.Datetime("us", "UTC")},
    )
    et.from_frame(frame).write(et.write_kafka(topic, servers=kafka.address)).run(show=False)
    schema = {"s": str, "i": int, "f": float, "b": bool, "t": et.Instant}
    back = et.read_kafka(topic, servers=kafka.address, schema=schema, bounded=True).run(show=False)
    assert back.dead_letters.rows() == []
    assert back.results.equals(frame)


def test_messages_of_one_key_stay_in_one_partition_and_in_order(kafka: Kafka, topics: Topics) -> None:
    topic = topics.make(4)
    frame = pl.DataFrame({"k": [f"k{n % 50}" for n in range(30_000)], "n": range(30_000)})
    et.from_frame(frame).write(et.write_kafka(topic, servers=kafka.address, key="k")).run(show=False, rows_max=1_000)
    read = et.read_kafka(topic, servers=kafka.address, schema={"k": str, "n": int}, bounded=True, key="key")
    found: list[pl.DataFrame] = []
    read.write(et.call(found.append)).run(show=False)
    back = pl.concat(found)
    assert back.height == 30_000
    assert (back.get_column("k") == back.get_column("key")).all()
    assert back.group_by("k").agg(pl.col("n").diff().drop_nulls().min()).get_column("n").to_list() == [50] * 50


def revised(kafka: Kafka, topic: str, write: Callable[[], object]) -> None:
    """Sessions that merge: the first is taken back when the event between the two comes."""
    rows = [{"k": "a", "at": at} for at in (0, 3_000, 9_000, 1_500, 20_000)]
    stream = et.from_rows(rows, schema={"k": str, "at": et.field(et.Instant, unit="ms")})
    windows = stream.event_time("at", et.ascending()).group_by("k").window(et.session("2s"), lateness="1h")
    windows.agg(n=et.count()).write(write()).run(show=False)  # type: ignore[arg-type]


def test_retractions_are_marked_or_leave_a_tombstone(kafka: Kafka, topics: Topics) -> None:
    marked, compacted = topics.make(), topics.make()
    revised(kafka, marked, lambda: et.write_kafka(marked, servers=kafka.address))
    revised(kafka, compacted, lambda: et.write_kafka(compacted, servers=kafka.address, retractions="tombstone"))
    both = list(zip(shown(kafka, marked), shown(kafka, compacted), strict=True))
    assert [key for (key, _), _ in both] == [key for _, (key, _) in both]
    retracted = [json.loads(value or "")["op"] == "retract" for (_, value), _ in both]
    assert retracted.count(True) == 2
    assert [value is None for _, (_, value) in both] == retracted
    kept = {key: value for _, (key, value) in both}
    assert sorted(json.loads(value)["n"] for value in kept.values() if value is not None) == [1, 1, 3]


def test_a_broker_that_goes_away_in_the_middle_costs_no_row(own_kafka: Callable[[], Kafka], tmp_path: Path) -> None:
    broker = own_kafka()
    topic = Topics(broker.address).make()
    frame = pl.DataFrame({"n": range(5_000)})
    stopped = False

    def slowly(rows: pl.DataFrame) -> pl.DataFrame:
        nonlocal stopped
        if rows.get_column("n")[0] >= 2_000 and not stopped:
            stopped = True
            broker.stop()
            broker.start()
        return rows

    stream = et.from_frame(frame).map_batches(slowly)
    stream.write(et.write_kafka(topic, servers=broker.address)).run(
        show=False, state=tmp_path / "state", rows_max=500, checkpoint_every="1us"
    )
    assert stopped
    assert [json.loads(value or "")["n"] for _, value in shown(broker, topic)] == list(range(5_000))


def test_what_is_wrong_with_a_sink_is_told_with_its_remedy(
    own_kafka: Callable[[], Kafka], kafka: Kafka, topics: Topics, tmp_path: Path
) -> None:
    rows = et.from_rows([{"n": 1, "t": "x" * 3_000_000}], schema={"n": int, "t": str})
    with pytest.raises(et.SinkError, match=r"127\.0\.0\.1:9.*Is the broker running"):
        rows.write(et.write_kafka("t", servers="127.0.0.1:9", patience="500ms")).run(show=False)
    with pytest.raises(et.SinkError, match="Kafka topic missing at .*Create the topic first"):
        rows.write(et.write_kafka("missing", servers=kafka.address)).run(show=False)
    topic = topics.make()
    with pytest.raises(et.SinkError, match="the output results has no column 'k' for the key. It has n, t"):
        rows.write(et.write_kafka(topic, servers=kafka.address, key="k")).run(show=False)
    for state in (None, tmp_path / "state"):
        with pytest.raises(et.SinkError, match=r"message\.max\.bytes"):
            rows.write(et.write_kafka(topic, servers=kafka.address)).run(show=False, state=state)
    with pytest.raises(ValueError, match="retractions='x' is not a choice"):
        et.write_kafka(topic, servers=kafka.address, retractions="x")  # type: ignore[arg-type]
    broker = own_kafka()
    gone = Topics(broker.address).make()
    sink = et.write_kafka(gone, servers=broker.address)
    writer = sink.open_epochs(Opening("o", COLUMNS, (), "run"))
    writer.recover(0, EPOCHS[1], {})
    broker.stop()
    object.__setattr__(sink.writing, "patience_us", 3_000_000)  # now that nobody answers any more
    with pytest.raises(et.SinkError, match="start again"):
        writer.deliver(1, EPOCHS[0])
    broker.start()
    again = et.write_kafka(gone, servers=broker.address).open_epochs(Opening("o", COLUMNS, (), "run"))
    again.recover(1, EPOCHS[0], writer.stand())
    assert shown(broker, gone) == EXPECTED[:2]


def test_a_question_whose_connection_breaks_is_asked_again_and_one_that_is_refused_is_not() -> None:
    faults = [KafkaError._DESTROY_BROKER, KafkaError._TRANSPORT]

    def ask() -> str:
        if faults:
            raise KafkaException(KafkaError(faults.pop()))
        return "answered"

    assert patiently(ask, 60_000_000) == "answered"
    faults = [KafkaError._TRANSPORT]
    with pytest.raises(KafkaException, match="transport"):
        patiently(ask, -1)
    faults = [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    with pytest.raises(KafkaException, match="authorization"):
        patiently(ask, 60_000_000)
