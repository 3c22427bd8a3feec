"""A commit to a Delta table whose connection breaks off: the table is asked whether it is there. An Iceberg table's
store that is away: it is asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow.fs  # type: ignore[import-untyped]  # Arrow has no types
import pyiceberg.catalog
import pytest
from deltalake import DeltaTable
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.utils.config import Config
from tests.lakes.tables import COLUMNS, EPOCHS, Lake, expected

import eventide as et
from eventide.connectors.iceberg.config import Place
from eventide.connectors.iceberg.sink import IcebergRows
from eventide.connectors.lakes import Shape
from eventide.flow import Opening

BROKEN_OFF = (
    "Generic S3 error \x1b[31m↳\x1b[0m Error performing PUT http://127.0.0.1:1/b/t/_delta_log/00000000000000000004.json in "
    "15.625398ms - HTTP error \x1b[31m↳\x1b[0m error sending request \x1b[31m↳\x1b[0m client error (SendRequest)"
)
ENDED_TOO_SOON = (
    "Kernel error: Generic S3 error \x1b[31m↳\x1b[0m Error getting list response body \x1b[31m↳\x1b[0m HTTP error "
    "\x1b[31m↳\x1b[0m request or response body error"
)
GIVEN_UP = BROKEN_OFF.replace(" - HTTP", ", after 10 retries, max_retries: 10, retry_timeout: 30s - HTTP")


def breaking(monkeypatch: pytest.MonkeyPatch, text: str, times: int, done: bool) -> list[int]:
    """Let commits end so, so many times, when they are done or before. Gives a list that grows with each."""
    write: Callable[..., None] = deltalake.write_deltalake
    tried: list[int] = []

    def broken(*given: Any, **named: Any) -> None:
        tried.append(len(tried))
        if done or len(tried) > times:
            write(*given, **named)
        if len(tried) <= times:
            raise OSError(text)

    monkeypatch.setattr(deltalake, "write_deltalake", broken)
    return tried


@pytest.mark.parametrize(("times", "done", "tries"), [(1, False, 2), (3, False, 4), (1, True, 1)])
def test_a_commit_that_broke_off_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, done: bool, tries: int
) -> None:
    lake = Lake("delta", tmp_path)
    writer = lake.opened()
    writer.deliver(1, EPOCHS[0])
    tried = breaking(monkeypatch, BROKEN_OFF, times, done)
    writer.deliver(3, EPOCHS[2])
    assert len(tried) == tries
    assert lake.rows("k", "n") == expected(3)
    assert DeltaTable(tmp_path / "table").version() == 1


def test_an_answer_that_ends_too_soon_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake("delta", tmp_path)
    writer = lake.opened()
    writer.deliver(1, EPOCHS[0])
    tried = breaking(monkeypatch, ENDED_TOO_SOON, 1, done=False)
    version, asked = DeltaTable.transaction_version, list[int]()

    def look(table: DeltaTable, application: str) -> int | None:
        asked.append(len(asked))
        if len(asked) == 1:
            raise OSError(ENDED_TOO_SOON)
        return version(table, application)

    monkeypatch.setattr(DeltaTable, "transaction_version", look)
    writer.deliver(3, EPOCHS[2])
    assert (len(tried), len(asked)) == (2, 2)
    assert lake.rows("k", "n") == expected(3)


@pytest.mark.parametrize(("text", "tries"), [(BROKEN_OFF, 5), (GIVEN_UP, 1), ("Generic S3 error: 403 Forbidden", 1)])
def test_what_does_not_pass_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, tries: int) -> None:
    lake = Lake("delta", tmp_path)
    writer = lake.opened()
    writer.deliver(1, EPOCHS[0])
    tried = breaking(monkeypatch, text, 9, done=False)
    with pytest.raises(et.SinkError, match="Generic S3 error") as told:
        writer.deliver(3, EPOCHS[2])
    assert len(tried) == tries
    assert "\x1b" not in str(told.value)
    assert lake.rows("k", "n") == expected(2)


def test_a_commit_that_meets_itself_in_a_store_is_there_once(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = et.write_delta(f"{bucket}/table")
    writer = sink.open_epochs(Opening("late", COLUMNS, (), "run"))
    writer.deliver(1, EPOCHS[0])
    tried = breaking(monkeypatch, "Concurrent transaction failed.", 1, done=True)
    writer.deliver(3, EPOCHS[2])
    assert len(tried) == 1
    rows = et.read_delta(f"{bucket}/table").run(show=False).results.select("k", "n").rows()
    assert sorted(rows, key=str) == expected(3)
    breaking(monkeypatch, "Concurrent transaction failed.", 1, done=False)
    with pytest.raises(et.SinkError, match="Concurrent"):
        writer.deliver(4, EPOCHS[3])


@pytest.mark.parametrize(("named", "attempts"), [(None, 7), ("pyarrow.fs.AwsDefaultS3RetryStrategy", 3)])
def test_a_store_is_asked_again_for_longer_than_pyiceberg_does_unless_its_configuration_says_how(
    iceberg: None, monkeypatch: pytest.MonkeyPatch, named: str | None, attempts: int
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(pyarrow.fs, "S3FileSystem", lambda **settings: made.append(settings["retry_strategy"]))
    if named is not None:
        monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__S3__RETRY_STRATEGY_IMPL", named)
        monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())
    rows = IcebergRows(Place("air.doses", "lake"), Shape({}))
    PyArrowFileIO(rows._catalog.properties | {"s3.region": "eu-north-1"}).fs_by_scheme("s3", "bucket")
    assert [strategy.max_attempts for strategy in made] == [attempts]
