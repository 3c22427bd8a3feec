"""Runs whose state is in an object store: killed at every put, damaged, listed, kept; the answer is the same."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]  # fsspec has no types
from tests.cli.test_commands import ROOT, eventide
from tests.epochs.test_resume import Ticking, job, readings, stop_after

import eventide as et
from eventide.connectors.files.sinks import FileSink
from eventide.engine.epochs import MANIFEST, StateFolder
from eventide.flow import Address, place_of
from eventide.flow.objects import ObjectDisk, object_disk
from eventide.testing import Crash
from eventide.testing.services.s3 import S3


@pytest.fixture
def memory() -> str:
    """The address of an empty store in this process."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return "memory://bucket"


@dataclass
class Killed(ObjectDisk):
    """A store whose client is killed in front of its change number `at`."""

    at: int = 0
    changes: int = field(default=0, init=False)

    def put(self, path: Path, data: bytes) -> None:
        self._change(lambda: super(Killed, self).put(path, data))

    def remove(self, path: Path) -> None:
        self._change(lambda: super(Killed, self).remove(path))

    def _change(self, work: Callable[[], None]) -> None:
        self.changes += 1
        if self.changes >= self.at:
            raise Crash
        work()


def run(state: StateFolder, sink: FileSink) -> et.Outcome:
    made: et.Outcome = (
        job(readings(40), "revised")
        .write(sink)
        .run(show=False, state=state, checkpoint_every="1us", rows_max=20, clock=Ticking())
    )
    return made


def rows_of(address: str) -> pl.DataFrame:
    disk, folder = place_of(address)
    return pl.concat(pl.read_parquet(BytesIO(disk.read(folder / name))) for name in disk.names(folder))


def test_a_run_killed_at_every_change_writes_what_one_run_writes(memory: str) -> None:
    whole = job(readings(40), "revised").run(show=False).results
    for at in itertools.count(1):
        address, out = f"{memory}/{at}/state", f"{memory}/{at}/out/"
        objects = object_disk(Address(address)).objects
        # the lock of a killed run is lent for a moment only; the run itself is over before it has to be renewed
        folder = StateFolder(Address(address), Killed(objects, 600_000_000, at=at))
        try:
            run(folder, et.write_parquet(out))
        except Crash:
            run(StateFolder(Address(address), ObjectDisk(objects, 1, say=lambda text: None)), et.write_parquet(out))
        else:
            break
        assert rows_of(out).equals(whole), f"killed at change {at}"
    assert at > 20, "every change of the state is one"


def test_state_and_parts_on_s3(bucket: str, names: Callable[[str], list[str]]) -> None:
    whole = job(readings(200), "tumbling").run(show=False)
    assert whole.late.height
    for batches in (3, 1, 100):
        outcome = (
            job(readings(200), "tumbling")
            .write(et.write_parquet(f"{bucket}/out/"))
            .write(et.write_ndjson(f"{bucket}/late/"), "late")
            .run(
                show=False,
                state=f"{bucket}/state",
                checkpoint_every="1us",
                rows_max=40,
                clock=Ticking(),
                observe=stop_after(batches),
            )
        )
    assert outcome.finished
    assert outcome.accounting == whole.accounting
    assert rows_of(f"{bucket}/out").equals(whole.results)
    assert pl.scan_parquet(f"{bucket}/out/part-*.parquet").collect().equals(whole.results)
    assert all(name.startswith("part-0000000") for name in names(f"{bucket}/out"))
    assert names(f"{bucket}/late")
    kept = {name.split("/")[1] for name in names(f"{bucket}/state") if name.startswith("checkpoints/")}
    assert len(kept) == 3


