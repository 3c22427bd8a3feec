"""WebSocket out: viewers see rows as they come out; one that is too slow holds nobody up."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import polars as pl
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import eventide as et
from eventide.connectors.websocket.sink import WebSocketWriter
from eventide.testing.services.service import free_port

COLUMNS = {"n": pl.Int64(), "text": pl.String()}
Opened = tuple[WebSocketWriter, str]


@contextmanager
def pushing(**settings: Any) -> Iterator[Opened]:
    port = free_port()
    writer = et.write_websocket(f"127.0.0.1:{port}", **settings).open("late", COLUMNS, ())
    try:
        yield writer, f"ws://127.0.0.1:{port}/live"
    finally:
        writer.abort()


def numbered(start: int, end: int, text: str | None = "ü\n") -> pl.DataFrame:
    return pl.DataFrame({"n": range(start, end), "text": [text] * (end - start)}, schema=COLUMNS)


def seen(viewer: ClientConnection, count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        rows += json.loads(viewer.recv(10))
    return rows


def test_viewers_get_the_last_rows_first_and_then_all_in_order() -> None:
    with pushing(recent=3) as (writer, url):
        writer.write(numbered(0, 10))
        with connect(url) as one:
            assert [row["n"] for row in seen(one, 3)] == [7, 8, 9]
            writer.write(numbered(10, 2_000))
            with connect(url) as two:
                assert [row["n"] for row in seen(two, 3)] == [1997, 1998, 1999]
                writer.write(numbered(2_000, 2_001, None))
                assert seen(two, 1) == [{"n": 2_000, "text": None}]
            rows = seen(one, 1_991)
            assert [row["n"] for row in rows] == list(range(10, 2_001))
            assert rows[0]["text"] == "ü\n"


def test_the_last_rows_are_seen_before_the_server_ends() -> None:
    port = free_port()
    writer = et.write_websocket(f"127.0.0.1:{port}", recent=1).open("late", COLUMNS, ())
    writer.write(numbered(0, 1))
    with connect(f"ws://127.0.0.1:{port}/live") as viewer:
        seen(viewer, 1)
        writer.write(numbered(1, 30_000))
        writer.close()
        assert [row["n"] for row in seen(viewer, 29_999)] == list(range(1, 30_000))
        with pytest.raises(ConnectionClosed):
            viewer.recv(10)


def test_a_viewer_that_does_not_listen_is_sent_away_and_others_see_all() -> None:
    """It takes what the system's buffers hold, and 128 messages; some hundred MiB pass by meanwhile."""
    with pushing() as (writer, url), connect(url) as good:
        port = int(url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            key = b64encode(bytes(16)).decode()
            asked = f"GET /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            deaf.sendall(asked.encode())
            assert deaf.recv(12) == b"HTTP/1.1 101"
            viewers = writer._viewers
            while len(viewers._waiting) < 2:
                writer.write(numbered(0, 1))
            text = "x" * 200_000
            sent = 0
            while len(viewers._waiting) == 2:
                writer.write(numbered(sent, sent + 1, text))
                sent += 1
                while True:
                    row = seen(good, 1)[-1]
                    if row["text"] == text and row["n"] == sent - 1:
                        break
                assert sent < 1_000
            assert len(viewers._waiting) == 1


def test_who_may_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIR_TOKEN", "hush")
    with pushing(token_env="AIR_TOKEN", origins=["https://air.example"]) as (_, url):
        right = {"Authorization": "Bearer hush"}
        for headers in ({}, {"Authorization": "Bearer no"}, {**right, "Origin": "https://evil.example"}):
            with pytest.raises(InvalidStatus, match="403"), connect(url, additional_headers=headers):
                pass
        with connect(url, additional_headers={**right, "Origin": "https://air.example"}) as viewer:
            viewer.send("nobody listens to this")
        with pytest.raises(et.SinkError, match="cannot listen at 127.0.0.1:"):
            et.write_websocket(url.removeprefix("ws://").removesuffix("/live")).open("late", COLUMNS, ())
    with pytest.raises(ValueError, match="other machines"):
        et.write_websocket("0.0.0.0:1")
    for wrong in ({"path": "live"}, {"recent": -1}, {"address": "x"}):
        with pytest.raises(ValueError, match="="):
            et.write_websocket(**wrong)


def test_a_run_shows_its_windows_to_a_viewer() -> None:
    port, shown = free_port(), list[dict[str, Any]]()
    sink = et.write_websocket(f"127.0.0.1:{port}")
    made = et.from_rows([{"n": n} for n in range(100)], schema={"n": int}).write(sink)
    as_text = et.read_http(schema={"n": int}).write(sink)
    assert et.Stream.from_yaml(as_text.to_yaml()).plan == as_text.plan

    with ExitStack() as held:

        def observe(running: object) -> Any:
            viewer = held.enter_context(connect(f"ws://127.0.0.1:{port}/live"))

            def beat() -> None:
                while len(shown) < 100:
                    shown.extend(seen(viewer, 1))

            return beat

        made.run(show=False, observe=observe)
    assert [row["n"] for row in shown] == list(range(100))
