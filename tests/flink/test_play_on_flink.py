"""Other engines' answers, played by the job's operators: the cases that the embedded engine plays too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.flink.player import Player

from eventide.instants import END_OF_TIME
from eventide.testing.play import plan_of
from eventide.testing.reference import Entry, Event, Heartbeat

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
WINDOWS: list[dict[str, Any]] = json.loads((SHARED / "windows.json").read_text())["cases"]


@pytest.mark.parametrize("restored", [False, True], ids=["stands", "restored"])
@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: str(case["id"]))
def test_windows_answer_as_flink_does(player: Player, case: dict[str, Any], restored: bool) -> None:
    entries = list(_entries(case["steps"]))
    restarts = [(place, 1 + place % 3) for place in range(len(entries))] if restored else []
    answer = player.play(plan_of(case), entries, ["case"], restarts=restarts)
    wanted = [row for step in case["steps"] if step["op"] == "expect" for row in step["rows"]]
    assert _shown(answer["results"]) == Counter((row["key"], row["start"], row["end"], row["value"]) for row in wanted)
    if "expect_late" in case:
        found = {(entry.log, entry.offset): entry.row for entry in entries if isinstance(entry, Event)}
        late = Counter(_event(found[one["log"], one["offset"]]) for one in answer["late"])
        assert late == Counter((one["key"], one["value"], one["ts"]) for one in case["expect_late"])


def _entries(steps: Sequence[Mapping[str, Any]]) -> list[Entry]:
    made: list[Entry] = []
    for step in steps:
        if step["op"] == "event":
            row = {"key": step["key"], "value": step["value"], "at": step["ts"], "marker": None}
            made.append(Event("case", len(made), row))
        elif step["op"] == "watermark":
            made.append(Heartbeat("case", min(int(step["ts"]) + 1, END_OF_TIME)))
    return made


def _shown(rows: Sequence[Mapping[str, Any]]) -> Counter[tuple[object, ...]]:
    """The rows that Flink has too: it neither takes back rows nor says that a window is closed for good."""
    told = {
        (row["key"], row["window_start"], row["window_end"], row["revision"]): row["value"]
        for row in rows
        if row["op"] == "upsert"
    }
    return Counter((key, start, end, value) for (key, start, end, _), value in told.items())


def _event(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["key"], row["value"], row["at"]
