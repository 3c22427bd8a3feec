"""The command line, as a person calls it."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest

from eventide.cli import main

ROOT = Path(__file__).resolve().parents[2]


def eventide(*words: str) -> subprocess.CompletedProcess[str]:
    """What the command line does and says, in this process: a Python that starts costs more than most commands."""
    out, err = StringIO(), StringIO()
    called = patch.object(sys, "argv", ["eventide", *words])
    with chdir(ROOT), called, redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code or 0
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def apart(*words: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, as a person calls it."""
    command = [sys.executable, "-m", "eventide", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_run_prints_windows_and_accounting() -> None:
    done = apart("run", "examples/doses.py")
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
    done = apart("run", str(plan))
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


def test_explain_window_and_event_run_the_pipeline_without_its_sinks(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    readings = ROOT / "examples" / "readings.csv"
    job.write_text(
        "import eventide as et\n"
        f"readings = et.read_csv({str(readings)!r}, schema={{'sensor': str, 'at': et.Instant, 'dose': float}})\n"
        "windows = readings.event_time('at', et.bounded('2s')).group_by('sensor').window(et.tumbling('5m'))\n"
        f"pipeline = windows.agg(n=et.count()).write(et.write_csv({str(tmp_path / 'out.csv')!r}))\n"
    )
    done = eventide("explain", "window", str(job), "--key", "a", "--at", "2026-01-01T10:02")
    assert done.returncode == 0
    assert "window [2026-01-01 10:00:00, 2026-01-01 10:05:00) of sensor='a': closed\n  result: n=2" in done.stdout
    assert not (tmp_path / "out.csv").exists()
    late = eventide("explain", "event", str(job), "--offset", "4")
    assert "event 4 of log 'readings.csv' (time 2026-01-01 10:04:58): late" in late.stdout
    assert "brought there by event 3" in late.stdout
    named = eventide("explain", "event", str(job), "--value", "sensor=b", "--value", "dose=0.33")
    assert "event 8 of log 'readings.csv'" in named.stdout


def test_explain_window_reads_a_saved_snapshot(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, runpy\n"
        "made = runpy.run_path('examples/doses.py')\n"
        "stream = next(v for v in made.values() if type(v).__name__ == 'Stream' and v.plan.aggregate)\n"
        "for name, data in stream.run(show=False).snapshot().to_files().items():\n"
        "    (pathlib.Path(sys.argv[1]) / name).write_bytes(data)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)
    words = ("explain", "window", "examples/doses.py", "--key", "sensor=a", "--at", "2026-01-01T10:00")
    done = eventide(*words, "--snapshot", str(tmp_path))
    assert "of sensor='a': past" in done.stdout
    missing = eventide(*words, "--snapshot", str(tmp_path / "nowhere"))
    assert missing.returncode == 1
    assert "there is no snapshot in" in missing.stderr


def test_explain_plan_is_the_long_form_and_wrong_usage_is_told() -> None:
    short, long = eventide("explain", "examples/doses.py"), eventide("explain", "plan", "examples/doses.py")
    assert short.stdout == long.stdout != ""
    assert eventide("explain", "event", "examples/doses.py").returncode == 2


def test_simulate_writes_every_network(tmp_path: Path) -> None:
    for network, column in (("zoo", "dev-id"), ("stations", "station_id")):
        path = tmp_path / f"{network}.csv"
        done = eventide("simulate", str(path), "--network", network, "--devices", "3", "--duration", "30m")
        assert done.returncode == 0
        assert pl.read_csv(path, infer_schema=False)[column].drop_nulls().n_unique() >= 3


def test_what_a_user_mistypes_is_told_in_a_line_without_a_trace(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text("import eventide as et\net.tumbling('five minutes')\n")
    done = eventide("run", str(job))
    assert done.returncode == 2
    assert f"{job}, line 2: ValueError: size='five minutes' is not a duration" in done.stderr
    at = eventide("explain", "window", "examples/doses.py", "--key", "a", "--at", "yesterday")
    often = eventide("run", "examples/doses.py", "--checkpoint-every", "now and then")
    assert (at.returncode, often.returncode) == (2, 2)
    assert "--at" in at.stderr
    assert "--checkpoint-every" in often.stderr
    assert "Traceback" not in done.stderr + at.stderr + often.stderr


def test_files_that_are_no_text_or_no_files_are_told_in_a_line(tmp_path: Path) -> None:
    plan, folder, header = tmp_path / "plan.yaml", tmp_path / "folder.json", tmp_path / "rows.csv"
    plan.write_bytes(b"eventide: 1\n\xa9\n")
    folder.mkdir()
    header.write_bytes(b"\x1b[31mred,at\n")
    job = tmp_path / "job.py"
    job.write_text(f"import eventide as et\npipeline = et.read_csv({str(header)!r}, schema={{'key': str}})\n")
    text, place, run = eventide("check", str(plan)), eventide("check", str(folder)), eventide("run", str(job))
    assert (text.returncode, place.returncode, run.returncode) == (2, 2, 1)
    assert f"{plan}: byte 12 is no UTF-8" in text.stderr
    assert f"{folder} is a folder" in place.stderr
    assert "the header lacks 'key'. It has: '\\x1b[31mred', 'at'" in run.stderr
    assert "Traceback" not in text.stderr + place.stderr + run.stderr
