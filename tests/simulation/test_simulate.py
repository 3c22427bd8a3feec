"""A share of the simulated runs; `make simulate` has thousands."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.simulation.simulate import simulate, story

from eventide.testing import SimulatedDisk

SEEDS = 200


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_simulated_runs_hold_what_one_undisturbed_run_gives(first: int) -> None:
    wrong = {seed: fault for seed in range(first, first + 20) if (fault := simulate(seed)) is not None}
    assert not wrong, "\n".join(f"python -m tests.simulation.simulate --seed {seed}" for seed in wrong)


def test_the_same_seed_tells_the_same_story() -> None:
    one, two = story(Random(5)), story(Random(5))
    assert [frame.to_dicts() for frame in one.frames] == [frame.to_dicts() for frame in two.frames]
    assert one.window == two.window


def test_a_file_that_was_not_synced_is_torn_by_a_crash() -> None:
    found = set()
    for seed in range(40):
        disk = SimulatedDisk(seed)
        disk.make_folder(Path("/f"))
        disk.write(Path("/f/a"), b"abcdef")
        disk.crash()
        found.add(disk.read(Path("/f/a")) if disk.names(Path("/f")) else None)
    assert {None, b"", b"abcdef"} < found
    disk.write(Path("/f/a"), b"abcdef")
    disk.sync(Path("/f/a"))
    disk.sync(Path("/f"))
    disk.crash()
    assert disk.read(Path("/f/a")) == b"abcdef"
