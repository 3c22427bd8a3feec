"""State on the command line: a run goes on by itself, its state can be listed, shown, asked by SQL and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.cli.test_commands import ROOT, eventide

PIPELINE = """
import os, signal
import eventide as et

def end(rows):
    if os.environ.get("END") and rows["window_start"].dt.epoch("s").max() >= int(os.environ["AT"]):
        os.kill(os.getpid(), signal.Signals[os.environ["END"]])

readings = et.read_csv("{folder}/in/*.csv", schema={{"k": str, "at": et.Instant}}, one_log=True, name="readings")
windows = readings.event_time("at", et.bounded("1s"), max_future=None).group_by("k").window(et.tumbling("10s"))
pipeline = windows.agg(n=et.count()).write(et.write_csv("{folder}/out/")).write(et.call(end))
"""


def ended(folder: Path, how: str, at: int) -> subprocess.CompletedProcess[str]:
    """A run that sends itself a signal when the window at this second comes out. Each file is an epoch."""
    words = [sys.executable, "-m", "eventide", "run", f"{folder}/job.py", "--state", f"{folder}/state"]
    surrounding = {**os.environ, "END": how, "AT": str(at)}
    return subprocess.run(
        [*words, "--checkpoint-every", "1us"], capture_output=True, text=True, cwd=ROOT, check=False, env=surrounding
    )


def written(folder: Path) -> list[tuple[str, int]]:
    parts = sorted((folder / "out").glob("part-*"))
    return [(row["k"], row["n"]) for part in parts for row in pl.read_csv(part).iter_rows(named=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed with -9 in its second epoch, went on, and was stopped by Ctrl-C in its third."""
    made = tmp_path_factory.mktemp("run")
    (made / "in").mkdir()
    (made / "job.py").write_text(PIPELINE.format(folder=made))
    for number in range(4):
        lines = [f"s{n % 2},{n * 1_000}\n" for n in range(number * 20, number * 20 + 20)]
        (made / "in" / f"{number}.csv").write_text("k,at\n" + "".join(lines))
    killed = ended(made, "SIGKILL", 20)
    assert killed.returncode == -9, killed.stderr
    assert written(made) == [("s0", 5), ("s1", 5)]
    stopped = ended(made, "SIGINT", 40)
    assert stopped.returncode == 130, stopped.stderr
    (made / "said").write_text(stopped.stderr)
    return made


def test_a_killed_run_goes_on_and_writes_each_window_once(folder: Path) -> None:
    assert written(folder) == [("s0", 5), ("s1", 5)] * 5
    said = (folder / "said").read_text()
    assert "goes on behind epoch 1" in said
    assert "run it again with the same --state to go on" in said


def test_state_is_listed_shown_and_queried(folder: Path) -> None:
    state = str(folder / "state")
    listed = eventide("state", "list", state).stdout
    assert "60" in listed
    assert "damaged" not in listed
    shown = eventide("state", "show", state).stdout
    assert "readings" in shown
    assert "rows.results" in shown
    asked = eventide("state", "query", state, 'SELECT "to" * 2 AS twice FROM logs')
    assert "120" in asked.stdout, asked.stderr
    assert "s1" in eventide("state", "query", state, "SELECT k FROM state_keys").stdout
    assert "state_keys" in eventide("state", "query", state).stdout
    wrong = eventide("state", "query", state, "SELECT nothing")
    assert (wrong.returncode, "the query does not run" in wrong.stderr) == (1, True)


def test_a_damaged_checkpoint_is_listed_as_such(folder: Path, tmp_path: Path) -> None:
    assert eventide("savepoint", str(folder / "state"), str(tmp_path / "kept")).returncode == 0
    assert "whole" in eventide("state", "list", str(tmp_path / "kept")).stdout
    manifest = tmp_path / "kept" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"epoch", b"epock", 1))
    listed = eventide("state", "list", str(tmp_path / "kept"))
    assert (listed.returncode, "damaged or cut off" in listed.stderr) == (1, True)


def test_a_savepoint_starts_another_state_folder(folder: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    assert eventide("savepoint", str(folder / "state"), kept).returncode == 0
    words = ("run", "-q", str(folder / "job.py"))
    done = eventide(*words, "--state", str(tmp_path / "other"), "--from", kept)
    assert done.returncode == 0, done.stderr
    assert "80 received" in done.stdout
    assert written(folder) == [("s0", 5), ("s1", 5)] * 8
    assert eventide(*words, "--from", kept).returncode == 2


def test_connectors_says_what_each_promises() -> None:
    shown = eventide("connectors").stdout
    assert "DuckDB" in shown
    assert "exactly" in shown


def test_windows_and_events_are_explained_from_a_state_folder_and_a_savepoint(tmp_path: Path) -> None:
    job, state, kept = tmp_path / "job.py", tmp_path / "state", tmp_path / "kept"
    readings = ROOT / "examples" / "readings.csv"
    job.write_text(
        "import eventide as et\n"
        f"readings = et.read_csv({str(readings)!r}, schema={{'sensor': str, 'at': et.Instant, 'dose': float}})\n"
        "windows = readings.event_time('at', et.bounded('2s')).group_by('sensor').window(et.tumbling('5m'))\n"
        f"pipeline = windows.agg(n=et.count()).write(et.write_csv({str(tmp_path / 'out.csv')!r}))\n"
    )
    assert eventide("run", str(job), "--state", str(state), "--quiet").returncode == 0
    window = eventide("explain", "window", str(job), "--key", "a", "--at", "2026-01-01T10:02", "--snapshot", str(state))
    assert "of sensor='a': past" in window.stdout, window.stderr
    assert eventide("savepoint", str(state), str(kept)).returncode == 0
    event = eventide("explain", "event", str(job), "--offset", "4", "--snapshot", str(kept))
    assert "event 4 of log 'readings.csv' (time 2026-01-01 10:04:58): late" in event.stdout, event.stderr