def test_damage_on_s3_is_seen_and_the_checkpoint_before_is_used(
    bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(batches: int) -> et.Outcome:
        made: et.Outcome = (
            job(readings(100), "sliding")
            .write(et.write_csv(f"{bucket}/out/"))
            .run(
                show=False,
                state=f"{bucket}/state",
                checkpoint_every="1us",
                rows_max=20,
                clock=Ticking(),
                observe=stop_after(batches),
            )
        )
        return made

    stopped(3)
    folder = StateFolder.at(f"{bucket}/state")
    newest = folder.checkpoints / "00000003"
    for name in folder.disk.names(newest):
        data = folder.disk.read(newest / name)
        for damaged in (data[:-1], bytes([data[0] ^ 1]) + data[1:], data + b"\n"):
            folder.disk.write(newest / name, damaged)
            assert [one.epoch for one in folder.newest().damaged] == [3], name
        folder.disk.write(newest / name, data)
    folder.disk.write(newest / MANIFEST, b"torn")
    stopped(100)
    assert "WARNING: checkpoint 3 is not used: manifest.json" in capsys.readouterr().err
    disk, out = place_of(f"{bucket}/out")
    found = pl.concat(pl.read_csv(disk.read(out / name)) for name in disk.names(out))
    assert found["n"].sum() == job(readings(100), "sliding").run(show=False).results["n"].sum()


def test_a_second_run_is_refused_by_name(bucket: str) -> None:
    from eventide.engine.epochs import locked

    with locked(StateFolder.at(f"{bucket}/state")), pytest.raises(et.CheckpointError, match="still going .process"):
        run(StateFolder.at(f"{bucket}/state"), et.write_csv(f"{bucket}/out/"))


def test_a_store_that_is_away_or_closed_is_told_without_secrets(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(et.CheckpointError, match="cannot use s3://no-such-bucket/state as a state folder: .*bucket"):
        run(StateFolder.at("s3://no-such-bucket/state"), et.write_csv(f"{bucket}/out/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(et.CheckpointError, match="connect") as told:
        run(StateFolder.at(f"{bucket}/state"), et.write_csv(f"{bucket}/out/"))
    assert "eventide-secret" not in str(told.value)


PIPELINE = """
import os, signal
import eventide as et

def end(rows):
    if os.environ.get("AT") and rows["window_start"].dt.epoch("s").max() >= int(os.environ["AT"]):
        os.kill(os.getpid(), signal.SIGKILL)

readings = et.read_parquet("{bucket}/in/*.parquet", one_log=True, name="readings")
windows = readings.event_time("at", et.bounded("1s"), max_future=None).group_by("k").window(et.tumbling("10s"))
pipeline = windows.agg(n=et.count()).write(et.write_csv("{bucket}/out/")).write(et.call(end))
"""


def test_a_run_killed_on_the_command_line_goes_on_from_s3(bucket: str, s3: S3, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(PIPELINE.format(bucket=bucket))
    disk, inputs = place_of(f"{bucket}/in")
    for number in range(4):
        n = pl.int_range(number * 20, number * 20 + 20, eager=True)
        frame = pl.DataFrame(
            {"k": pl.select(pl.format("s{}", n % 2)).to_series(), "at": (n * 1_000_000).cast(pl.Datetime("us", "UTC"))}
        )
        made = BytesIO()
        frame.write_parquet(made)
        disk.write(inputs / f"{number}.parquet", made.getvalue())
    words = ["run", str(tmp_path / "job.py"), "--state", f"{bucket}/state", "--checkpoint-every", "1us"]
    killed = subprocess.run(
        [sys.executable, "-m", "eventide", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        env={**os.environ, "AT": "20"},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    gone_on = eventide(*words)
    assert gone_on.returncode == 0, gone_on.stderr
    assert "was not given back by process" in gone_on.stderr
    assert f"goes on behind epoch 1 of {bucket}/state" in gone_on.stderr
    disk, out = place_of(f"{bucket}/out")
    rows = [row for name in disk.names(out) for row in pl.read_csv(disk.read(out / name)).select("k", "n").rows()]
    assert rows == [("s0", 5), ("s1", 5)] * 8
    listed = eventide("state", "list", f"{bucket}/state").stdout
    assert "ended" in listed
    assert "damaged" not in listed
    kept = eventide("savepoint", f"{bucket}/state", f"{bucket}/kept")
    assert f"of {bucket}/state is kept in {bucket}/kept" in kept.stdout, kept.stderr
    assert "80" in eventide("state", "query", f"{bucket}/kept", 'SELECT "to" FROM logs').stdout
    fresh = eventide(*words[:2], "--state", str(tmp_path / "state"), "--from", f"{bucket}/kept")
    assert "goes on behind epoch" in fresh.stderr
    explained = eventide(
        "explain", "window", words[1], "--key", "s0", "--at", "1970-01-01", "--snapshot", f"{bucket}/kept"
    )
    assert explained.returncode == 0, explained.stderr
