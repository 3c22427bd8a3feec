"""Delta and Iceberg tables as sinks: each epoch whole and once, upserted, retracted, read by others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyiceberg.catalog
import pytest
from pyiceberg.utils.config import Config
from tests.cli.test_commands import ROOT
from tests.epochs.test_resume import Ticking, job, readings, stop_after
from tests.lakes.tables import COLUMNS, EPOCHS, Lake, expected

import eventide as et
from eventide.connectors.delta.sink import Delta
from eventide.flow import Opening, Stand


@pytest.mark.parametrize("shown", [2, 3, 4])
def test_an_epoch_that_was_decided_is_shown_once(lake: Lake, shown: int) -> None:
    """Epoch 3 was decided; the sink had been given this many before the crash."""
    writer = lake.opened()
    writer.recover(0, EPOCHS[1], {})
    stands: list[Stand] = []
    for number in range(shown):
        stands.append(writer.stand())
        writer.deliver(number + 1, EPOCHS[number])
    writer.close()
    for _ in range(2):
        lake.opened().recover(3, EPOCHS[2], stands[-1])
        assert lake.rows("k", "n") == expected(3)
    lake.opened().deliver(4, EPOCHS[3])
    assert lake.rows("k", "n") == expected(4)
    assert set(lake.rows("_run", "_epoch")) == {("run", 1), ("run", 3), ("run", 4)}


def test_rows_are_upserted_by_identity_and_retracted_rows_go(lake: Lake) -> None:
    columns = {"k": pl.String(), "window_start": pl.Datetime("us", "UTC"), "n": pl.Int64(), "op": pl.String()}
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def frame(*rows: tuple[str | None, int, int, str]) -> pl.DataFrame:
        made = [(key, start + timedelta(microseconds=at), n, op) for key, at, n, op in rows]
        return pl.DataFrame(made, schema=columns, orient="row")

    epochs = [
        frame(("a", 0, 1, "upsert"), (None, 0, 2, "upsert"), ("a", 1, 3, "upsert"), ("it's", 1, 4, "upsert")),
        frame(("a", 0, 1, "retract"), (None, 0, 20, "upsert"), ("a", 1, 30, "upsert"), ("a", 1, 31, "upsert")),
        frame(("new", 7, 5, "upsert"), ("never there", 7, 0, "retract"), ("it's", 1, 4, "retract")),
    ]
    for number, rows in enumerate(epochs, 1):
        lake.opened(("k", "window_start"), columns).deliver(number, rows)
        lake.opened(("k", "window_start"), columns).recover(number, rows, {})
    # the checkpoint of epoch 3 is lost: behind 2 the same windows come again
    lake.opened(("k", "window_start"), columns).recover(2, epochs[1], {})
    lake.opened(("k", "window_start"), columns).deliver(3, epochs[2])
    at = [start + timedelta(microseconds=us) for us in (0, 1, 7)]
    assert set(lake.rows("k", "window_start", "n")) == {(None, at[0], 20), ("a", at[1], 31), ("new", at[2], 5)}


def test_values_of_all_types_come_back(lake: Lake) -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 123_457, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "text": ["", None, "ü€\0\n"],
            "whole": [2**63 - 1, -(2**63), None],
            "real": [float("inf"), None, -0.0],
            "yes": [True, None, False],
            "at": pl.Series([moment, None, moment], dtype=pl.Datetime("us", "UTC")),
            "for": pl.Series([timedelta(microseconds=-1), None, timedelta(days=9)], dtype=pl.Duration("us")),
            "list": [[1, None], None, []],
            "record": [{"x": 1.5, "y": ["a"]}, None, {"x": None, "y": None}],
            "small": pl.Series([1, 2, None], dtype=pl.UInt32),
        }
    )
    lake.opened((), frame.schema).deliver(1, frame)
    found = lake.read().sort("_epoch")
    shown = frame.with_columns(pl.col("for").dt.total_microseconds(), pl.col("small").cast(pl.Int64))
    for name in ("text", "whole", "real", "yes", "for", "list", "small"):
        assert found[name].to_list() == shown[name].to_list(), name
    assert found["at"].dt.epoch("us").to_list() == frame["at"].dt.epoch("us").to_list()
    assert found["record"].to_list()[0] == {"x": 1.5, "y": ["a"]}


def test_a_run_without_state_commits_what_it_made(lake: Lake) -> None:
    made = job(readings(120), "revised").write(lake.sink())
    made.run(show=False)
    final = job(readings(120), "revised").run(show=False).results
    last = final.group_by("k", "window_start").last()
    assert len(lake.rows("k")) == last.height
    assert sum(row[0] for row in lake.rows("n")) == last["n"].sum()  # type: ignore[misc]  # counts are numbers


def test_a_run_in_pieces_is_in_the_tables_once(lake: Lake, tmp_path: Path) -> None:
    whole = job(readings(200), "session").run(show=False)
    for batches in (3, 1, 100):
        stream = job(readings(200), "session").write(lake.sink())
        stream.run(
            show=False,
            state=tmp_path / "state",
            checkpoint_every="1us",
            rows_max=40,
            clock=Ticking(),
            observe=stop_after(batches),
        )
    standing: dict[tuple[str | None, datetime], int] = {}
    for row in whole.results.iter_rows(named=True):
        key = row["k"], row["window_start"]
        standing.pop(key, None)
        if row["op"] == "upsert":
            standing[key] = row["n"]
    utc = pl.col("window_start").dt.convert_time_zone("UTC")
    assert {(key, start): n for key, start, n in lake.read().select("k", utc, "n").rows()} == standing


PIPELINE = """
import os, signal
import eventide as et
from eventide.connectors.lakes import LakeEpochs
from eventide.flow import SystemDisk

