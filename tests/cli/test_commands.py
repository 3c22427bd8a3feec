"""The command line, as a person calls it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[2]


def eventide(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eventide", *words], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_run_prints_windows_and_accounting() -> None:
    done = eventide("run", "examples/doses.py")
    assert done.returncode == 0
    assert "mean=0.15" in done.stdout
    assert "9 received = 6 on time + 0 corrected + 2 late + 0 filtered + 0 duplicates + 1 dead letters" in done.stdout


def test_check_and_explain_read_nothing() -> None:
    assert eventide("check", "examples/doses.py").stdout.strip() == "examples/doses.py: nothing wrong"
    assert "tumbling 5m" in eventide("explain", "examples/doses.py").stdout


def test_a_plan_that_cannot_run_exits_with_2_and_says_why(tmp_path: Path) -> None:
    plan = tmp_path / "p.yaml"
    plan.write_text(
        "eventide: 1\nsources:\n- {kind: csv, path: r.csv, schema: {columns: {a: integer}}}\nbefore:\n- filter: b > 1\n"
    )
    done = eventide("check", str(plan))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no column 'b'" in done.stderr


def test_a_run_that_fails_exits_with_1_without_a_trace(tmp_path: Path) -> None:
    plan = tmp_path / "p.yaml"
    plan.write_text("eventide: 1\nsources:\n- {kind: csv, path: nowhere.csv, schema: {columns: {a: integer}}}\n")
    done = eventide("run", str(plan))
    assert done.returncode == 1
    assert done.stderr.startswith("eventide: cannot open nowhere.csv")
    assert "Traceback" not in done.stderr


def test_simulate_writes_a_file(tmp_path: Path) -> None:
    done = eventide("simulate", str(tmp_path / "r.parquet"), "--devices", "3", "--duration", "2h")
    assert done.returncode == 0
    assert pl.read_parquet(tmp_path / "r.parquet")["device"].n_unique() == 3


def test_demo_leaves_results_late_rows_dead_letters_and_a_report(tmp_path: Path) -> None:
    done = eventide("demo", "--output", str(tmp_path))
    assert done.returncode == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"alerts.csv", "dead_letters.csv", "doses.csv", "doses.parquet", "late.csv", "report.html"}
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img ") == 3
    assert "<script" not in page
    alerts = pl.read_csv(tmp_path / "alerts.csv")
    assert alerts.height > 100
    assert alerts.filter(pl.col("op") == "upsert")["peak"].min() > 100  # type: ignore[operator]
    assert alerts.filter(pl.col("op") == "retract").height < 5
    assert pl.read_csv(tmp_path / "dead_letters.csv")["reason"].unique().to_list() == ["event time is too old"]


FOLLOWED = """
import eventide as et

readings = et.read_csv({path!r}, schema={{"sensor": str, "at": et.Instant}}, follow=True)
counts = readings.event_time("at", et.bounded("2s"), max_future=None).group_by("sensor").window(et.tumbling("5m"))
pipeline = counts.agg(n=et.count()).write(et.write_csv({out!r})).write(et.console())
"""


def test_ctrl_c_closes_in_order_and_says_where_it_stood(tmp_path: Path) -> None:
    readings, out = tmp_path / "r.csv", tmp_path / "out.csv"
    readings.write_text("sensor,at\na,2026-01-01T00:00:00Z\nb,2026-01-01T00:06:00Z\n")
    (tmp_path / "p.py").write_text(FOLLOWED.format(path=str(readings), out=str(out)))
    command = [sys.executable, "-u", "-m", "eventide", "run", str(tmp_path / "p.py")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    while "2026-01-01 00:05:00" not in running.stdout.readline():  # the first window has come out
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    said, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "2 received = 2 on time" in said
    assert "stopped at watermark 2026-01-01 00:05:58" in told
    assert pl.read_csv(out)["sensor"].to_list() == ["a"]


def test_advise_tells_what_bounds_buy_and_draws_it(tmp_path: Path) -> None:
    assert eventide("simulate", str(tmp_path / "r.csv"), "--devices", "3", "--duration", "6h").returncode == 0
    words = [
        "advise",
        str(tmp_path / "r.csv"),
        "--window",
        "5m",
        "--picture",
        str(tmp_path / "p.png"),
        "--if-bound",
        "1h",
    ]
    done = eventide(*words)
    assert done.returncode == 0, done.stderr
    assert "read with --time 'captured'" in done.stdout
    assert '.event_time("captured", et.' in done.stdout
    assert "windows only here" in done.stdout
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_advise_takes_a_pipeline_and_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    assert '.event_time("at", et.bounded(' in eventide("advise", "examples/doses.py").stdout
    (tmp_path / "x.txt").write_text('{"a": 1}\n"b\n')
    done = eventide("advise", str(tmp_path / "x.txt"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
