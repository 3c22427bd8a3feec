"""Detectors on labelled recordings: the table in the documents is what the command gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import nab

import eventide as et

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("file", nab.FILES)
def test_the_table_in_the_documents_is_what_the_detectors_give(shared: Path, file: str) -> None:
    text = (ROOT / "docs" / "detection.md").read_text()
    for name, method in nab.DETECTORS.items():
        assert nab.score(shared / "data" / "nab", file, method).line(file, name) in text


def test_the_trees_are_as_good_as_the_documents_say(shared: Path) -> None:
    file = nab.FILES[0]
    low, high = nab.LIMITS[file]
    found = nab.score(shared / "data" / "nab", file, et.half_space_trees(low, high))
    line = found.line(file, f"half_space_trees({low:g}, {high:g})")
    assert line in (ROOT / "docs" / "detection.md").read_text()


def test_alerts_are_judged_by_the_windows_they_fall_into() -> None:
    found = nab.judge([5, 12, 13, 40], [(10, 20), (30, 35), (38, 50)])
    assert (found.raised, found.inside, found.found, found.windows, found.delay_us) == (4, 3, 2, 3, 2)
