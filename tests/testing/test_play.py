"""Other engines' answers: every kept case, played four ways."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from eventide.testing import Unsupported, play
from eventide.testing.play import Way

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
WINDOWS: list[dict[str, Any]] = json.loads((SHARED / "windows.json").read_text())["cases"]
MERGES: list[dict[str, Any]] = json.loads((SHARED / "watermark_merge.json").read_text())["cases"]
JOINS: list[dict[str, Any]] = json.loads((SHARED / "interval_join.json").read_text())["cases"]
WAYS: tuple[Way, ...] = ("stands", "batched", "restored", "workers")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: str(case["id"]))
def test_windows_answer_as_flink_does(case: dict[str, Any], way: Way) -> None:
    assert play(case, way).difference == ""


@pytest.mark.parametrize("case", MERGES, ids=lambda case: str(case["id"]))
def test_watermarks_merge_as_in_flink(case: dict[str, Any]) -> None:
    assert play(case).difference == ""


def test_a_wrong_expectation_is_found() -> None:
    case = copy.deepcopy(WINDOWS[0])
    next(step for step in case["steps"] if step["op"] == "expect" and step["rows"])["rows"][0]["value"] += 1
    played = play(case)
    assert not played.ok
    assert "missing" in played.difference


def test_joins_are_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="joins"):
        play(JOINS[0])
