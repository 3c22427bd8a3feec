"""HTTP and WebSocket ingest: what was accepted is kept, what is refused is told, memory stays bounded."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from websockets.sync.client import connect

import eventide as et
from eventide.connectors.http import application
from eventide.connectors.http.body import Room
from eventide.connectors.http.source import HttpIngest
from eventide.connectors.journal import JournalLogs
from eventide.flow import ReadContext
from eventide.testing.services.service import free_port

SCHEMA: dict[str, Any] = {"n": int, "text": str}


@dataclass
class Open:
    """A source that listens, and a client of it."""

    port: int
    logs: JournalLogs
    client: httpx.Client

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/events"

    def post(self, content: bytes | str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/events", content=content, headers=named)

    def read(self, rows_max: int = 1_000) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
        """The rows that are there now, and the offsets and reasons of those refused."""
        rows: list[dict[str, Any]] = []
        refused: list[tuple[int, str]] = []
        while (batch := self.logs.reader.read(rows_max)) is not None:
            rows += batch.rows.drop("_arrival").to_dicts()
            refused += batch.refused.select("_offset", "reason").rows()
        return rows, refused


@contextmanager
def listening(folder: Path, offset: int | None = None, **settings: Any) -> Iterator[Open]:
    port = free_port()
    made = et.read_http(f"127.0.0.1:{port}", journal=str(folder / "journal"), **{"schema": SCHEMA, **settings})
    source = made.plan.inputs[0].source
    assert isinstance(source, HttpIngest)
    logs = source.open(ReadContext(), {} if offset is None else {"events": {"offset": offset}})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Open(port, logs, client)
    finally:
        logs.close()


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"n": number, "text": "ü"} for number in numbers]


@pytest.mark.parametrize(
    ("settings", "body", "content_type"),
    [
        ({}, b' {"n": 1, "text": "\xc3\xbc\\n"}\n', "application/json"),
        ({}, b'[{"n": 1, "text": "\xc3\xbc\\n"}]', "application/json"),
        ({}, b'\n{"n": 1, "text": "\xc3\xbc\\n"}\r\n\n', "application/x-ndjson"),
        ({"format": "ndjson"}, b'{"n": 1, "text": "\xc3\xbc\\n"}', ""),
        ({"format": "csv", "header": ("text", "n")}, '"ü\\n",1\n'.encode(), "text/csv"),
    ],
)
def test_a_row_comes_in_however_it_is_written(
    tmp_path: Path, settings: dict[str, Any], body: bytes, content_type: str
) -> None:
    with listening(tmp_path, **settings) as server:
        for sent, coding in ((body, "identity"), (gzip.compress(body), "gzip")):
            answer = server.post(sent, content_type=content_type, content_encoding=coding)
            assert answer.status_code == 202
            assert answer.json() == {"accepted": 1, "offset": 0 if sent is body else 1}
        text = "ü\\n" if settings.get("format") == "csv" else "ü\n"
        assert server.read()[0] == [{"n": 1, "text": text, "_offset": offset} for offset in (0, 1)]


def test_rows_keep_types_nulls_and_order_and_each_offset_is_told(tmp_path: Path) -> None:
    schema = {"i": int, "x": float, "t": str, "b": bool, "at": et.Instant}
    rows = [
        {"i": 2**62, "x": 1e-300, "t": "𝄞\0", "b": True, "at": "2024-02-29T12:00:00.000001Z"},
        {"i": None, "x": None, "t": None, "b": None, "at": None},
        {"i": -1, "x": 2, "t": "x" * 3_000_000, "b": False, "at": "1969-12-31T23:59:59Z"},
    ]
    with listening(tmp_path, schema=schema) as server:
        assert server.post(json.dumps(rows)).json() == {"accepted": 3, "offset": 0}
        assert server.post("[]").json() == {"accepted": 0, "offset": None}
        assert server.post(json.dumps(rows[0])).json() == {"accepted": 1, "offset": 3}
        batch = server.logs.reader.read(10)
    assert batch is not None
    assert batch.rows.get_column("_offset").to_list() == [0, 1, 2, 3]
    expected = pl.DataFrame([*rows, rows[0]]).with_columns(
        pl.col("at").str.to_datetime(time_unit="us", time_zone="UTC")
    )
    assert batch.rows.drop("_offset", "_arrival").to_dicts() == expected.to_dicts()


def test_what_cannot_be_taken_apart_is_told_and_what_breaks_the_schema_is_a_dead_letter(tmp_path: Path) -> None:
    with listening(tmp_path) as server:
        for body in ("", "{", "[1, 2", '{"n": 1} x', "[" * 100_000, b"\xff", "[" * 1_000_000 + "]" * 1_000_000):
            answer = server.post(body)
            assert (answer.status_code, list(answer.json())) == (400, ["error"])
        assert server.post(gzip.compress(b"{}")[:-1], content_encoding="gzip").status_code == 400
        assert server.post(b"nothing packed", content_encoding="gzip").status_code == 400
        assert server.post(b"{}", content_encoding="br").status_code == 415
        assert server.client.get("/events").status_code == 405
        assert server.client.post("/elsewhere").status_code == 404
        lines = b'{"n": 1}\n{"n": \n' + b"[" * 1_000_000 + b'\n{"n": "x"}\n\xff\n5\n{"n": 2}'
        assert server.post(lines, content_type="application/x-ndjson").json() == {"accepted": 7, "offset": 0}
        rows, refused = server.read(2)
    assert [row["n"] for row in rows] == [1, 2]
    assert [offset for offset, _ in refused] == [1, 2, 3, 4, 5]
    assert all(reason for _, reason in refused)


def test_bodies_that_are_too_large_are_refused_however_small_they_were_sent(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(200 * 2**20), 1)
    with listening(tmp_path) as server:
        assert server.post(bomb, content_encoding="gzip").status_code == 413
        assert server.post(b" " * (4 * 2**20 + 1)).status_code == 413
        assert server.client.post("/events", content=iter([b" " * 2**20] * 5)).status_code == 413
        assert server.post(b"\n" * 100_001, content_type="application/x-ndjson").status_code == 413
        assert server.post(b"[" + b"0," * 100_000 + b"0]").status_code == 413
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 413")
        assert server.post('{"n": 1}').status_code == 202
        assert server.read()[0] == [{"n": 1, "text": None, "_offset": 0}]


def test_who_does_not_show_the_token_stays_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIR_TOKEN", "hush")
    with listening(tmp_path, token_env="AIR_TOKEN", origins=["https://air.example"]) as server:
        for shown in (
            {},
            {"authorization": "Bearer hus"},
            {"authorization": "Basic hush"},
            {"authorization": "Bearer ü"},
        ):
            answer = server.client.post(
                "/events", content="{}", headers=[(k.encode(), v.encode()) for k, v in shown.items()]
            )
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "hush" not in answer.text
        right = {"authorization": "Bearer hush"}
        assert server.post("{}", origin="https://evil.example", **right).status_code == 403
        assert server.post("{}", origin="https://air.example", **right).status_code == 202
        assert server.client.get("/health").json() == {"status": "ok"}
        with pytest.raises(Exception, match="403"), connect(server.socket_url):
            pass
        with connect(server.socket_url, additional_headers={"Authorization": "Bearer hush"}) as talk:
            talk.send("{}")
            assert json.loads(talk.recv()) == {"accepted": 1, "offset": 1}
    monkeypatch.delenv("AIR_TOKEN")
    with pytest.raises(et.SourceError, match="AIR_TOKEN is not set"), listening(tmp_path, token_env="AIR_TOKEN"):
        pass
    with pytest.raises(ValueError, match="can be reached from other machines"):
        et.read_http("0.0.0.0:8080", schema=SCHEMA)


def test_each_message_of_a_web_socket_is_answered_with_its_offset_in_order(tmp_path: Path) -> None:
    with listening(tmp_path) as server, connect(server.socket_url) as talk:
        for number in range(300):
            talk.send(json.dumps(numbered(number, number + 1_000) if number % 2 else numbered(number)[0]))
        talk.send("[1,")
        talk.send(b'{"n": 300}')
        answers = [json.loads(talk.recv()) for _ in range(302)]
        counts = [2 if number % 2 else 1 for number in range(300)]
        assert answers[:300] == [{"accepted": n, "offset": sum(counts[:at])} for at, n in enumerate(counts)]
        assert list(answers[300]) == ["error"]
        assert answers[301] == {"accepted": 1, "offset": 450}
        assert [row["n"] for row in server.read()[0] if row["n"] < 1_000] == list(range(301))


def test_what_was_accepted_and_not_read_is_there_for_the_next_run_and_once(tmp_path: Path) -> None:
    with listening(tmp_path) as server:
        server.post(json.dumps(numbered(*range(10))))
        assert [row["n"] for row in server.read(4)[0]] == list(range(10))
        server.post(json.dumps(numbered(10, 11)))
    with listening(tmp_path, offset=7) as server:
        assert [row["n"] for row in server.read()[0]] == [7, 8, 9, 10, 11]
        position = server.logs.reader.position()
        server.logs.reader.decided(position, position)
        server.post(json.dumps(numbered(12)))
    with listening(tmp_path) as server:
        assert server.read()[0] == [{"n": 12, "text": "ü", "_offset": 12}]
    with pytest.raises(et.SourceError, match="begins at 12, but the state goes on at 5"), listening(tmp_path, 5):
        pass
    with pytest.raises(et.SourceError, match="ends at 13, but was read up to 14"), listening(tmp_path, 14):
        pass


def test_senders_that_are_faster_than_the_engine_are_told_to_wait(tmp_path: Path) -> None:
    row = json.dumps({"n": 1, "text": "x" * 100_000})
    with listening(tmp_path, journal_bytes_most=2_000_000) as server:
        statuses = [server.post(row).status_code for _ in range(25)]
        assert statuses == [202] * 20 + [503] * 5
        assert server.post(row).headers["retry-after"] == "1"
        assert server.client.get("/health").json() == {"status": "full"}
        assert len(server.read()[0]) == 20
        with connect(server.socket_url) as talk:
            talk.send(row)
            with pytest.raises(TimeoutError):
                talk.recv(0.2)
            server.logs.reader.decided(server.logs.reader.position(), {"offset": 0})
            assert json.loads(talk.recv()) == {"accepted": 1, "offset": 20}
        assert server.client.get("/health").json() == {"status": "ok"}


def test_a_run_with_state_makes_room_again_by_its_checkpoints(tmp_path: Path) -> None:
    """Ten times as much goes through a journal as it takes."""
    port, stop = free_port(), threading.Event()
    made = et.read_http(f"127.0.0.1:{port}", schema=SCHEMA, journal_bytes_most=200_000)
    settings: dict[str, Any] = {"show": False, "state": tmp_path / "state", "checkpoint_every": "500ms", "stop": stop}
    counts: list[int] = []
    run = threading.Thread(target=lambda: counts.append(made.run(**settings).accounting.total.received))
    run.start()
    refused = accepted = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        while accepted < 20:
            try:
                status = client.post("/events", content=json.dumps({"n": 1, "text": "x" * 100_000})).status_code
            except httpx.ConnectError:
                continue
            assert status in (202, 503)
            accepted, refused = accepted + (status == 202), refused + (status == 503)
    stop.set()
    run.join()
    assert refused > 0
    assert 16 <= counts[0] <= 20
    assert sum(path.stat().st_size for path in (tmp_path / "state" / "journal").rglob("*.log")) < 1_500_000


def test_too_many_bodies_at_one_time_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    class Told(Room):
        def take(self, size: int) -> None:
            super().take(size)
            if self._left < 200_000:
                held.set()

    monkeypatch.setattr(application, "_ROOM_BYTES", 0)
    monkeypatch.setattr(application, "Room", Told)
    with listening(tmp_path, body_bytes_most=1_000_000) as server:
        head = b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(head + b" " * 899_999)
            assert held.wait(60)
            assert server.post(b" " * 300_000).status_code == 503
            slow.sendall(b" ")
            assert slow.recv(100).startswith(b"HTTP/1.1 400")
        assert server.post('{"n": 1}').status_code == 202


def test_a_disk_that_cannot_write_is_told_and_later_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(tmp_path) as server:
        disk = type(server.logs.keeper.journal._disk)
        with monkeypatch.context() as broken:
            broken.setattr(disk, "sync", lambda self, path: (_ for _ in ()).throw(OSError(5, "Input/output error")))
            answer = server.post('{"n": 1}')
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert server.client.get("/health").json() == {"status": "cannot write"}
        assert server.post('{"n": 2}').json() == {"accepted": 1, "offset": 0}
        assert server.read()[0] == [{"n": 2, "text": None, "_offset": 0}]


def test_messages_that_come_during_a_sync_share_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(tmp_path) as server:
        journal, keeper = server.logs.keeper.journal, server.logs.keeper
        groups: list[int] = []
        append, all_there, answered = journal.append, threading.Event(), threading.Semaphore(0)

        def counted(values: Sequence[bytes], arrivals_us: Sequence[int]) -> int:
            groups.append(len(values))
            assert all_there.wait(60)
            return append(values, arrivals_us)

        monkeypatch.setattr(journal, "append", counted)
        for number in range(50):
            keeper.hand([b"%d" % number], lambda answer: answered.release())
            while not groups:
                threading.Event().wait(0.001)
        all_there.set()
        assert all(answered.acquire(timeout=60) for _ in range(50))
        assert groups == [1, 49]


def test_an_address_that_is_taken_and_a_journal_in_use_are_told(tmp_path: Path) -> None:
    with listening(tmp_path) as server:
        again = et.read_http(f"127.0.0.1:{server.port}", schema=SCHEMA, journal=str(tmp_path / "other"))
        with pytest.raises(et.SourceError, match="cannot listen at 127.0.0.1:.* Choose another address"):
            again.plan.inputs[0].source.open(ReadContext(), {})
        with pytest.raises(et.SourceError, match="is in use by events"), listening(tmp_path):
            pass


def test_a_source_as_text_is_the_same_source() -> None:
    made = et.read_http(
        "[::1]:8080", schema=SCHEMA, path="/in", format="csv", header=("text", "n"), token_env="T", name="x"
    )
    text = made.to_yaml()
    assert et.Stream.from_yaml(text).plan == made.plan
    assert "token_env: T" in text
    wrongs: tuple[dict[str, Any], ...] = (
        {"address": "8080"},
        {"path": "events"},
        {"path": "/health"},
        {"format": "xml"},
        {"body_bytes_most": 0},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match="="):
            et.read_http(**{"schema": SCHEMA, **wrong})
