"""Checkpoints of large state write what changed: frames come back bit for bit, damage to a shared file costs time."""

from __future__ import annotations

import itertools
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.epochs.test_resume import Ticking, job, readings, stop_after

import eventide as et
from eventide.engine.epochs import Checkpoint, Fingerprint, StateFolder, read_checkpoint, save_to
from eventide.engine.epochs.patches import difference, fits, patched
from eventide.engine.epochs.pieces import Pieces
from eventide.engine.snapshot import Snapshot
from eventide.testing import SimulatedDisk

SCHEMA = {
    "key": pl.String(),
    "n": pl.Int64(),
    "x": pl.Float64(),
    "list": pl.List(pl.Float64()),
    "wide": pl.Int128(),
}
NUMBERS = st.sampled_from([0.0, -0.0, float("nan"), float("inf"), 1.5, None])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "ü", "", None]),
        st.sampled_from([0, 1, None]),
        NUMBERS,
        st.none() | st.lists(NUMBERS, max_size=2),
        st.sampled_from([1 << 100, None]),
    ),
    max_size=12,
)


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def written(rows: pl.DataFrame) -> bytes:
    """Bytes that differ where 0.0 and -0.0 do."""
    made = BytesIO()
    rows.rechunk().write_ipc(made)
    return made.getvalue()


@settings(deadline=None)
@given(ROWS, ROWS, st.data())
def test_a_frame_is_put_together_as_it_was(
    before: list[tuple[object, ...]], new: list[tuple[object, ...]], data: st.DataObject
) -> None:
    """The next frame has some of the rows before, in any order, and new ones in between."""
    kept = data.draw(st.lists(st.sampled_from(before), max_size=12)) if before else []
    now = frame(data.draw(st.permutations(kept + new)))
    patch = difference(frame(before), now)
    assert patch is not None
    made = patched(frame(before), patch)
    assert made.schema == now.schema
    assert repr(made.rows()) == repr(now.rows())


@settings(deadline=None)
@given(ROWS, ROWS, st.data())
def test_where_order_means_nothing_the_rows_are_the_same(
    before: list[tuple[object, ...]], new: list[tuple[object, ...]], data: st.DataObject
) -> None:
    now = frame(data.draw(st.permutations(before + new)))
    patch = difference(frame(before), now, ordered=False)
    assert patch is not None
    assert sorted(map(repr, patched(frame(before), patch).rows())) == sorted(map(repr, now.rows()))


def test_what_is_kept_costs_no_rows() -> None:
    before = pl.DataFrame({"key": range(1_000), "x": [0.5] * 1_000})
    grown = pl.concat([before.filter(pl.col("key") % 100 != 7), pl.DataFrame({"key": [7], "x": [0.25]})])
    patch = difference(before, grown)
    assert patch is not None
    assert patch.rows.rows() == [(7, 0.25)]
    assert patch.runs.height == 12


def test_a_change_of_sign_of_zero_is_a_change() -> None:
    patch = difference(pl.DataFrame({"x": [0.0, 1.0]}), pl.DataFrame({"x": [-0.0, 1.0]}))
    assert patch is not None
    assert str(patch.rows.rows()) == "[(-0.0,)]"


def test_frames_with_numbers_deep_inside_are_written_whole() -> None:
    assert not fits(pl.DataFrame({"s": [{"x": 1.0}]}))
    assert not fits(pl.DataFrame({"s": [[[1.0]]]}))
    assert difference(pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]})) is None


def checkpoint(epoch: int, state: pl.DataFrame) -> Checkpoint:
    return Checkpoint("run", epoch, Fingerprint({}, {}, {}, {}, {}), {}, Snapshot({}, {"big": state}))


def growing(folder: StateFolder, epochs: int, rows: int = 700) -> dict[int, pl.DataFrame]:
    """Epochs in each of which a few rows change; the frames by epoch."""
    made: dict[int, pl.DataFrame] = {}
    for epoch in range(1, epochs + 1):
        drawn = [key * 2654435761 % 2**60 for key in range(rows)]
        made[epoch] = pl.DataFrame({"key": [*drawn[:epoch], *(key + epoch for key in range(5)), *drawn[epoch:]]})
        folder.write(checkpoint(epoch, made[epoch]), "test")
        folder.prune(epoch)
    return made


