"""RabbitMQ as a sink, and a job of a base station from queue to queue, on a real broker that is stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiormq.exceptions import ConnectionClosed
from tests.servers.messages_of_rabbitmq import held, make, on, send, waiting

import eventide as et
from eventide.connectors.rabbitmq import sink as sink_module
from eventide.flow import EpochWriter, Opening
from eventide.testing.services.rabbitmq import RabbitMq

COLUMNS = {"k": pl.String(), "n": pl.Int64()}
OPENING = Opening("late", COLUMNS, (), "run")
EPOCHS = [
    pl.DataFrame({"k": ["a", "ü\n\"'\0"], "n": [1, 2]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"k": [None, "a"], "n": [3, None]}),
]
ROWS = [{"k": "a", "n": 1}, {"k": "ü\n\"'\0", "n": 2}, {"k": None, "n": 3}, {"k": "a", "n": None}]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short, and many enough for a restart."""
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.05,) * 600)


@pytest.fixture
def queue(request: pytest.FixtureRequest, broker: RabbitMq) -> str:
    """A queue that no other test has."""
    return make(broker, "".join(one if one.isalnum() else "_" for one in request.node.name)[-60:])


def opened(broker: RabbitMq, queue: str) -> EpochWriter:
    return et.write_rabbitmq(queue, address=broker.address).open_epochs(OPENING)


def bodies(broker: RabbitMq, queue: str) -> list[Any]:
    return [json.loads(one.body) for one in held(broker, queue)]


@pytest.mark.parametrize("shown", [0, 1, 2, 3])
def test_an_epoch_that_was_sent_is_not_sent_again(broker: RabbitMq, queue: str, shown: int) -> None:
    """Epoch 3 was decided when the run was killed; `shown` epochs were sent and noted."""
    writer = et.write_rabbitmq(queue, address=broker.address).open_epochs(Opening("late", COLUMNS, (), f"run {shown}"))
    writer.recover(0, EPOCHS[1], {})
    for number in range(shown):
        writer.deliver(number + 1, EPOCHS[number])
    for number in (*range(min(shown, 2), 3), 2):
        writer.recover(number + 1, EPOCHS[number], {})
    writer.close()
    assert bodies(broker, queue) == ROWS


