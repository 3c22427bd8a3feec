"""Damaged state: every byte counts, the checkpoint before is used and it is said; nothing is begun anew by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.epochs.test_resume import Ticking, job, readings, stop_after

import eventide as et
from eventide.engine.epochs import MANIFEST, StateFolder, read_checkpoint
from eventide.testing import SimulatedDisk


def stopped(state: StateFolder, out: Path) -> None:
    """Three epochs of twenty rows."""
    job(readings(), "revised").write(et.write_csv(out)).run(
        show=False, state=state, checkpoint_every="1us", rows_max=20, clock=Ticking(), observe=stop_after(3)
    )


@pytest.fixture
def state() -> StateFolder:
    made = StateFolder(Path("/s"), SimulatedDisk())
    stopped(made, Path("/out/r.csv"))
    return made


def test_a_flip_or_a_cut_at_every_byte_is_seen(state: StateFolder) -> None:
    folder, disk = state.checkpoints / "00000003", state.disk
    tried = 0
    for name in disk.names(folder):
        whole = disk.read(folder / name)
        for place in range(len(whole)):
            flipped = bytes([*whole[:place], whole[place] ^ (1 << place % 8), *whole[place + 1 :]])
            for damaged in (flipped, whole[:place]):
                disk.write(folder / name, damaged)
                try:
                    state.read(3)
                except et.CheckpointError:
                    tried += 1
                else:
                    raise AssertionError(f"{name} is believed, damaged at byte {place}")
        disk.write(folder / name, whole + b"\n")
        found = state.newest()
        assert [one.epoch for one in found.damaged] == [3], f"{name} with a byte more"
        assert found.checkpoint is not None
        assert found.checkpoint.epoch == 2
        disk.write(folder / name, whole)
    assert tried > 5_000
    assert not state.newest().damaged


def test_files_of_another_checkpoint_are_seen(state: StateFolder) -> None:
    older, newer = (state.checkpoints / name for name in ("00000002", "00000003"))
    names = state.disk.names(newer)
    assert len(names) > 3
    for name in names:
        whole = state.disk.read(newer / name)
        state.disk.write(newer / name, state.disk.read(older / name))
        same = state.disk.read(older / name) == whole
        assert bool(state.newest().damaged) is not same, name
        state.disk.write(newer / name, whole)
        if name != MANIFEST:
            state.disk.remove(newer / name)
            assert f"{name} is missing" in str(state.newest().damaged)
            state.disk.write(newer / name, whole)


def test_a_whole_checkpoint_in_the_wrong_place_is_seen(state: StateFolder) -> None:
    for name in state.disk.names(state.checkpoints / "00000002"):
        data = state.disk.read(state.checkpoints / "00000002" / name)
        state.disk.write(state.checkpoints / "00000003" / name, data)
    assert "its folder says epoch 3, its manifest 2" in str(state.newest().damaged[0])


def test_the_checkpoint_before_is_used_loudly_and_the_answer_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StateFolder(tmp_path / "state")
    stopped(folder, tmp_path / "r.csv")
    manifest = folder.checkpoints / "00000003" / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-7])
    capsys.readouterr()
    job(readings(), "revised").write(et.write_csv(tmp_path / "r.csv")).run(show=False, state=folder)
    told = capsys.readouterr().err
    assert "WARNING: checkpoint 3 is not used: manifest.json: it is damaged or cut off" in told
    assert "goes on behind epoch 2" in told
    job(readings(), "revised").write(et.write_csv(tmp_path / "whole.csv")).run(show=False)
    assert (tmp_path / "r.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_with_all_checkpoints_damaged_nothing_is_begun_anew(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    stopped(folder, tmp_path / "r.csv")
    before = (tmp_path / "r.csv").read_bytes()
    for epoch in folder.epochs():
        (folder.checkpoints / f"{epoch:08}" / MANIFEST).write_text("{}")
    with pytest.raises(et.CheckpointError, match="no checkpoint in .* can be used"):
        stopped(folder, tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_bytes() == before


def test_a_checkpoint_of_a_later_format_is_refused_by_name(tmp_path: Path) -> None:
    from eventide.engine.epochs.files import sealed

    folder = StateFolder(tmp_path)
    stopped(folder, tmp_path / "r.csv")
    place = folder.checkpoints / "00000003"
    (place / MANIFEST).write_bytes(sealed(b'{"format":3,"eventide":"9.9"}'))
    with pytest.raises(et.CheckpointError, match="written by Eventide 9.9 in format 3"):
        read_checkpoint(place, folder.disk)


def test_an_output_that_was_cut_by_something_else_is_refused(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    stopped(folder, tmp_path / "r.csv")
    (tmp_path / "r.csv").write_text("k\n")
    with pytest.raises(et.SinkError, match="had already written"):
        stopped(folder, tmp_path / "r.csv")


def test_rows_of_an_epoch_whose_checkpoint_is_lost_are_taken_back(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    out = tmp_path / "parts"

    def run(batches: int) -> None:
        job(readings(), "none").write(et.write_parquet(f"{out}/")).run(
            show=False, state=folder, checkpoint_every="1us", rows_max=20, clock=Ticking(), observe=stop_after(batches)
        )

    run(3)
    shutil.rmtree(folder.checkpoints / "00000003")
    run(100)
    whole = job(readings(), "none").run(show=False).results
    assert pl.read_parquet(out / "part-*.parquet").equals(whole)
