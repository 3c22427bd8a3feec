"""The contract that every sink for epochs keeps: each epoch whole and once, however often it is delivered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

import eventide as et
from eventide.flow import EpochSink, EpochWriter, Opening, Sink, Stand

COLUMNS = {"k": pl.String(), "n": pl.Int64()}
EPOCHS = [
    pl.DataFrame({"k": ["a", "ü\n\"'"], "n": [1, 2]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"k": [None, "a"], "n": [3, None]}),
    pl.DataFrame({"k": ["b"], "n": [4]}),
]
Case = tuple[Callable[[Path], Sink], Callable[[Path], object]]


def _parts(form: str) -> Callable[[Path], object]:
    return lambda folder: {path.name: path.read_bytes() for path in sorted((folder / "out").glob("part-*"))}


def _table(folder: Path) -> object:
    if not (folder / "r.duckdb").exists():
        return []
    with duckdb.connect(str(folder / "r.duckdb")) as connection:
        return connection.execute("SELECT k, n FROM t ORDER BY ALL").fetchall()


def _bytes(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).read_bytes()


CASES: dict[str, Case] = {
    "csv": (lambda folder: et.write_csv(folder / "r.csv"), _bytes("r.csv")),
    "ndjson": (lambda folder: et.write_ndjson(folder / "r.ndjson"), _bytes("r.ndjson")),
    "parquet": (lambda folder: et.write_parquet(folder / "r.parquet"), _bytes("r.parquet")),
    "csv parts": (lambda folder: et.write_csv(f"{folder}/out/"), _parts("csv")),
    "parquet parts": (lambda folder: et.write_parquet(f"{folder}/out/"), _parts("parquet")),
    "duckdb": (lambda folder: et.write_duckdb(folder / "r.duckdb", "t"), _table),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def opened(case: Case, folder: Path) -> EpochWriter:
    sink = case[0](folder)
    assert isinstance(sink, EpochSink)
    return sink.open_epochs(Opening("late", COLUMNS, (), "run"))


def delivered(case: Case, folder: Path, count: int = 4) -> tuple[list[Stand], object]:
    """The stands before each of the first epochs, and what the sink shows behind them."""
    folder.mkdir()
    writer = opened(case, folder)
    writer.recover(0, EPOCHS[1], {})
    stands = []
    for number in range(count):
        stands.append(writer.stand())
        writer.deliver(number + 1, EPOCHS[number])
    writer.close()
    return stands, case[1](folder)


@pytest.mark.parametrize("shown", [0, 1, 2, 3])
def test_an_epoch_that_was_decided_is_shown_once(case: Case, shown: int, tmp_path: Path) -> None:
    """Epoch 3 was decided; up to `shown` epochs beyond the first two had been delivered before the crash."""
    _, expected = delivered(case, tmp_path / "whole", 3)
    stands, _ = delivered(case, tmp_path / "broken", min(2 + shown, 4))
    stand = stands[2] if len(stands) > 2 else None
    if stand is None:
        writer = opened(case, tmp_path / "broken")
        writer.recover(2, EPOCHS[1], stands[1])
        stand = writer.stand()
        writer.close()
    for _ in range(2):
        writer = opened(case, tmp_path / "broken")
        writer.recover(3, EPOCHS[2], stand)
        writer.close()
        assert case[1](tmp_path / "broken") == expected


def test_epochs_go_on_behind_a_recovery(case: Case, tmp_path: Path) -> None:
    _, expected = delivered(case, tmp_path / "whole")
    stands, _ = delivered(case, tmp_path / "broken", 3)
    writer = opened(case, tmp_path / "broken")
    writer.recover(3, EPOCHS[2], stands[2])
    writer.deliver(4, EPOCHS[3])
    writer.close()
    assert case[1](tmp_path / "broken") == expected


@pytest.mark.parametrize("case", [case for name, case in CASES.items() if name != "duckdb"])
def test_a_new_run_replaces_what_an_older_one_left_in_files(case: Case, tmp_path: Path) -> None:
    """A table keeps the rows of other runs: they carry their run."""
    _, expected = delivered(case, tmp_path / "whole", 1)
    delivered(case, tmp_path / "older")
    writer = opened(case, tmp_path / "older")
    writer.recover(0, EPOCHS[1], {})
    writer.deliver(1, EPOCHS[0])
    writer.close()
    assert case[1](tmp_path / "older") == expected


def test_duckdb_upserts_and_takes_retracted_rows_out_by_epochs(tmp_path: Path) -> None:
    columns = {**COLUMNS, "op": pl.String()}
    opening = Opening("results", columns, ("k",), "run")
    rows = [pl.DataFrame({"k": ["a", None], "n": [1, 2], "op": "upsert"})]
    rows.append(pl.DataFrame({"k": ["a", None, "b"], "n": [1, 5, 6], "op": ["retract", "upsert", "upsert"]}))
    for number, frame in enumerate(rows, 1):
        sink = et.write_duckdb(tmp_path / "r.duckdb", "t")
        writer = sink.open_epochs(opening)
        writer.recover(number - 1, rows[number - 2] if number > 1 else frame.clear(), {})
        writer.deliver(number, frame)
        writer.close()
    assert _table(tmp_path) == [("b", 6), (None, 5)]


def test_a_folder_gets_a_part_for_each_commit_of_a_run_without_state(tmp_path: Path) -> None:
    for _ in range(2):
        writer = et.write_csv(f"{tmp_path}/out/").open("results", COLUMNS, ())
        writer.write(EPOCHS[0])
        writer.commit()
        writer.write(EPOCHS[3])
        writer.close()
    parts = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in parts] == ["part-00000001.csv", "part-00000002.csv"]
    assert parts[1].read_text() == "k,n\nb,4\n"