def test_messages_sent_again_after_a_kill_have_the_same_ids(
    broker: RabbitMq, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last confirmation and the note, an epoch comes again."""
    writer = opened(broker, queue)
    note = sink_module.Publisher.note
    monkeypatch.setattr(sink_module.Publisher, "note", lambda self, epoch: None)
    writer.deliver(1, EPOCHS[0])
    writer.close()
    monkeypatch.setattr(sink_module.Publisher, "note", note)
    writer = opened(broker, queue)
    writer.recover(1, EPOCHS[0], {})
    writer.close()
    found = held(broker, queue)
    told = [one.header.properties for one in found]
    assert [json.loads(one.body) for one in found] == ROWS[:2] * 2
    assert [one.message_id for one in told[:2]] == [one.message_id for one in told[2:]]
    assert len({one.message_id for one in told}) == 2
    assert {(one.delivery_mode, one.content_type, one.app_id) for one in told} == {(2, "application/json", "eventide")}
    seen = et.read_rabbitmq(queue, address=broker.address, schema={"n": int}, unique_ids=True)
    assert seen.plan.inputs[0].source.name == queue


def test_a_broker_that_is_killed_in_the_middle_has_every_row(broker: RabbitMq, queue: str) -> None:
    """The queue has what it confirmed; what was not confirmed is sent again, with the same id."""
    writer = opened(broker, queue)
    writer.deliver(11, pl.DataFrame({"k": ["x" * 1_000] * 700, "n": range(700)}))
    broker.stop(how=signal.SIGKILL)
    broker.start()
    writer.deliver(13, EPOCHS[0])
    writer.close()
    found = {one.header.properties.message_id: json.loads(one.body)["n"] for one in held(broker, queue)}
    assert sorted(found.values()) == sorted([*range(700), 1, 2])


def test_an_answer_that_was_lost_leads_to_the_same_id_again(
    broker: RabbitMq, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, faults = sink_module.Publisher._publish, [ConnectionClosed(320, "CONNECTION_FORCED")]

    async def losing(self: Any, channel: Any, part: Any) -> None:
        await publish(self, channel, part)
        if faults:
            raise faults.pop()

    monkeypatch.setattr(sink_module.Publisher, "_publish", losing)
    writer = et.write_rabbitmq(queue, address=broker.address).open("late", COLUMNS, ())
    writer.write(EPOCHS[0])
    writer.close()
    found = held(broker, queue)
    assert [json.loads(one.body) for one in found] == ROWS[:2] * 2
    assert len({one.header.properties.message_id for one in found}) == 2


def test_messages_that_no_queue_takes_stop_the_run(broker: RabbitMq, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(et.SinkError, match="there is no rabbitmq queue nobody"):
        opened(broker, "nobody").recover(0, EPOCHS[1], {})
    on(broker, lambda channel: channel.exchange_declare("air", exchange_type="topic", durable=True))
    writer = et.write_rabbitmq("a.b", exchange="air", address=broker.address).open("late", COLUMNS, ())
    writer.write(EPOCHS[0])
    with pytest.raises(et.SinkError, match="no queue of RabbitMQ takes what is sent to rabbitmq air/a.b"):
        writer.commit()
    writer.abort()
    monkeypatch.setenv("AIR_MQ", f"amqp://guest:hush@127.0.0.1:{broker.port}")
    with pytest.raises(et.SinkError, match="does not let us in") as caught:
        et.write_rabbitmq("q", env="AIR_MQ").open("late", COLUMNS, ())
    assert "hush" not in str(caught.value)
    with pytest.raises(ValueError, match="name it with env="):
        et.write_rabbitmq("q", address="amqp://me:hush@h")


STATION = """
import os, signal, sys, threading
import eventide as et
from eventide import col

address, state, kill_at, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
schema = {"station": int, "datapoint": str, "alarm": str, "at": et.field(et.Instant, unit="us"), "value": float}
job = (
    et.read_rabbitmq("alarms", address=address, schema=schema, prefetch=64)
    .event_time("at", et.bounded("3s"), max_future=None)
    .group_by("station", "datapoint", "alarm")
    .window(et.sliding("1m", "5s"))
    .agg(n=et.count(), least=col("value").min(), mean=col("value").mean(), most=col("value").max())
    .write(et.write_rabbitmq("figures", address=address))
    .write(et.write_csv(state + "-refused.csv"), "dead_letters")
)
stop = threading.Event()

def observe(running):
    def look():
        seen = running.pipeline.accounting.total.received
        if kill_at and seen >= kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if seen >= rows:
            stop.set()
    return look

job.run(show=False, state=state, stop=stop, observe=observe, rows_max=50, checkpoint_every="1us")
"""


def test_a_base_station_gets_its_figures_however_often_run_and_broker_are_killed(
    broker: RabbitMq, tmp_path: Path
) -> None:
    """Alarms come over RabbitMQ; every 5 s the figures of the last minute go back over it. Expected: by hand, below."""
    alarms: list[dict[str, Any]] = [
        {"station": n % 3, "datapoint": "voltage", "alarm": "low", "at": n * 100_000, "value": float(n % 7)}
        for n in range(1_200)  # two minutes
    ]
    values = [json.dumps(one).encode() for one in alarms]
    values[100:100] = [b"{", b'{"station": "x"}']
    values.append(json.dumps({**alarms[0], "station": 9, "at": 10_000_000_000}).encode())  # closes all windows
    make(broker, "alarms")
    make(broker, "figures")
    (tmp_path / "station.py").write_text(STATION)
    seen = 0
    for kill_at in (150, 400, 900, 0):
        if kill_at:
            send(broker, "alarms", values[seen : seen + 401])
            seen += 401
        given = [broker.address, str(tmp_path / "state"), str(kill_at), str(len(values))]
        done = subprocess.run(
            [sys.executable, str(tmp_path / "station.py"), *given],
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == (-signal.SIGKILL if kill_at else 0), done.stderr
        if kill_at == 400:
            broker.stop(how=signal.SIGKILL)
            broker.start()
    assert waiting(broker, "alarms") == 0
    figures: dict[str, dict[str, Any]] = {}
    for one in held(broker, "figures"):
        figures.setdefault(one.header.properties.message_id, json.loads(one.body))
    found = sorted(
        (one["station"], one["window_start"], one["n"], one["least"], one["mean"], one["most"])
        for one in figures.values()
        if one["station"] < 9
    )
    expected = []
    for station in range(3):
        for start in range(-55, 120, 5):
            mine = [
                one["value"]
                for one in alarms
                if one["station"] == station and start * 1_000_000 <= one["at"] < (start + 60) * 1_000_000
            ]
            if mine:
                when = pl.Series([start * 1_000_000]).cast(pl.Datetime("us", "UTC"))
                name = json.loads(pl.DataFrame({"t": when}).write_ndjson())["t"]
                expected.append((station, name, len(mine), min(mine), pytest.approx(sum(mine) / len(mine)), max(mine)))
    assert found == sorted(expected, key=lambda row: row[:2])
    assert len(pl.read_csv(f"{tmp_path}/state-refused.csv")) == 2