@pytest.fixture
def folder() -> StateFolder:
    return StateFolder(Path("/s"), SimulatedDisk(), pieces=Pieces(0, 4))


def test_checkpoints_share_files_and_old_files_go(folder: StateFolder) -> None:
    frames = growing(folder, 23, rows=5_000)
    for epoch in folder.epochs():
        assert folder.read(epoch).state.frames["big"].equals(frames[epoch])
    # 21 begins anew behind 20, whose files are those of 16 to 20
    assert folder.epochs() == [20, 21, 22, 23]
    names = folder.disk.names(folder.shared)
    assert sorted({int(name.split("-")[0]) for name in names}) == list(range(16, 24))


def test_a_state_that_does_not_change_writes_nothing(folder: StateFolder) -> None:
    same = pl.DataFrame({"key": range(5_000)})
    first, second = (folder.write(checkpoint(epoch, same), "test") for epoch in (1, 2))
    assert second < first / 5
    assert folder.read(2).state.frames["big"].equals(same)


def test_a_flip_or_a_cut_at_every_byte_of_a_shared_file_is_seen_and_an_older_checkpoint_is_used(
    folder: StateFolder,
) -> None:
    growing(folder, 7)
    disk = folder.disk
    assert folder.epochs() == [5, 6, 7], "6 and 7 share files, 5 has files of its own"
    tried = 0
    for name in disk.names(folder.shared):
        whole = disk.read(folder.shared / name)
        used = [epoch for epoch in folder.epochs() if name in folder._shared_by(epoch)]
        for place in range(len(whole)):
            flipped = bytes([*whole[:place], whole[place] ^ (1 << place % 8), *whole[place + 1 :]])
            for damaged in (flipped, whole[:place]):
                disk.write(folder.shared / name, damaged)
                with pytest.raises(et.CheckpointError, match=name):
                    folder.read(used[-1])
                tried += 1
        found = folder.newest()
        assert [one.epoch for one in found.damaged] == sorted(used, reverse=True) or 7 not in used
        assert found.checkpoint is not None
        assert found.checkpoint.epoch not in used
        disk.remove(folder.shared / name)
        assert "missing" in str(folder.newest().damaged) or 7 not in used
        disk.write(folder.shared / name, whole)
    assert tried > 1_000
    assert not folder.newest().damaged


def test_a_run_with_a_bound_of_memory_holds_no_second_copy() -> None:
    state = StateFolder(Path("/s"), SimulatedDisk(), pieces=Pieces(0))
    job(readings(60)).write(et.write_csv("/out/r.csv")).run(show=False, state=state, memory="1GB")
    assert state.epochs()
    assert not state.pieces.chains
    assert not state.disk.names(state.shared)


def test_a_savepoint_stands_by_itself(folder: StateFolder) -> None:
    frames = growing(folder, 4)
    target = StateFolder(Path("/kept"), folder.disk)
    save_to(folder, target)
    folder.disk.remove(folder.path)
    assert read_checkpoint(target.path, folder.disk).state.frames["big"].equals(frames[4])


@pytest.mark.parametrize("window", ["revised", "empty, revised", "sliding", "session", "count"])
def test_runs_in_pieces_with_state_in_pieces_write_what_one_run_writes(window: str) -> None:
    disk = SimulatedDisk()
    whole = job(readings(200), window).run(show=False)
    for batches in itertools.chain([5, 4, 7], itertools.repeat(100)):
        outcome = (
            job(readings(200), window)
            .write(et.write_parquet("/out/r.parquet"))
            .run(
                show=False,
                state=StateFolder(Path("/state"), disk, pieces=Pieces(0, 3)),
                checkpoint_every="1us",
                rows_max=11,
                clock=Ticking(),
                observe=stop_after(batches),
            )
        )
        if outcome.finished:
            break
    assert disk.names(Path("/state/pieces"))
    assert pl.read_parquet(disk.read(Path("/out/r.parquet"))).equals(whole.results)