deliver = LakeEpochs.deliver
def killed(self, epoch, rows):
    if os.environ.get("END") == "before" and epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    deliver(self, epoch, rows)
    if os.environ.get("END") == "behind" and epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
LakeEpochs.deliver = killed

readings = et.read_csv("{folder}/in/*.csv", schema={{"k": str, "at": et.Instant}}, one_log=True, name="readings")
pipeline = readings.event_time("at", et.bounded("1s"), max_future=None).write({sink}, "results")
"""


@pytest.mark.parametrize("end", ["before", "behind"])
def test_a_run_killed_around_its_commit_goes_on_and_nothing_is_twice(lake: Lake, end: str, tmp_path: Path) -> None:
    sink = (
        f'et.write_delta("{tmp_path}/table")'
        if lake.kind == "delta"
        else 'et.write_iceberg("air.doses", catalog="lake")'
    )
    (tmp_path / "job.py").write_text(PIPELINE.format(folder=tmp_path, sink=sink))
    (tmp_path / "in").mkdir()
    for number in range(3):
        lines = [f"s{n},{n * 1_000}\n" for n in range(number * 5, number * 5 + 5)]
        (tmp_path / "in" / f"{number}.csv").write_text("k,at\n" + "".join(lines))
    words = [sys.executable, "-m", "eventide", "run", f"{tmp_path}/job.py", "--state", f"{tmp_path}/state"]
    words += ["--checkpoint-every", "1us", "--quiet"]

    def ran(how: str) -> subprocess.CompletedProcess[str]:
        surrounding = {**os.environ, "END": how}
        return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False, env=surrounding)

    killed = ran(end)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(lake.rows("k")) == (5 if end == "before" else 10)
    gone_on = ran("")
    assert gone_on.returncode == 0, gone_on.stderr
    assert [row[0] for row in lake.rows("k")] == sorted(f"s{n}" for n in range(15))


def test_tables_are_read_as_they_were_when_reading_began(lake: Lake, tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", "b", "ü"], "at": [0, 1_000_000, 2_000_000]}).cast({"at": pl.Datetime("us", "UTC")})
    lake.opened((), frame.schema).deliver(1, frame)

    def read() -> et.Stream:
        schema = {"k": str, "at": et.Instant}
        if lake.kind == "delta":
            return et.read_delta(tmp_path / "table", schema=schema)
        return et.read_iceberg("air.doses", catalog="lake", schema=schema)

    def run(batches: int) -> et.Outcome:
        made: et.Outcome = (
            read()
            .event_time("at", et.bounded("1s"), max_future=None)
            .write(et.write_csv(tmp_path / "r.csv"))
            .run(
                show=False,
                state=tmp_path / "state",
                checkpoint_every="1us",
                rows_max=1,
                clock=Ticking(),
                observe=stop_after(batches),
            )
        )
        return made

    run(1)
    lake.opened((), frame.schema).deliver(2, frame)
    assert run(100).accounting.total.received == 3
    assert pl.read_csv(tmp_path / "r.csv")["k"].to_list() == ["a", "b", "ü"]
    assert read().run(show=False).accounting.total.received == 6
    assert et.Stream.from_yaml(read().to_yaml()).run(show=False).accounting.total.received == 6


def test_delta_tables_on_s3(bucket: str) -> None:
    sink = et.write_delta(f"{bucket}/lake/table")
    opening = Opening("late", COLUMNS, (), "run")
    for number, rows in enumerate(EPOCHS, 1):
        sink.open_epochs(opening).recover(number - 1, rows.clear(), {})
        sink.open_epochs(opening).deliver(number, rows)
        sink.open_epochs(opening).recover(number, rows, {})
    read = et.read_delta(f"{bucket}/lake/table").run(show=False)
    assert sorted(read.results.select("k", "n").rows(), key=str) == expected(4)


def test_a_second_writer_of_the_same_epoch_is_refused_by_delta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked, and none has seen the other."""
    from deltalake import DeltaTable

    lake = Lake("delta", tmp_path)
    lake.opened().deliver(1, EPOCHS[0])
    before = DeltaTable(str(tmp_path / "table"))
    lake.opened().deliver(3, EPOCHS[2])
    import deltalake

    write = deltalake.write_deltalake
    monkeypatch.setattr(
        deltalake,
        "write_deltalake",
        lambda path, *rest, **named: write(before, *rest, **{**named, "storage_options": None}),
    )
    with pytest.raises(et.SinkError, match="Concurrent transaction"):
        lake.opened().deliver(3, EPOCHS[2])
    assert lake.rows("k", "n") == expected(3)


def test_wrong_names_are_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="leave them out"):
        Delta("s3://key:secret@bucket/table")
    with pytest.raises(ValueError, match=r"write \"namespace.table\""):
        et.write_iceberg("doses")
    with pytest.raises(ValueError, match="not the name of a catalog"):
        et.write_iceberg("air.doses", catalog="sqlite:///x?password=hidden")


def test_faults_are_told_in_words(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.opened().deliver(1, EPOCHS[0])
    with pytest.raises(et.SinkError, match="cannot write to .*Mend that"):
        lake.opened((), {"k": pl.Int64()}).deliver(2, pl.DataFrame({"k": [[1]]}))
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", "postgresql+psycopg2://me:hidden@127.0.0.1:9/x")
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())
    if lake.kind == "iceberg":
        with pytest.raises(et.SinkError, match="cannot open the Iceberg catalog 'lake'") as told:
            lake.opened()
        assert "hidden" not in str(told.value)
