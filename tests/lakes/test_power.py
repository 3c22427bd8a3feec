"""Lake tables on a local disk outlast a power cut: what a delivered epoch needs is synced, and what a cut left torn of
an epoch that was not is taken away.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from tests.lakes.tables import EPOCHS, Lake, expected

import eventide as et
from eventide.connectors.delta.local import LocalTable
from eventide.flow import EpochWriter

KEYED = [
    pl.DataFrame({"k": ["a", "b"], "n": [1, 2]}),
    pl.DataFrame({"k": ["a", "c"], "n": [10, 3]}),
    pl.DataFrame({"k": ["b", "d"], "n": [20, 4]}),
]


@dataclass
class Synced:
    """What files and folders looked like when they were synced last."""

    seen: dict[int, object] = field(default_factory=dict)

    def note(self, descriptor: int) -> None:
        self.seen[os.fstat(descriptor).st_ino] = _look(descriptor)

    def missing(self, folder: Path) -> list[str]:
        """The files and folders below one, itself too, that a power cut may change."""
        paths = [folder, *folder.rglob("*")] if folder.exists() else []
        return [str(path) for path in paths if self.seen.get(path.stat().st_ino) != _look(path)]


def _look(place: int | Path) -> object:
    try:
        return sorted(os.listdir(place))
    except NotADirectoryError:
        found = os.stat(place)
        return found.st_size, found.st_mtime_ns


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    found, sync = Synced(), os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        found.note(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return found


@pytest.mark.parametrize("identity", [(), ("k",)])
def test_what_a_delivered_epoch_needs_is_synced(lake: Lake, synced: Synced, identity: tuple[str, ...]) -> None:
    writer = lake.opened(identity)
    writer.recover(0, EPOCHS[1], {})
    for number, rows in enumerate(KEYED, 1):
        writer.deliver(number, rows)
        table = lake.folder / ("table" if lake.kind == "delta" else "warehouse")
        assert table.exists()
        assert synced.missing(table) == []
        assert table.name in synced.seen[lake.folder.stat().st_ino]  # type: ignore[operator]  # names of a folder


def test_a_partition_with_an_odd_name_is_synced_too(tmp_path: Path, synced: Synced) -> None:
    from deltalake import write_deltalake

    lake = Lake("delta", tmp_path)
    write_deltalake(tmp_path / "table", EPOCHS[0].with_columns(_run=pl.lit(""), _epoch=0), partition_by=["k"])
    writer = lake.opened()
    writer.recover(0, EPOCHS[1], {})
    assert synced.missing(tmp_path / "table") == []
    writer.deliver(1, pl.DataFrame({"k": ["a b%c", None, "ü/ö"], "n": [1, 2, 3]}))
    assert any(quote("a b%c") in path.name for path in (tmp_path / "table").iterdir())
    assert synced.missing(tmp_path / "table") == []


def test_iceberg_files_are_synced_before_the_catalog_hears_of_them(
    tmp_path: Path, iceberg: None, synced: Synced
) -> None:
    from sqlalchemy import Engine, event

    missing: list[list[str]] = []

    def look(_: object) -> None:
        missing.append(synced.missing(tmp_path / "warehouse"))

    event.listen(Engine, "commit", look)
    try:
        writer = Lake("iceberg", tmp_path).opened(("k",))
        for number, rows in enumerate(KEYED, 1):
            writer.deliver(number, rows)
    finally:
        event.remove(Engine, "commit", look)
    assert len(missing) > 3
    assert [paths for paths in missing if paths] == []


def test_another_way_to_write_files_stays(tmp_path: Path, iceberg: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiceberg.catalog import Catalog, load_catalog

    from eventide.connectors.iceberg.local import synced

    catalog: Catalog = load_catalog("lake")
    catalog.properties["py-io-impl"] = "theirs"
    assert synced(catalog).properties["py-io-impl"] == "theirs"
    far = load_catalog("lake", warehouse="s3://bucket/lake")
    assert "py-io-impl" not in synced(far).properties


def gone(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def first_lines(path: Path) -> None:
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1]))


class Cut:
    """A Delta table whose machine loses power before its third epoch is synced."""

    def __init__(self, lake: Lake, identity: tuple[str, ...], patch: pytest.MonkeyPatch) -> None:
        self.lake, self.identity = lake, identity
        writer = lake.opened(identity)
        writer.recover(0, EPOCHS[1], {})
        for number, rows in enumerate(KEYED[:2], 1):
            writer.deliver(number, rows)
        before = set(self.files())
        self.stand = writer.stand()
        with patch.context() as cut, suppress(PowerError):
            cut.setattr(LocalTable, "sync", power_goes)
            writer.deliver(3, KEYED[2])
        self.new = [path for path in self.files() if path not in before]

    def files(self) -> list[Path]:
        return sorted(path for path in (self.lake.folder / "table").rglob("*") if path.is_file())

    def live(self) -> set[str]:
        """The files and folders that a reader of the table needs."""
        from deltalake import DeltaTable

        table = self.lake.folder / "table"
        commits = [str(path) for path in (table / "_delta_log").glob("*.json")]
        return {str(self.lake.folder), str(table), str(table / "_delta_log"), *commits, *DeltaTable(table).file_uris()}

    def after(self) -> EpochWriter:
        """The run goes on when the machine is back."""
        writer = self.lake.opened(self.identity)
        writer.recover(3, KEYED[2], self.stand)
        return writer

    def rows(self) -> list[tuple[object, ...]]:
        return self.lake.rows("k", "n")


class PowerError(BaseException):
    """There is none any more."""


def power_goes(_: LocalTable) -> None:
    raise PowerError


@pytest.fixture(params=[(), ("k",)])
def cut(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: Synced) -> Cut:
    return Cut(Lake("delta", tmp_path), request.param, monkeypatch)


def whole(cut: Cut) -> list[tuple[object, ...]]:
    if cut.identity:
        return [("a", 10), ("b", 20), ("c", 3), ("d", 4)]
    return sorted(row for rows in KEYED for row in rows.rows())


@pytest.mark.parametrize("leaves", [gone, empty, half, zeros, first_lines])
@pytest.mark.parametrize("kind", [".parquet", ".json", ""])
def test_what_a_power_cut_left_torn_comes_again(
    cut: Cut, kind: str, leaves: Callable[[Path], None], synced: Synced
) -> None:
    torn = [path for path in cut.new if path.name.endswith(kind)]
    assert torn
    for path in torn:
        leaves(path)
    cut.after()
    assert cut.rows() == whole(cut)
    assert cut.live() & set(synced.missing(cut.lake.folder)) == set()
    cut.after()
    cut.after().deliver(4, EPOCHS[3].with_columns(k=pl.lit("later")))
    assert cut.rows() == sorted([*whole(cut), ("later", 4)])


def test_a_commit_that_outlasted_the_cut_stays_and_is_synced(cut: Cut, synced: Synced) -> None:
    there = cut.files()
    cut.after()
    assert cut.rows() == whole(cut)
    assert cut.files() == there
    assert synced.missing(cut.lake.folder) == []


def test_commits_of_others_behind_a_torn_one_are_not_taken_away(cut: Cut) -> None:
    from deltalake import write_deltalake

    mine = next(path for path in cut.new if path.suffix == ".parquet")
    write_deltalake(cut.lake.folder / "table", cut.lake.read().clear(), mode="append")
    empty(mine)
    with pytest.raises(et.SinkError, match=r"was torn .* restore the table to version"):
        cut.after()


@pytest.mark.parametrize("leaves", [gone, empty, half])
def test_checkpoints_are_synced_and_torn_ones_are_not_needed(
    tmp_path: Path, synced: Synced, leaves: Callable[[Path], None]
) -> None:
    from deltalake import DeltaTable, write_deltalake

    rows = EPOCHS[0].clear().with_columns(_run=pl.lit(""), _epoch=pl.lit(0, dtype=pl.Int64))
    write_deltalake(tmp_path / "table", rows, configuration={"delta.checkpointInterval": "3"})
    writer = Lake("delta", tmp_path).opened()
    stands = []
    for number, frame in enumerate([EPOCHS[0], EPOCHS[2], EPOCHS[3]], 1):
        stands.append(writer.stand())
        writer.deliver(number, frame)
    assert synced.missing(tmp_path / "table") == []
    checkpoint = tmp_path / "table" / "_delta_log" / f"{3:020}.checkpoint.parquet"
    leaves(checkpoint)
    Lake("delta", tmp_path).opened().recover(3, EPOCHS[3], stands[-1])
    assert DeltaTable(tmp_path / "table").version() == 3
    assert Lake("delta", tmp_path).rows("k", "n") == expected(4)


def test_a_table_that_others_have_made_anew_is_synced_whole(cut: Cut, synced: Synced) -> None:
    from deltalake import write_deltalake

    made = cut.lake.read()
    shutil.rmtree(cut.lake.folder / "table")
    write_deltalake(cut.lake.folder / "table", made.clear())
    cut.after()
    assert cut.rows() == sorted(KEYED[2].rows())
    assert synced.missing(cut.lake.folder / "table") == []


@pytest.mark.parametrize("leaves", [gone, empty, half])
@pytest.mark.parametrize("identity", [(), ("k",)])
def test_a_first_epoch_that_was_torn_makes_the_table_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity: tuple[str, ...], leaves: Callable[[Path], None]
) -> None:
    lake = Lake("delta", tmp_path)
    writer = lake.opened(identity)
    writer.recover(0, EPOCHS[1], {})
    stand = writer.stand()
    with monkeypatch.context() as cut, suppress(PowerError):
        cut.setattr(LocalTable, "sync", power_goes)
        writer.deliver(1, KEYED[0])
    for path in (tmp_path / "table").rglob("*.json"):
        leaves(path)
    lake.opened(identity).recover(1, KEYED[0], stand)
    assert lake.rows("k", "n") == KEYED[0].rows()
