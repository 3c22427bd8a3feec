"""A run that takes events in from outside is killed between accepting and deciding: what was accepted comes out once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tests.servers.test_mqtt import send_large

from eventide.testing.services import running as mosquitto_running
from eventide.testing.services.mosquitto import Mosquitto
from eventide.testing.services.service import free_port

_MQTT = """
import eventide as et
pipeline = et.read_mqtt("a", server="{address}", schema={{"n": int}}).write(et.write_ndjson("out/"))
"""
_HTTP = """
import eventide as et
pipeline = et.read_http("127.0.0.1:{port}", schema={{"n": int}}).write(et.write_ndjson("out/"))
"""


@contextmanager
def running(folder: Path, job: str, checkpoint_every: str = "200ms") -> Iterator[subprocess.Popen[bytes]]:
    """`eventide run` in a process of its own, which is killed at the end if nobody did."""
    (folder / "job.py").write_text(job)
    words = ["run", "job.py", "--quiet", "--state", "state", "--checkpoint-every", checkpoint_every]
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "eventide", *words], cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_health(client: httpx.Client, process: subprocess.Popen[bytes], folder: Path) -> None:
    while True:
        assert process.poll() is None, (folder / "log.txt").read_text()
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            threading.Event().wait(0.05)


def wait_until(
    done: Callable[[], object],
    process: subprocess.Popen[bytes],
    folder: Path,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Wait until something is done by a run that goes on."""
    while not done():
        assert process.poll() is None, (folder / "log.txt").read_text()
        if meanwhile is not None:
            meanwhile()
        threading.Event().wait(0.05)


def publish(client: Client, message: bytes) -> None:
    """The broker has it on return."""
    sent = client.publish("a", message, 1)
    sent.wait_for_publish(60)
    assert sent.is_published()


def stopped(process: subprocess.Popen[bytes]) -> None:
    """Stop in order, with a last epoch."""
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (0, 130)


def shown(folder: Path) -> list[int]:
    """The numbers that came out, in the order of the epochs."""
    parts = sorted((folder / "out").glob("part-*"))
    return [json.loads(line)["n"] for part in parts for line in part.read_bytes().splitlines()]


def test_what_was_accepted_over_http_comes_out_once_however_often_the_run_is_killed(tmp_path: Path) -> None:
    port = free_port()
    job = _HTTP.format(port=port)
    accepted: list[int] = []
    unanswered: list[int] = []
    number = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for round_ in range(3):
            with running(tmp_path, job) as process:
                wait_for_health(client, process, tmp_path)
                killer = threading.Timer(0.2 + 0.3 * round_, process.kill)
                enough = len(accepted) + 35
                while True:
                    if len(accepted) == enough:  # a slow machine gets so far, too
                        killer.start()
                    numbers, number = list(range(number, number + 7)), number + 7
                    try:
                        answer = client.post("/events", content=json.dumps([{"n": one} for one in numbers]))
                    except httpx.TransportError:
                        unanswered += numbers
                        break
                    assert answer.status_code == 202
                    accepted += numbers
        with running(tmp_path, job) as process:
            wait_for_health(client, process, tmp_path)
            assert client.post("/events", content='{"n": -1}').status_code == 202
            wait_until(lambda: -1 in shown(tmp_path), process, tmp_path)
            stopped(process)
    found = shown(tmp_path)
    assert len(accepted) > 100
    assert found == [*sorted(set(found) - {-1}), -1]
    assert set(accepted) <= set(found) <= {*accepted, *unanswered, -1}


def test_what_an_mqtt_broker_was_told_is_kept_comes_out_however_often_the_run_is_killed(tmp_path: Path) -> None:
    """Nothing is lost; a message comes twice only when the kill fell between keeping and acknowledging it."""
    (tmp_path / "broker").mkdir()
    with mosquitto_running(Mosquitto(tmp_path / "broker")) as broker:
        job = _MQTT.format(address=broker.address)
        sent, number = list[int](), 0
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for round_ in range(4):
            with running(tmp_path, job) as process:
                # the session is there when the first message was heard
                wait_until(lambda: shown(tmp_path), process, tmp_path, lambda: publish(client, b'{"n": -1}'))
                killer = threading.Timer(0.3 * round_ + 0.05, process.kill)
                killer.start()
                while process.poll() is None:
                    publish(client, json.dumps({"n": number}).encode())
                    sent, number = [*sent, number], number + 1
        publish(client, json.dumps({"n": number}).encode())
        client.disconnect()
        client.loop_stop()
        with running(tmp_path, job) as process:
            wait_until(lambda: number in shown(tmp_path), process, tmp_path)
            stopped(process)
    found = [one for one in shown(tmp_path) if one >= 0]
    assert list(dict.fromkeys(found)) == list(range(number + 1))
    assert len(found) - number - 1 <= 4 * 200


def test_memory_stays_bounded_whatever_is_sent(tmp_path: Path) -> None:
    """A hundred senders of gzip bombs, of a hundred MiB, and of a million brackets."""
    port = free_port()
    with running(tmp_path, _HTTP.format(port=port)) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for_health(client, process, tmp_path)
            before = peak_mib(process)
            send_poison(port)
            assert client.post("/events", content='{"n": 1}').status_code == 202
        assert peak_mib(process) - before < 400
        wait_until(lambda: shown(tmp_path), process, tmp_path)
        stopped(process)
    assert shown(tmp_path) == [1]


def test_memory_stays_bounded_when_a_broker_sends_a_hundred_mib_at_a_time(tmp_path: Path) -> None:
    """The client holds a message about four times while it comes in; three of them cost no more than one."""
    (tmp_path / "broker").mkdir()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    with ExitStack() as held:
        broker = held.enter_context(mosquitto_running(Mosquitto(tmp_path / "broker")))
        process = held.enter_context(running(tmp_path, _MQTT.format(address=broker.address)))
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        held.callback(client.loop_stop)
        held.callback(client.disconnect)
        wait_until(lambda: shown(tmp_path), process, tmp_path, lambda: publish(client, b'{"n": 0}'))
        before = peak_mib(process)
        for _ in range(3):
            send_large(broker, "a", 100 * 2**20)
        publish(client, b'{"n": 1}')
        wait_until(lambda: shown(tmp_path)[-1] == 1, process, tmp_path)
        assert peak_mib(process) - before < 500
        stopped(process)


def send_poison(port: int) -> None:
    import gzip

    bomb = gzip.compress(bytes(300 * 2**20), 1)
    zeros = b"[" + b"0," * (2**21 - 2) + b"0]"
    brackets = b'{"n": ' + b"[" * 1_000_000

    def send() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for body, coding in ((bomb, "gzip"), (zeros, "identity"), (brackets, "identity")):
                answer = client.post("/events", content=body, headers={"Content-Encoding": coding})
                assert answer.status_code in (400, 413, 503)

    senders = [threading.Thread(target=send) for _ in range(8)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()


def peak_mib(process: subprocess.Popen[bytes]) -> int:
    """The most memory a process has had so far."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))
