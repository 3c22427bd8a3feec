"""What is posted and pushed, for the suites: ingest by HTTP and WebSockets, webhooks, viewers."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from tests.servers.suite.system import SCHEMA, SENT, Row, System, as_json, of_json
from websockets.sync.client import connect

import eventide as et
from eventide.flow import ReadContext, Sink
from eventide.testing.services.service import free_port, is_listening

_IS_SERVER = "the source is the server itself: it is its senders who wait and try again"


class IngestSystem(System):
    """A source that others post to. What is put while nobody reads is put into the journal by a source of ours."""

    cannot: ClassVar[Mapping[str, str]] = {
        "a wrong password": "its senders show a password, the source has none; test_http.py sends wrong ones",
        "away at the start": _IS_SERVER,
        "read through a restart": _IS_SERVER,
        "read through faults": _IS_SERVER,
    }

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._folder = tempfile.TemporaryDirectory(prefix="eventide-suite-")
        self._port = free_port()

    def close(self) -> None:
        self._folder.cleanup()

    def put(self, place: str, rows: Sequence[Row]) -> None:
        if is_listening(self._port):
            self._send(rows)
            return
        logs = self.stream(place).plan.inputs[0].source.open(ReadContext(), {})
        try:
            self._send(rows)
        finally:
            logs.close()

    def _send(self, rows: Sequence[Row]) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60) as client:
            for row in rows:
                assert client.post("/events", content=as_json(row)).status_code == 202

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        journal = str(Path(self._folder.name) / self.named(place))
        return et.read_http(f"127.0.0.1:{self._port}", schema=SCHEMA, journal=journal)


class WebSocketIngestSystem(IngestSystem):
    """The same, sent over WebSockets."""

    def _send(self, rows: Sequence[Row]) -> None:
        with connect(f"ws://127.0.0.1:{self._port}/events") as socket:
            for row in rows:
                socket.send(as_json(row).decode())
                assert json.loads(socket.recv(30))["accepted"] == 1


class Receiver:
    """Takes what is posted with the right token, by the path it is posted to and the key of its request."""

    def __init__(self) -> None:
        self.got: dict[str, dict[str, Any]] = {}
        self.port = free_port()

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.headers["Authorization"] == "Bearer wind"
                if known:
                    receiver.got.setdefault(self.path, {})[self.headers["Idempotency-Key"]] = json.loads(body)
                self.send_response(204 if known else 401)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is told."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class WebhookSystem(System):
    """A receiver that remembers keys."""

    cannot: ClassVar[Mapping[str, str]] = {"take epochs back": SENT}
    patient = ("webhook.sink",)

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._receiver = Receiver()
        self.put_behind_link(self._receiver)
        self._environment = pytest.MonkeyPatch()
        self._environment.setenv("SUITE_TOKEN", "wind")

    def close(self) -> None:
        super().close()
        self._environment.undo()

    def _to(self, port: int, path: str, token_env: str = "SUITE_TOKEN") -> Sink:
        return et.write_webhook(f"http://127.0.0.1:{port}/{path}", token_env=token_env, allow_private=True)

    def sink(self, place: str) -> Sink:
        return self._to(self.link.port, self.named(place))

    def rows(self, place: str) -> list[dict[str, Any]]:
        taken = self._receiver.got.get(f"/{self.named(place)}", {})
        return [of_json(json.dumps(row)) for rows in taken.values() for row in rows]

    def refused_sink(self) -> Sink:
        return self._to(self._receiver.port, "t", "SUITE_PASSWORD")

    def away_sink(self) -> Sink:
        return self._to(9, "t")


class ViewersSystem(System):
    """A sink that pushes to whoever looks."""

    _IS_SERVER = "the sink is the server itself: who is away misses rows"
    cannot: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("whole epochs", "take epochs back"),
            "it promises at most once: rows are pushed as they come out, not when an epoch is decided",
        ),
        "a wrong password": "its viewers show a password, the sink has none; test_websocket_out.py shows wrong ones",
        "away at the start": _IS_SERVER,
        "write through a restart": _IS_SERVER,
        "write through faults": _IS_SERVER,
    }

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._port = free_port()

    def close(self) -> None:
        """Nothing is held."""

    def be_patient(self, monkeypatch: pytest.MonkeyPatch, waits_s: Sequence[float]) -> None:
        """It waits for nobody."""

    def sink(self, place: str) -> Sink:
        return et.write_websocket(f"127.0.0.1:{self._port}", recent=1_000)

    def rows(self, place: str) -> list[dict[str, Any]]:
        """What a viewer sees who comes now."""
        with connect(f"ws://127.0.0.1:{self._port}/live", max_size=None) as viewer:
            return [of_json(json.dumps(row)) for row in json.loads(viewer.recv(30))]
