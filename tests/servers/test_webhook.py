"""Webhook out: rows are posted in requests with keys, tried again, and never to somebody's own network unasked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import polars as pl
import pytest

import eventide as et
from eventide.connectors.webhook import sink as sink_module
from eventide.flow import EpochWriter, Opening
from eventide.testing import SimulatedDisk
from eventide.testing.services.service import free_port

COLUMNS = {"n": pl.Int64(), "text": pl.String()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.01,) * 5)


class Receiver:
    """Takes requests; the first ones are answered with the given statuses, others with 204."""

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.port = 0

    def rows(self) -> list[Any]:
        return [row for headers, body in self.requests for row in self._rows(headers, body)]

    def _rows(self, headers: dict[str, str], body: bytes) -> list[Any]:
        if headers["Content-Type"] == "application/json":
            found: list[Any] = json.loads(body)
            return found
        return [json.loads(line) for line in body.splitlines()]


@contextmanager
def receiving(statuses: Sequence[int] = (), port: int = 0) -> Iterator[Receiver]:
    made = Receiver(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = made.statuses.pop(0) if made.statuses else 204
            if status < 300:
                made.requests.append((dict(self.headers), body))
            if status:
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made.port = server.server_port
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opened(port: int, **settings: Any) -> EpochWriter:
    sink = et.write_webhook(f"http://127.0.0.1:{port}/in", **{"allow_private": True, **settings})
    return sink.open_epochs(Opening("late", COLUMNS, (), "run"))


ROWS = pl.DataFrame({"n": [1, None, 2**53], "text": ["ü\n\"'", "𝄞\0", None]}, schema=COLUMNS)


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_rows_arrive_in_order_with_types_nulls_and_unicode(form: str) -> None:
    with receiving() as receiver:
        writer = opened(receiver.port, format=form, rows_most=2)
        writer.recover(0, ROWS.clear(), {})
        writer.deliver(1, ROWS)
        writer.deliver(2, ROWS.clear())
        writer.deliver(3, pl.DataFrame({"n": [7], "text": ["x" * 3_000_000]}))
        writer.close()
    assert receiver.rows() == [*ROWS.to_dicts(), {"n": 7, "text": "x" * 3_000_000}]
    keys = [headers["Idempotency-Key"] for headers, _ in receiver.requests]
    assert keys == ["run:late:1:0", "run:late:1:1", "run:late:3:0"]


def test_after_a_kill_the_last_epoch_comes_again_in_the_same_requests() -> None:
    many = pl.DataFrame({"n": range(5_000), "text": ["x" * 300] * 5_000}, schema=COLUMNS)
    with receiving() as receiver:
        writer = opened(receiver.port, rows_most=4_000)
        stand = writer.stand()
        writer.deliver(1, many)
        again = opened(receiver.port, rows_most=4_000)
        again.recover(1, many, stand)
        assert len(receiver.requests) == 4
        assert [(one[0]["Idempotency-Key"], one[1]) for one in receiver.requests[:2]] == [
            (one[0]["Idempotency-Key"], one[1]) for one in receiver.requests[2:]
        ]


def test_a_receiver_that_is_away_is_tried_again_and_one_that_refuses_stops_the_run() -> None:
    with receiving([503, 429, 0, 500]) as receiver:
        opened(receiver.port).deliver(1, ROWS)
        lost, taken = receiver.requests  # of the first the answer was lost
        assert (lost[0]["Idempotency-Key"], lost[1]) == (taken[0]["Idempotency-Key"], taken[1])
    with receiving([302]) as receiver, pytest.raises(et.SinkError, match="redirects are not followed"):
        opened(receiver.port).deliver(1, ROWS)
    with (
        receiving([422]) as receiver,
        pytest.raises(et.SinkError, match="webhook 127.0.0.1:.* does not take rows: .* 422"),
    ):
        opened(receiver.port).deliver(1, ROWS)
    with pytest.raises(et.SinkError, match="cannot post to webhook .*ConnectionRefused"):
        opened(free_port()).deliver(1, ROWS)


def test_addresses_of_somebodys_own_network_are_refused_unless_allowed() -> None:
    for host in ("127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:10.0.0.1]"):
        sink = et.write_webhook(f"http://{host}:9/in").open_epochs(Opening("late", COLUMNS, (), "run"))
        with pytest.raises(et.SinkError, match="private, loopback or link-local network: allow_private=True"):
            sink.deliver(1, ROWS)


def test_secrets_come_from_the_environment_and_are_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving([403]) as receiver:
        monkeypatch.setenv("AIR_URL", f"http://user:hush@127.0.0.1:{receiver.port}/in?key=hush")
        monkeypatch.setenv("AIR_TOKEN", "hush")
        sink = et.write_webhook(env="AIR_URL", token_env="AIR_TOKEN", allow_private=True)
        with pytest.raises(et.SinkError, match="webhook AIR_URL does not take rows") as told:
            sink.open_epochs(Opening("late", COLUMNS, (), "run")).deliver(1, ROWS)
        writer = sink.open("late", COLUMNS, ())
        writer.write(ROWS)
        writer.close()
        assert receiver.requests[0][0]["Authorization"] == "Bearer hush"
        made = et.read_http(schema={"n": int}).write(sink)
        assert "hush" not in f"{told.value!r} {sink!r} {made.to_yaml()}"
        assert et.Stream.from_yaml(made.to_yaml()).plan.writes == made.plan.writes
    monkeypatch.setenv("AIR_URL", "ftp://host")
    with pytest.raises(et.SinkError, match="webhook AIR_URL holds no address that can be posted to"):
        sink.open("late", COLUMNS, ())
    monkeypatch.delenv("AIR_TOKEN")
    monkeypatch.setenv("AIR_URL", "http://host")
    with pytest.raises(et.SinkError, match="AIR_TOKEN is not set"):
        sink.open("late", COLUMNS, ())
    wrongs: list[dict[str, Any]] = [
        {"url": "https://u:p@h"},
        {"url": "https://h?k=1"},
        {"url": "h"},
        {},
        {"url": "https://h", "env": "A"},
    ]
    for wrong in [*wrongs, {"url": "https://h", "rows_most": 0}, {"url": "https://h", "format": "xml"}]:
        with pytest.raises(ValueError, match="="):
            et.write_webhook(**wrong)


def test_a_run_whose_receiver_was_away_goes_on_with_the_epoch_that_was_decided() -> None:
    from pathlib import Path

    from eventide.engine.epochs import StateFolder

    port, state = free_port(), StateFolder(Path("/state"), SimulatedDisk())
    made = et.from_rows([{"n": n} for n in range(1_000)], schema={"n": int}).write(
        et.write_webhook(f"http://127.0.0.1:{port}/in", allow_private=True)
    )
    with pytest.raises(et.SinkError, match="cannot post"):
        made.run(show=False, state=state)
    with receiving(port=port) as receiver:
        made.run(show=False, state=state)
        assert [row["n"] for row in receiver.rows()] == list(range(1_000))
