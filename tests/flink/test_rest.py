"""The REST API of a cluster, as far as it can go wrong before there is a cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide.errors import FlinkError, PlanError
from eventide.flow import INSTANT
from eventide.runners.flink.accounts import accounting_of, watermark_of
from eventide.runners.flink.kept import is_here, keeping, read_rows
from eventide.runners.flink.remote import Job
from eventide.runners.flink.rest import Rest, cause
from eventide.servers.process import free_port


class _WebPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>a shop</html>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web_page() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _WebPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_cluster_that_does_not_answer_is_told_with_the_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(FlinkError, match=rf"no Flink cluster answers at {url} .*Connection refused.*eventide flink up"):
        Rest(url).get("/overview")


def test_what_is_not_flink_is_told_so(web_page: str) -> None:
    with pytest.raises(FlinkError, match="is not Flink"):
        Rest(web_page).get("/overview")


def test_an_address_that_is_none_and_one_with_a_password_are_refused() -> None:
    with pytest.raises(FlinkError, match="is not an address: write for example http"):
        Rest("localhost:8081")
    with pytest.raises(FlinkError) as told:
        Rest("http://me:hidden@flink:8081")
    assert "hidden" not in str(told.value)


def test_the_innermost_cause_is_what_is_told() -> None:
    trace = (
        "org.apache.flink.client.program.ProgramInvocationException: The main method caused an error\\n"
        "\\tat a.b(C.java:1)\\nCaused by: java.lang.IllegalArgumentException: the topic x is not there\\n\\t... 3 more"
    )
    assert cause(f'{{"errors": ["Internal server error.", "{trace}"]}}') == "the topic x is not there"
    absent = "java.lang.ClassNotFoundException: rocks"
    assert cause(f'{{"errors": ["a.B: no backend\\nCaused by: {absent}"]}}') == "ClassNotFoundException: rocks"
    assert cause('{"errors": ["Not found."]}') == "Not found."
    assert cause('{"errors": ["a.b.NullPointerException"]}') == "NullPointerException"
    assert cause("") == "it gives no reason"


def test_a_number_that_is_none_of_a_job_is_told() -> None:
    with pytest.raises(FlinkError, match="'nonsense' is no number of a job: .*`eventide flink jobs` shows"):
        Job(Rest(), "nonsense")


def test_a_folder_for_results_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("at\n2026-01-01T00:00:01Z\n")
    plan = et.read_csv(tmp_path / "in.csv", schema={"at": et.Instant}).plan
    with pytest.raises(PlanError, match="results_folder='.*away' is no folder"):
        keeping(plan, "http://127.0.0.1:1", {}, tmp_path / "away")


def test_counters_become_an_account_for_each_log() -> None:
    counters = {
        "eventide.account|a|b.csv|received": 5,
        "eventide.account|a|b.csv|on_time": 4,
        "eventide.account|a|b.csv|late": 1,
        "eventide.account|topic/0|received": 2,
        "eventide.account|topic/0|filtered": 2,
        "eventide.watermark_us": 7_000_000,
        "somebody's own": 3,
    }
    accounting = accounting_of(counters)
    assert sorted(accounting.logs) == ["a|b.csv", "topic/0"]
    assert accounting.total.closes
    assert (accounting.total.received, accounting.of("a|b.csv").late) == (7, 1)
    assert watermark_of(counters) == 7_000_000
    assert watermark_of({}) is None


def test_addresses_of_this_machine_are_known() -> None:
    assert [is_here(url) for url in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1")] == [True] * 3
    assert [is_here(url) for url in ("http://flink.example:8081", "http://10.0.0.7:8081")] == [False] * 2


def test_rows_of_a_folder_come_back_in_their_types_and_order(tmp_path: Path) -> None:
    (tmp_path / "part-1").write_text('{"key":"b","window_end":"2020-01-01T00:00:10.000001Z","mean":0.1,"n":2}\n')
    (tmp_path / "part-2").write_text('{"key":null,"window_end":"2020-01-01 00:00:05","mean":"NaN","n":1}\n')
    (tmp_path / "part-3").write_text("")
    (tmp_path / ".part-4.inprogress").write_text('{"key":"not yet"}\n')
    columns = {"key": pl.String(), "window_end": INSTANT, "mean": pl.Float64(), "n": pl.Int64()}
    rows = read_rows(tmp_path, columns)
    assert dict(rows.schema) == columns
    assert rows.get_column("key").to_list() == [None, "b"]
    assert rows.get_column("window_end").dt.epoch("us").to_list() == [1_577_836_805_000_000, 1_577_836_810_000_001]
    assert rows.get_column("mean").to_list()[1] == 0.1
    assert rows.get_column("mean").is_nan().to_list() == [True, False]
    assert read_rows(tmp_path / "nothing", columns).is_empty()
