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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", JOINS, ids=lambda case: str(case["id"]))
def test_interval_joins_answer_as_flink_does(case: dict[str, Any], way: Way) -> None:
    assert play(case, way).difference == ""


def test_a_wrong_pair_and_a_wrong_late_event_are_found() -> None:
    case = copy.deepcopy(next(case for case in JOINS if case["expect_late"]))
    next(step for step in case["steps"] if step["op"] == "expect")["pairs"].pop()
    case["expect_late"].pop()
    said = play(case).difference
    assert "unexpected {'left': 5, 'right': 5}" in said
    assert "late: unexpected" in said


def test_an_event_at_the_watermark_whose_partner_the_other_engine_forgot_is_refused_by_name() -> None:
    case = copy.deepcopy(JOINS[1])
    marks = [{"op": "watermark", "side": side, "ts": 2} for side in ("left", "right")]
    case["steps"] = [
        {"op": "event", "side": "left", "key": "key", "ts": 1},
        *marks,
        {"op": "event", "side": "right", "key": "key", "ts": 2},
    ]
    with pytest.raises(Unsupported, match="exactly at the watermark"):
        play(case)
