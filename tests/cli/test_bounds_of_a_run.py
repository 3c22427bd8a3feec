"""`eventide run` with a bound on memory and keys, as a person calls it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tests.cli.test_commands import apart, eventide

_PLAN = """
import eventide as et

rows = et.read_csv("{folder}/visits.csv", schema={{"who": str, "at": et.Instant}}, arrival="at")
timed = rows.event_time("at", et.bounded("1s"), max_future=None)
visits = timed.group_by("who").window(et.session("30s")).agg(n=et.count())
pipeline = visits.write(et.write_csv("{folder}/out.csv")).write(et.write_csv("{folder}/dead.csv"), "dead_letters")
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Sessions of 500 visitors, each of whom comes twice within 30 s: two visits a session."""
    lines = [f"v{number % 500},{number * 10}" for number in range(1_000)]
    (tmp_path / "visits.csv").write_text("\n".join(["who,at", *lines, ""]))
    path = tmp_path / "visits.py"
    path.write_text(_PLAN.format(folder=tmp_path))
    return path


def test_a_bound_on_memory_changes_no_row(pipeline: Path) -> None:
    assert eventide("run", str(pipeline), "--quiet").returncode == 0
    whole = (pipeline.parent / "out.csv").read_bytes()
    spill = pipeline.parent / "spilled"
    bounds = ("--memory", "4kB", "--keys-most", "1000", "--spill", str(spill))
    done = apart("run", str(pipeline), "--quiet", *bounds)  # files go when the process ends
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(pipeline.parent / "out.csv").get_column("n").to_list() == [2] * 500
    assert (pipeline.parent / "out.csv").read_bytes() == whole
    assert spill.is_dir()  # it was needed
    assert list(spill.iterdir()) == []


def test_keys_beyond_the_limit_are_counted_and_told_once(pipeline: Path) -> None:
    done = eventide("run", str(pipeline), "--quiet", "--keys-most", "101")
    assert done.returncode == 0
    assert "1,000 received = 200 on time + 0 corrected + 0 late" in done.stdout  # the null key is known too
    assert "800 dead letters" in done.stdout
    assert done.stderr.count("WARNING: 101 different keys of who are known") == 1
    assert pl.read_csv(pipeline.parent / "dead.csv").height == 800


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--memory", "much"), "is not a size"),
        (("--spill", "here"), "give that too"),
        (("--keys-most", "0"), "Invalid value for '--keys-most'"),
        (("--checkpoint-every", "0s"), "must be longer than zero"),
        (("--parallelism", "2"), "give --on flink too"),
        (("--on", "flink", "--spill", "here"), "leave out --state"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_before_anything_is_read(
    pipeline: Path, words: tuple[str, ...], told: str
) -> None:
    done = eventide("run", str(pipeline), *words)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert not (pipeline.parent / "out.csv").exists()


def test_a_place_that_takes_no_files_is_told_without_a_trace(pipeline: Path) -> None:
    bounds = ("--memory", "4kB", "--keys-most", "1000", "--spill", str(pipeline / "below-a-file"))
    done = eventide("run", str(pipeline), "--quiet", *bounds)
    assert done.returncode == 1
    assert "Give spill= a folder with room, or more memory=" in done.stderr
    assert "Traceback" not in done.stderr
