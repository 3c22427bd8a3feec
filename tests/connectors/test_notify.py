"""Notifications over a real server on loopback: delivered, retried, limited, never in the way, and without secrets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.connectors.notifications.address import Failed, Refused, addresses, is_public
from eventide.connectors.notifications.courier import Courier, Manner
from eventide.connectors.notifications.message import Message, message_of
from eventide.connectors.notifications.webhook import Webhook
from eventide.errors import SinkError
from eventide.testing import TestClock

SECRET = "tok-8d1f"


class Hook:
    """A server that answers with the given statuses in turn, the last one for ever, and keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[dict[str, Any]] = []
        self.tries = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = statuses[min(hook.tries, len(statuses) - 1)]
                hook.tries += 1
                if status == 200:
                    hook.got.append(json.loads(body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", hook.url)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """The test reads what came, not the log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook() -> Iterator[Callable[..., Hook]]:
    opened: list[Hook] = []

    def start(*statuses: int) -> Hook:
        opened.append(Hook(*statuses))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def alerts() -> et.Stream:
    rows = [{"room": "a", "at": n * 1_000, "heat": heat} for n, heat in enumerate([1, 9, 9, 1, 9])]
    rooms = et.from_rows(rows, schema={"room": str, "at": et.Instant, "heat": int}).event_time("at", et.ascending())
    return rooms.alert(col("heat") > 5, name="hot", severity="critical", by="room")


def message(number: int = 0) -> Message:
    return message_of("alerts", {"alert": "hot", "state": "raised", "number": number})


def test_alerts_reach_a_webhook_in_order(hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch) -> None:
    server = hook(200)
    monkeypatch.setenv("OPS_HOOK", server.url)
    out = alerts().write(et.notify("OPS_HOOK", allow_private=True), "alerts").run(show=False)
    assert [told["title"] for told in server.got] == [
        "[critical] hot raised: room=a",
        "[critical] hot cleared: room=a",
        "[critical] hot raised: room=a",
    ]
    assert json.loads(server.got[0]["row"]["values"]) == {"heat": 9}
    assert out.deliveries == {"OPS_HOOK": {"sent": 3, "failed": 0, "dropped": 0}}


def test_only_the_states_asked_for_are_sent(hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch) -> None:
    server = hook(200)
    monkeypatch.setenv("OPS_HOOK", server.url)
    alerts().write(et.notify("OPS_HOOK", states=["raised"], allow_private=True), "alerts").run(show=False)
    assert [told["row"]["state"] for told in server.got] == ["raised", "raised"]


def test_a_busy_server_is_asked_again_with_growing_pauses(hook: Callable[..., Hook]) -> None:
    server = hook(503, 429, 200)
    clock = TestClock()
    webhook = Webhook(server.url, 5.0, allow_private=True)
    courier = Courier("X", webhook.send, Manner(100, 60_000_000, 5, 1_000_000, 10), clock)
    courier.hand_over(message())
    courier.close(10.0)
    assert (courier.tally.sent, server.tries, clock.time_us) == (1, 3, 3_000_000)


def test_a_server_that_refuses_is_not_asked_again(hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch) -> None:
    server = hook(404)
    monkeypatch.setenv("OPS_HOOK", server.url)
    out = alerts().write(et.notify("OPS_HOOK", allow_private=True), "alerts").run(show=False)
    assert server.tries == 3
    assert out.deliveries["OPS_HOOK"]["failed"] == 3
    assert out.undelivered["reason"].unique().to_list() == ["the server answered 404"]


def test_redirects_are_not_followed(hook: Callable[..., Hook]) -> None:
    server = hook(302, 200)
    with pytest.raises(Refused, match="redirects are not followed"):
        Webhook(server.url, 5.0, allow_private=True).send(message())
    assert server.tries == 1


def test_own_networks_are_refused_unless_allowed(hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch) -> None:
    server = hook(200)
    monkeypatch.setenv("OPS_HOOK", server.url)
    out = alerts().write(et.notify("OPS_HOOK"), "alerts").run(show=False)
    assert server.tries == 0
    assert "allow_private=True" in out.undelivered["reason"][0]


def test_the_address_that_was_checked_is_the_one_connected_to(
    hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address first and with loopback later gains nothing."""
    server = hook(200)
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        answer = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]

    connected: list[str] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address[0])
        raise OSError("no way out")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Failed, match="did not get through"):
        Webhook(f"http://rebound.example:{server.server.server_port}/", 5.0, allow_private=False).send(message())
    assert (asked, connected, server.tries) == (["rebound.example"], ["93.184.215.14"], 0)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::",
    ],
)
def test_addresses_of_own_networks_are_known(address: str) -> None:
    from ipaddress import ip_address

    assert not is_public(ip_address(address))
    with pytest.raises(Refused):
        addresses(address, 80, allow_private=False)


def test_a_stuck_target_never_holds_up_the_one_who_hands_over() -> None:
    release = threading.Event()
    begun = threading.Event()

    def stuck(_: Message) -> None:
        begun.set()
        release.wait(30)

    courier = Courier("X", stuck, Manner(100, 60_000_000, 1, 1, 2), TestClock())
    courier.hand_over(message(0))
    assert begun.wait(10)
    for number in range(1, 6):
        courier.hand_over(message(number))
    assert courier.tally.dropped == 3
    courier.close(0.0)
    release.set()
    fates = [(fate, told.row["number"]) for fate, _, told in courier.tally.undelivered]
    assert fates == [("dropped", 3), ("dropped", 4), ("dropped", 5), ("failed", 1), ("failed", 2), ("failed", 0)]
    assert (courier.tally.sent, courier.tally.failed, courier.tally.dropped) == (0, 3, 3)


def test_no_more_than_the_limit_goes_out_in_a_span() -> None:
    clock = TestClock()
    sent: list[int] = []
    courier = Courier("X", lambda _: sent.append(clock.time_us), Manner(2, 10_000_000, 1, 1, 10), clock)
    for number in range(5):
        courier.hand_over(message(number))
    courier.close(10.0)
    assert sent == [0, 0, 10_000_000, 10_000_000, 20_000_000]


def test_a_fault_of_a_target_shows_its_kind_and_not_its_words() -> None:
    def broken(_: Message) -> None:
        raise RuntimeError(SECRET)

    courier = Courier("X", broken, Manner(9, 1, 2, 1, 10), TestClock())
    courier.hand_over(message())
    courier.close(10.0)
    assert [reason for _, reason, _ in courier.tally.undelivered] == ["it failed unexpectedly (RuntimeError)"]


def test_secrets_stand_in_no_plan_error_or_repr(
    hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = hook(500)
    monkeypatch.setenv("OPS_HOOK", server.url)
    sink = et.notify("OPS_HOOK", tries=1, allow_private=True)
    out = alerts().write(sink, "alerts").run()
    stream = et.read_csv("r.csv", schema={"at": et.Instant}).write(sink)
    said = [repr(sink), sink.name, stream.to_yaml(), stream.explain(), repr(out.deliveries), capsys.readouterr().out]
    assert SECRET not in "".join(said) + out.undelivered.write_csv()
    assert out.deliveries["OPS_HOOK"]["failed"] == 3
    assert et.Stream.from_yaml(stream.to_yaml()).to_yaml() == stream.to_yaml()
    assert et.Stream.from_yaml(stream.to_yaml()).plan.writes == stream.plan.writes
    with pytest.raises(ValueError, match="name of an environment variable") as caught:
        et.notify(server.url)
    assert SECRET not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPS_HOOK", raising=False)
    with pytest.raises(SinkError, match="OPS_HOOK is not set"):
        alerts().write(et.notify("OPS_HOOK"), "alerts").run(show=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Apprise asks for a module that Python has given up
def test_services_of_apprise_are_asked_under_the_same_rules(
    hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = hook(200)
    monkeypatch.setenv("OPS_HOOK", server.url.replace("http://", "json://"))
    with pytest.raises(SinkError, match="https://"):
        alerts().write(et.notify("OPS_HOOK"), "alerts").run(show=False)
    out = alerts().write(et.notify("OPS_HOOK", allow_private=True), "alerts").run(show=False)
    assert next(told["title"] for told in server.got) == "[critical] hot raised: room=a"
    assert out.deliveries["OPS_HOOK"] == {"sent": 3, "failed": 0, "dropped": 0}
    monkeypatch.setenv("OPS_HOOK", f"gotify://127.0.0.1:{server.server.server_port}/{SECRET}")
    out = alerts().write(et.notify("OPS_HOOK"), "alerts").run(show=False)
    assert out.deliveries["OPS_HOOK"]["failed"] == 3
    assert len(server.got) == 3
    assert SECRET not in caplog.text


def test_outputs_without_states_are_sent_row_by_row(hook: Callable[..., Hook], monkeypatch: pytest.MonkeyPatch) -> None:
    server = hook(200)
    monkeypatch.setenv("OPS_HOOK", server.url)
    sink = et.notify("OPS_HOOK", allow_private=True)
    writer = sink.open("results", {"a": pl.Int64()}, ())
    writer.write(pl.DataFrame({"a": [1, 2]}))
    assert server.tries == 0
    writer.commit()
    writer.close()
    assert [told["row"] for told in server.got] == [{"a": 1}, {"a": 2}]
