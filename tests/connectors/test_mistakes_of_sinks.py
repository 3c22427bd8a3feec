"""Mistakes with sinks: what would be destroyed is refused, and what cannot be written is told in words."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

import eventide as et

SCHEMA: dict[str, Any] = {"k": str, "x": float}
ROWS = et.from_rows([{"k": "a", "x": 1.0}], schema=SCHEMA, name="rows")


@pytest.mark.parametrize("state", [None, "state"])
def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path, state: str | None) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(et.SinkError, match="pipe: it is a device or a pipe, which a file would replace"):
        ROWS.write(et.write_csv(tmp_path / "pipe")).run(show=False, state=state and tmp_path / state)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("state", [None, "state"])
def test_a_folder_in_place_of_a_file_is_told_with_the_remedy(tmp_path: Path, state: str | None) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(et.SinkError, match="out: it is a folder. Name a file in it, or end the path with a slash"):
        ROWS.write(et.write_parquet(tmp_path / "out")).run(show=False, state=state and tmp_path / state)


@pytest.mark.parametrize("read", ["in.csv", "*.csv", ".", "../{}/in.csv"])
def test_a_file_that_is_read_is_not_written(tmp_path: Path, read: str) -> None:
    (tmp_path / "in.csv").write_text("k,x\na,1.0\n")
    source = et.read_csv(tmp_path / read.format(tmp_path.name), schema=SCHEMA)
    with pytest.raises(et.PlanError, match=r"in\.csv: it would put its file where a source reads: .*another path"):
        source.write(et.write_csv(tmp_path / "in.csv")).run(show=False)
    assert (tmp_path / "in.csv").read_text() == "k,x\na,1.0\n"


def test_a_file_that_the_next_run_would_read_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("k,x\na,1.0\n")
    source = et.read_csv(tmp_path / "*.csv", schema=SCHEMA)
    with pytest.raises(et.PlanError, match="where a source reads"):
        source.write(et.write_csv(tmp_path / "out.csv")).check()
    source.write(et.write_csv(tmp_path / "out.txt")).check()


def test_a_table_of_duckdb_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="table='' is not the name of a table"):
        et.write_duckdb(tmp_path / "r.duckdb", "")


@pytest.mark.parametrize("state", [None, "state"])
def test_a_table_of_duckdb_with_other_columns_is_told_in_words(tmp_path: Path, state: str | None) -> None:
    with duckdb.connect(str(tmp_path / "r.duckdb")) as connection:
        connection.execute("CREATE TABLE t (other INTEGER)")
    with pytest.raises(
        et.SinkError,
        match=r"cannot write to .*Does the table have the columns of this output\? If not, give it one of its own\. Mend that",
    ):
        ROWS.write(et.write_duckdb(tmp_path / "r.duckdb", "t")).run(show=False, state=state and tmp_path / state)


@dataclass
class Stuck:
    """A sink whose connection cannot be closed, or one that says when it was."""

    name: str
    closed: list[str]
    fails: bool = False
    frames: list[pl.DataFrame] = field(default_factory=list)

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Stuck:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        self.frames.append(frame)

    def commit(self) -> None:
        """All is there."""

    def close(self) -> None:
        self.closed.append(self.name)
        if self.fails:
            raise et.SinkError(f"{self.name} does not close")

    abort = close


def test_a_sink_that_does_not_close_leaves_no_other_open() -> None:
    closed: list[str] = []
    job = ROWS.write(Stuck("first", closed, fails=True)).write(Stuck("second", closed))
    with pytest.raises(et.SinkError, match="first does not close"):
        job.run(show=False)
    assert closed == ["first", "second"]
